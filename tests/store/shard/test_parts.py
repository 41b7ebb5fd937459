"""Parts of an HDF5 file: opened only where they lie in it, and as large as they say."""

import h5py
import numpy as np
import pytest
from h5py import h5g

from store.errors import ShardError
from store.schema import Column
from store.shard.parts import Parts, decode_text, opened

ROWS = Column("rows", "<f4", (2,), ("row", "pair"), "1", "pairs")


def write(path, make):
    with h5py.File(path, "w") as file:
        make(file)
    return path


def read(path, ask, size=None):
    """Ask the parts of a file for something."""
    with opened(path) as file:
        parts = Parts(path, path.stat().st_size if size is None else size, file.get_vfd_handle())
        parts.stage = "faces"
        return ask(parts, h5g.open(file, b"/"))


def test_rows_lie_where_hdf5_says(tmp_path):
    values = np.arange(6, dtype="<f4").reshape(3, 2)
    path = write(tmp_path / "a.h5", lambda file: file.create_dataset("rows", data=values))
    offset, shape, dtype = read(path, lambda parts, root: parts.place(root, ROWS))
    assert (shape, dtype) == ((3, 2), np.dtype("<f4"))
    assert path.read_bytes()[offset : offset + values.nbytes] == values.tobytes()


def link(file):
    file["rows"] = h5py.ExternalLink("elsewhere.h5", "/rows")


def refer(file):
    layout = h5py.VirtualLayout((3, 2), "<f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "rows", (3, 2))
    file.create_virtual_dataset("rows", layout)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: None, "has no dataset rows, which the stage faces must have"),
        (link, "rows is a link to elsewhere.h5"),
        (lambda file: file.create_group("rows"), "rows is not a dataset"),
        (refer, "the data of rows are in another file"),
        (lambda file: file.create_dataset("rows", data=np.zeros((3, 2), "<f8")), r"rows has rows \(2,\) float64"),
        (lambda file: file.create_dataset("rows", data=np.zeros((3, 3), "<f4")), r"rows has rows \(3,\) float32"),
        (lambda file: file.create_dataset("rows", data=np.zeros((3, 2), "<f4"), chunks=(1, 2)), "not one piece"),
    ],
)
def test_what_lies_elsewhere_or_is_of_another_kind_is_refused(tmp_path, make, said):
    path = write(tmp_path / "a.h5", make)
    with pytest.raises(ShardError, match=said):
        read(path, lambda parts, root: parts.place(root, ROWS))


def test_nothing_reaches_beyond_the_file(tmp_path):
    path = write(tmp_path / "a.h5", lambda file: file.create_dataset("rows", data=np.zeros((3, 2), "<f4")))
    with pytest.raises(ShardError, match="not one piece of this file"):
        read(path, lambda parts, root: parts.place(root, ROWS), size=100)


def test_attributes_are_one_value_of_the_kind_that_is_asked_for(tmp_path):
    def make(file):
        file.attrs["stage"] = np.bytes_(b"faces\0\0")
        file.attrs["many"] = [1, 2]

    path = write(tmp_path / "a.h5", make)
    assert read(path, lambda parts, root: parts.read_text(root, "stage")) == "faces"
    for name, kinds in (("stage", "iu"), ("many", "iu")):
        with pytest.raises(ShardError, match=f"the attribute {name} is "):
            read(path, lambda parts, root, name=name, kinds=kinds: parts.read_attribute(root, name, kinds))


def test_texts_end_where_hdf5_fills_them_up():
    assert decode_text("M\u00fc".encode() + b"\0\0") == "M\u00fc"
    with pytest.raises(ValueError, match="decode"):
        decode_text(b"\xff")

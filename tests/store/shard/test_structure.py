"""Datasets and attributes by HDF5's own calls: what h5py and netCDF's readers find in them."""

import h5py
import numpy as np
import pytest

from store.schema import SCHEMAS
from store.shard.structure import Scaled, as_array, set_attribute


def test_texts_have_one_fixed_length_and_are_never_cut_within_a_character():
    found = as_array(["a", "M\u00fcller"], "S")
    assert (found.dtype.itemsize, found.tolist()) == (7, [b"a", "M\u00fcller".encode()])
    assert as_array(["a\u00fc"], "S2").tolist() == [b"a"]
    assert as_array([], "S").dtype.itemsize == 1
    assert as_array([1, 2], "<i8").dtype == np.dtype("<i8")
    assert h5py.check_string_dtype(found.dtype) == ("utf-8", 7)


@pytest.mark.parametrize("value", ["text", "", "M\u00fcller", 7])
def test_attributes_come_back(tmp_path, value):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        set_attribute(file.id, "name", value)
    with h5py.File(tmp_path / "a.h5") as file:
        found = file.attrs["name"]
        assert (found.decode() if isinstance(found, bytes) else found) == value
        assert file.attrs.get_id("name").shape == ()


def test_room_is_made_without_writing_and_dimensions_are_shared(tmp_path):
    face = next(column for column in SCHEMAS["faces"].rows if column.name == "landmarks")
    box = next(column for column in SCHEMAS["faces"].rows if column.name == "box")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        scaled = Scaled(file.id)
        offset, size = scaled.allocate(face, 3, "Five points")
        assert scaled.allocate(box, 3, "Box")[1] == 3 * 4 * 4
    assert size == 3 * 5 * 2 * 4
    values = np.arange(30, dtype="<f4").reshape(3, 5, 2)
    with (tmp_path / "a.h5").open("r+b") as file:
        file.seek(offset)
        file.write(values.tobytes())
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["landmarks"][:], values)
        assert file["landmarks"].attrs["long_name"].decode() == "Five points"
        assert file["landmarks"].attrs["units"].decode() == face.unit
        scales = [dimension[0].name for dimension in file["landmarks"].dims]
        assert scales == [f"/{name}" for name in face.dimensions]
        assert file["box"].dims[0][0].name == scales[0]


def test_no_rows_have_no_place(tmp_path):
    column = SCHEMAS["embeddings"].rows[0]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert Scaled(file.id).allocate(column, 0, "nothing") is None

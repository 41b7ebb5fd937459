"""The format itself: files of every version stay readable, by us and by readers that know nothing of us."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.schema import FORMAT_VERSION, SCHEMAS, UTTERANCE_COLUMNS
from store.shard.reader import Shard
from store.shard.writer import ALIGNMENT, ShardWriter
from tests.golden.make_store_golden import FOLDER, LENGTHS

VERSIONS = [FOLDER / f"version-{version}.h5" for version in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_files_of_every_version_are_read(path):
    shard = Shard(path)
    assert (shard.stage, shard.shard, shard.fingerprint) == ("faces", "0123456789abcdef", "fedcba9876543210")
    assert shard.provenance == {"stage": "faces", "settings": {"detect_every": 25}, "note": "Größe"}
    assert {name: shard.fact(name, "length") for name in shard.names} == LENGTHS
    last = shard.names[2]
    assert last == "vidéo/utterance_1"
    np.testing.assert_array_equal(shard.rows(last, "frame_index"), [20, 21])
    np.testing.assert_array_equal(shard.rows(last, "time"), [0.8, 0.84])
    np.testing.assert_array_equal(shard.rows(last, "box")[1], [21, 22, 23, 24])
    np.testing.assert_allclose(shard.rows(last, "landmarks")[0, 4], [20.8, 20.9], rtol=1e-6)
    np.testing.assert_allclose(shard.rows(last, "score"), [0.8, 0.79], rtol=1e-6)
    assert shard.fact(shard.names[1], "message") == "no face of 40 pixels or more in 101 frames – nobody there"
    assert [shard.fact(name, "num_frames") for name in shard.names] == [100, 101, 102]


def test_this_release_writes_what_its_golden_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.golden.make_store_golden.FOLDER", tmp_path)
    from tests.golden import make_store_golden

    make_store_golden.main()
    made, kept = Shard(tmp_path / VERSIONS[-1].name), Shard(VERSIONS[-1])
    for column in SCHEMAS["faces"].rows:
        np.testing.assert_array_equal(made.dataset(column.name), kept.dataset(column.name))
    assert (tmp_path / VERSIONS[-1].name).read_bytes() == VERSIONS[-1].read_bytes()


def make_all_stages(folder: Path) -> list[Path]:
    """Write a shard of every stage, with one long utterance and one empty one."""
    paths = []
    for stage, schema in SCHEMAS.items():
        path = folder / f"{stage}.h5"
        with ShardWriter(path, stage=stage, shard="s", fingerprint="f", provenance={}) as writer:
            for name, length in {"v/long": 120, "v/none": 0}.items():
                with writer.utterance(name) as rows:
                    if schema.bytes_of:
                        rows.append_bytes([b"image" * 10] * length)
                    elif schema.rows:
                        rows.append(**{c.name: np.ones((length, *c.shape), c.dtype) for c in schema.rows})
        paths.append(path)
    return paths


def test_files_hold_nothing_that_other_readers_would_need_us_for(tmp_path):
    paths = make_all_stages(tmp_path)
    assert len(paths) == 8
    for path in paths:
        with h5py.File(path) as file:
            found = []
            file.visititems(lambda name, place, found=found: found.append(place))
            datasets = [place for place in found if isinstance(place, h5py.Dataset)]
            assert len(datasets) >= len(UTTERANCE_COLUMNS) + 1
            for dataset in datasets:
                assert dataset.chunks is None
                assert dataset.compression is None
                text = h5py.check_string_dtype(dataset.dtype)
                assert text is None or text.length is not None
                if dataset.nbytes >= ALIGNMENT and dataset.id.get_offset() is not None:
                    assert dataset.id.get_offset() % ALIGNMENT == 0
                if not dataset.is_scale:
                    assert all(len(dimension) == 1 for dimension in dataset.dims)
                    assert {"long_name", "units"} <= set(dataset.attrs)


def test_a_file_is_hardly_larger_than_its_numbers(tmp_path):
    with ShardWriter(tmp_path / "s.h5", stage="embeddings", shard="s", fingerprint="f", provenance={}) as writer:
        for number in range(16):
            with writer.utterance(f"v/{number}") as rows:
                rows.append(embedding=np.zeros((400, 512), "f4"))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 1.02 * 16 * 400 * 512 * 4


def test_xarray_knows_dimensions_units_and_scales(tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    for path in make_all_stages(tmp_path):
        with xarray.open_dataset(path, engine="h5netcdf") as rows:
            schema = SCHEMAS[path.stem]
            assert set(rows.data_vars) == {c.name for c in schema.rows} | ({"bytes"} if schema.bytes_of else set())
            for column in schema.rows:
                assert rows[column.name].dims == column.dimensions
                assert rows[column.name].attrs == {"long_name": column.description, "units": column.unit}
            if path.stem == "stft":
                assert float(rows.stft.sel(frequency=1000, part=b"real")[119]) == 1
                assert rows.frequency.attrs["units"] == "Hz"
        with xarray.open_dataset(path, engine="h5netcdf", group="utterances") as table:
            assert table["id"].dims == ("utterance",)
            assert table["id"].values.tolist() == [b"v/long", b"v/none"]
            assert table["length"].values.tolist() == ([0, 0] if path.stem == "wav" else [120, 0])


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="no HDF5 tools: install hdf5-tools")
def test_the_tools_of_hdf5_read_a_file_and_its_names():
    listing = subprocess.run(["h5ls", "-r", VERSIONS[0]], capture_output=True, text=True, check=True).stdout
    assert "/landmarks               Dataset {5, 5, 2}" in listing.splitlines()
    dump = subprocess.run(
        ["h5dump", "-d", "/box", "-a", "/box/DIMENSION_LIST", "-a", "/box/units", VERSIONS[0]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert '"/corner"' in dump
    assert '(0): "pixel"' in dump
    assert "(4,0): 21, 22, 23, 24" in dump


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from store.shard.writer import ShardWriter

try:
    with ShardWriter(Path(sys.argv[1]), stage="embeddings", shard="s", fingerprint="f", provenance={}) as writer:
        with writer.utterance("a/b", source_sha256="0" * 64) as rows:
            rows.append(embedding=np.ones((1, 512), np.float32))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
except OSError as error:
    print("OSError", error.errno)
"""


@pytest.mark.parametrize("room", [2048, 4096, 8192, 60000])
def test_no_room_for_a_file_is_an_error_not_the_end_of_the_process(tmp_path, room):
    # libhdf5 crashes where the first pages of a file cannot be written.
    command = [sys.executable, "-c", FILL_THE_DISK, str(tmp_path / "s.h5"), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["OSError", str(errno.EFBIG)]), done.stderr
    assert list(tmp_path.iterdir()) == []

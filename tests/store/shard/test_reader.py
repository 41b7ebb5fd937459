"""Shards: written whole, read as views, refused when they are not what they say."""

import hashlib
import json
import pickle
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.errors import ShardError
from store.shard.reader import Shard
from store.shard.sidecar import compute_sidecar, read_sidecar, sidecar_path, write_sidecar
from store.shard.writer import ALIGNMENT, ShardWriter

DIGEST = "a" * 64


def write_stft(path: Path, lengths: dict[str, int], shard: str = "51") -> Path:
    """Write an STFT shard whose row i of utterance k holds the number 1000 k + i."""
    with ShardWriter(path, stage="stft", shard=shard, fingerprint="f1", provenance={"version": 1}) as writer:
        for k, (name, length) in enumerate(lengths.items()):
            with writer.utterance(name, source_sha256=DIGEST) as rows:
                values = 1000 * k + np.arange(length, dtype="<f4")
                # In two parts, as long clips come in blocks.
                for part in np.array_split(values, 2):
                    rows.append(stft=np.broadcast_to(part[:, None, None], (len(part), 257, 2)))
                if length == 0:
                    rows.set_status("no_stream", f"{name} has no sound: Ä")
    return path


def seal(path: Path) -> None:
    """Write the digests of a file that was made or changed by hand."""
    write_sidecar(path, compute_sidecar(path, {}))


def test_rows_come_back_by_utterance(tmp_path):
    shard = Shard(write_stft(tmp_path / "51.h5", {"v/a": 5, "v/b": 0, "v/ü '\"": 3}))
    assert shard.names == ["v/a", "v/b", "v/ü '\""]
    np.testing.assert_array_equal(shard.rows("v/ü '\"", "stft")[:, 256, 1], [2000, 2001, 2002])
    assert shard.rows("v/b", "stft").shape == (0, 257, 2)
    assert shard.fact("v/b", "status") == "no_stream"
    assert shard.fact("v/b", "message") == "v/b has no sound: Ä"
    assert shard.fact("v/a", "source_sha256") == DIGEST
    assert (shard.stage, shard.shard, shard.fingerprint, shard.provenance) == ("stft", "51", "f1", {"version": 1})


def test_rows_are_views_that_cannot_be_written(tmp_path):
    shard = Shard(write_stft(tmp_path / "51.h5", {"v/a": 5}))
    rows = shard.rows("v/a", "stft")
    assert np.shares_memory(rows, shard.dataset("stft"))
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1


def test_other_readers_see_named_described_datasets(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 5, "v/b": 2})
    with h5py.File(path) as file:
        assert set(file) == {"utterances", "stft", "time", "frequency", "part"}
        assert set(file["utterances"]) == {"id", "offset", "length", "status", "message", "source_sha256", "utterance"}
        assert [file["stft"].dims[axis][0].name for axis in range(3)] == ["/time", "/frequency", "/part"]
        assert file["stft"].attrs["units"] == b"1"
        assert file["frequency"][16] == 500
        assert file["stft"].id.get_offset() % ALIGNMENT == 0
        assert file["utterances/offset"][:].tolist() == [0, 5]
        assert all(h5py.check_string_dtype(file["utterances"][name].dtype) is not None for name in ("id", "status"))
        # Variable-length strings live in a heap that one flipped bit turns into a trap.
        assert h5py.check_string_dtype(file["utterances/id"].dtype).length is not None


def test_equal_rows_give_equal_files(tmp_path):
    one = write_stft(tmp_path / "one" / "51.h5", {"v/a": 5, "v/b": 0})
    two = write_stft(tmp_path / "two" / "51.h5", {"v/a": 5, "v/b": 0})
    assert one.read_bytes() == two.read_bytes()


def test_sidecar_digests_every_block_and_itself(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 100})
    sums = json.loads(sidecar_path(path).read_text())
    own = sums.pop("own_sha256")
    assert own == hashlib.sha256(json.dumps(sums, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    data = path.read_bytes()
    blocks = [data[i : i + (1 << 16)] for i in range(0, len(data), 1 << 16)]
    assert len(blocks) == 4
    with h5py.File(path) as file:
        place = [file["stft"].id.get_offset(), 100 * 257 * 2 * 4]
    assert sums == {
        "size": len(data),
        "block": 1 << 16,
        "sha256": [hashlib.sha256(block).hexdigest() for block in blocks],
        "places": {"stft": place},
    }


def test_the_blocks_of_structure_are_those_that_are_not_all_rows(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 200})
    sidecar = read_sidecar(path)
    start, length = sidecar.places["stft"]
    inside = [k for k in range(len(sidecar.sha256)) if start <= k << 16 and (k + 1) << 16 <= start + length]
    assert len(inside) >= 5
    assert sorted([*sidecar.structural_blocks, *inside]) == list(range(len(sidecar.sha256)))


def test_images_come_back(tmp_path):
    images = [b"\xff\xd8one", b"", b"\xff\xd8three"]
    with ShardWriter(tmp_path / "s.h5", stage="pixels", shard="s", fingerprint="f", provenance={}) as writer:
        for name in ("v/a", "v/b"):
            with writer.utterance(name) as rows:
                rows.append_bytes(images[:1])
                rows.append_bytes(images[1:])
    for mapped in (True, False):
        found = Shard(tmp_path / "s.h5", mapped=mapped).images("v/b")
        assert (len(found), list(found), list(found[1:])) == (3, images, images[1:])
        assert found[np.int64(-1)] == images[-1]
        with pytest.raises(IndexError):
            found[3]
        assert list(pickle.loads(pickle.dumps(found))) == images


@pytest.mark.parametrize("mapped", [True, False])
def test_images_are_read_one_at_a_time(tmp_path, mapped):
    size, count = 1 << 16, 200
    with (
        ShardWriter(tmp_path / "s.h5", stage="pixels", shard="s", fingerprint="f", provenance={}) as writer,
        writer.utterance("v/a") as rows,
    ):
        rows.append_bytes([bytes(size)] * count)
    shard = Shard(tmp_path / "s.h5", mapped=mapped)
    tracemalloc.start()
    assert sum(len(image) for image in shard.images("v/a")) == size * count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * size


def test_a_shard_without_rows_opens(tmp_path):
    shard = Shard(write_stft(tmp_path / "51.h5", {"v/a": 0}))
    assert shard.dataset("stft").shape == (0, 257, 2)


def test_a_pickled_shard_reads_the_right_rows(tmp_path):
    shard = Shard(write_stft(tmp_path / "51.h5", {"v/a": 5, "v/b": 3}))
    shard.rows("v/a", "stft")
    pickled = pickle.dumps(shard)
    assert len(pickled) < 5000
    np.testing.assert_array_equal(pickle.loads(pickled).rows("v/b", "stft")[:, 0, 0], [1000, 1001, 1002])


def test_a_file_cut_short_is_an_error_before_it_is_mapped(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 50})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 1)
    with pytest.raises(ShardError, match=rf"has {size - 1} bytes, it was written with {size}"):
        Shard(path)


def test_a_file_of_another_product_is_refused(tmp_path):
    path = tmp_path / "51.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = np.bytes_(b"theirs")
    seal(path)
    with pytest.raises(ShardError, match="its attribute format is 'theirs', it must be 'valar-store'"):
        Shard(path)


def test_a_later_format_is_refused(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 1})
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    seal(path)
    with pytest.raises(ShardError, match="has format version 99, this release reads up to 1"):
        Shard(path)


def test_a_file_that_is_no_hdf5_is_refused(tmp_path):
    path = tmp_path / "51.h5"
    path.write_bytes(b"no")
    seal(path)
    with pytest.raises(ShardError, match="cannot be read as HDF5"):
        Shard(path)


def test_a_shard_without_digests_is_refused(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 1})
    sidecar_path(path).unlink()
    with pytest.raises(ShardError, match=r"51\.h5\.sums is missing or unreadable"):
        Shard(path)


def test_a_changed_sidecar_is_refused(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 1})
    text = sidecar_path(path).read_text()
    sidecar_path(path).write_text(text.replace('"block":65536', '"block":65537'))
    with pytest.raises(ShardError, match=r"51\.h5\.sums is missing or unreadable \(its own digest differs\)"):
        Shard(path)


def test_damaged_structure_is_told_before_libhdf5_sees_it(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 100})
    with path.open("r+b") as file:
        file.seek(300)
        file.write(b"\xff")
    with pytest.raises(ShardError, match=r"is damaged between its bytes 0 and 65536; .*verify --repair"):
        Shard(path)


def test_a_file_cut_short_under_a_mapping_is_an_error_at_the_next_read(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 50})
    shard = Shard(path)
    shard.rows("v/a", "stft")
    with path.open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(ShardError, match=r"has 5000 bytes, it had \d+ when it was mapped"):
        shard.rows("v/a", "stft")


def test_a_file_cut_short_before_it_is_mapped_is_an_error(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 50})
    shard = Shard(path)
    with path.open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(ShardError, match=r"has 5000 bytes, it had \d+ when it was opened"):
        shard.rows("v/a", "stft")


def test_copies_are_errors_never_signals(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 50, "v/b": 60})
    shard = Shard(path, mapped=False)
    rows = shard.rows("v/b", "stft")
    np.testing.assert_array_equal(rows[:, 0, 0], 1000 + np.arange(60))
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1
    with path.open("r+b") as file:
        file.truncate(20000)
    with pytest.raises(ShardError, match=r"51\.h5 ends \d+ bytes early in stft"):
        shard.rows("v/b", "stft")
    assert rows[59, 0, 0] == 1059


def test_a_removed_file_stays_readable_where_it_is_mapped(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 5})
    shard = Shard(path)
    shard.rows("v/a", "stft")
    path.unlink()
    assert shard.rows("v/a", "stft")[4, 0, 0] == 4


def outside(path: Path, change) -> Path:
    """Replace the rows of a shard by something that points elsewhere."""
    write_stft(path, {"v/a": 5})
    other = write_stft(path.with_name("other.h5"), {"v/a": 5})
    with h5py.File(path, "r+") as file:
        del file["stft"]
        change(file, other)
    seal(path)
    return path


def test_an_external_link_is_refused(tmp_path):
    def change(file, other):
        file["stft"] = h5py.ExternalLink(str(other), "/stft")

    with pytest.raises(ShardError, match=r"stft is a link to .*other\.h5; a shard must contain its own data"):
        Shard(outside(tmp_path / "51.h5", change))


def test_a_virtual_dataset_is_refused(tmp_path):
    def change(file, other):
        layout = h5py.VirtualLayout((5, 257, 2), "<f4")
        layout[:] = h5py.VirtualSource(str(other), "stft", (5, 257, 2))
        file.create_virtual_dataset("stft", layout)

    with pytest.raises(ShardError, match="the data of stft are in another file"):
        Shard(outside(tmp_path / "51.h5", change))


def test_external_storage_is_refused(tmp_path):
    def change(file, other):
        file.create_dataset("stft", (5, 257, 2), "<f4", external=[(str(other), 0, 10280)])

    with pytest.raises(ShardError, match="the data of stft are in another file"):
        Shard(outside(tmp_path / "51.h5", change))


def test_chunks_and_other_shapes_are_refused(tmp_path):
    with pytest.raises(ShardError, match="stft is not one piece of this file"):
        Shard(outside(tmp_path / "a" / "51.h5", lambda f, _: f.create_dataset("stft", (5, 257, 2), "<f4", chunks=True)))
    with pytest.raises(ShardError, match=r"stft has rows \(256, 2\) float32, they must be \(257, 2\) float32"):
        Shard(outside(tmp_path / "b" / "51.h5", lambda f, _: f.create_dataset("stft", (5, 256, 2), "<f4")))


def test_a_missing_dataset_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(ShardError, match=r"51\.h5 has no dataset stft, which the stage stft must have"):
        Shard(outside(tmp_path / "51.h5", lambda f, _: None))

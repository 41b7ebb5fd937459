"""Shards that were made hostile and sealed anew: refused by arithmetic, before memory or time is spent."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from store import StoreError
from store.layout import shard_path
from store.shard.reader import Shard
from store.shard.sidecar import Sidecar, read_sidecar, write_sidecar
from store.tending.verify import verify_store
from tests.store.hostile.attacks import run, seal, snapshot
from tests.store.stores import FINGERPRINTS, write_shard

ROOT = Path(__file__).resolve().parents[3]


def with_rows(file, name, shape, dtype="<i8", **options):
    del file[f"utterances/{name}"]
    file["utterances"].create_dataset(name, shape, dtype, **options)


def declare(name, count, dtype="<i8"):
    """Make a column that is declared, and takes no room."""
    return lambda file: with_rows(file, name, count, dtype)


def replace_rows(shape):
    def change(file):
        del file["embedding"]
        file.create_dataset("embedding", shape, "<f4")

    return change


HOSTILE = {
    "2^36 utterances": (declare("id", 1 << 36, "S8"), r"utterances/id has \d+ bytes; at most \d+ are read"),
    "2^36 lengths": (declare("length", 1 << 36), "utterances/length has"),
    "declared and empty": (declare("message", 1000, "S60"), "utterances/message is not one piece of this file"),
    "8 GB of packed messages": (
        lambda f: with_rows(f, "message", 1 << 27, "S64", chunks=(1 << 20,), compression="gzip"),
        "utterances/message has 8589934592 bytes",
    ),
    "packed offsets": (
        lambda f: with_rows(f, "offset", 2, "<i8", chunks=(2,), compression="gzip", data=[0, 5]),
        "utterances/offset is not one piece of this file; it must be contiguous",
    ),
    "2^36 rows": (replace_rows((1 << 36, 512)), "embedding is not one piece of this file"),
    "rows without a dimension": (replace_rows(()), r"embedding has rows \(\)"),
    "a table of tables": (lambda f: with_rows(f, "length", (2, 2)), r"utterances/length is"),
    "strings of any length": (
        lambda f: with_rows(f, "id", 2, h5py.string_dtype(), data=["v/a", "v/b"]),
        r"utterances/id is \(2,\) object",
    ),
    "columns of two lengths": (
        lambda f: with_rows(f, "length", 3, data=[5, 0, 0]),
        "the columns of /utterances have different lengths",
    ),
    "numbers for names": (lambda f: with_rows(f, "id", 2, "<i8", data=[1, 2]), r"utterances/id is \(2,\) int64"),
    "a version of many": (
        lambda f: f.attrs.create("format_version", [1, 1]),
        r"the attribute format_version is \(2,\)",
    ),
    "a version of text": (lambda f: f.attrs.create("format_version", np.bytes_(b"1")), "attribute format_version is"),
    "a long attribute": (lambda f: f.attrs.create("stage", np.zeros(8000, "S4")), r"the attribute stage is \(8000,\)"),
    "provenance nested deeply": (
        lambda f: f.attrs.create("provenance", np.bytes_(b"[" * 50_000)),
        "nested too deeply",
    ),
    "provenance of another kind": (lambda f: f.attrs.create("provenance", np.bytes_(b"[]")), "it contains a list"),
    "settings of another kind": (
        lambda f: f.attrs.create("provenance", np.bytes_(b'{"settings": 5}')),
        "settings in the provenance is 5",
    ),
    "provenance that is not UTF-8": (lambda f: f.attrs.create("provenance", np.bytes_(b"\xff")), "can't decode"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_resealed_shard_is_refused_by_arithmetic(tmp_path, change, message):
    path = write_shard(tmp_path, "embeddings", "51", {"v/a": (9, 5), "v/b": (0, 0)})
    seal(path, change)
    with pytest.raises(StoreError, match=message):
        Shard(path)
    # Nothing was allocated or unpacked on the way: it fits in little memory, in little time.
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from store.shard.reader import Shard; from store.errors import ShardError\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)\n"
        "try: Shard(Path(sys.argv[1]))\n"
        "except ShardError: sys.exit(7)\n"
    )
    if message.startswith("utterances/id has") or "8589934592" in message:
        ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False, timeout=60)
        assert ended.returncode == 7


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"embedding": (0, 1 << 62)}, "ends at byte 4611686018427387904 of"),
        ({"embedding": (1 << 62, 1 << 62)}, "ends at byte 9223372036854775808 of"),
        ({"embedding": (-1, 5)}, "the place of embedding is -1"),
        ({f"d{k}": (0, 1) for k in range(100)}, "it has 100 places; at most 64 are read"),
        ({"embedding": (0, 1, 2)}, "too many values"),
    ],
)
def test_a_sidecar_with_places_outside_of_its_file_is_refused(tmp_path, places, message):
    path = write_shard(tmp_path, "embeddings", "51", {"v/a": (9, 5)})
    seal(path, lambda file: None, places)
    with pytest.raises(StoreError, match=message):
        Shard(path)


@pytest.mark.parametrize("changes", [{"block": 1}, {"block": 1 << 40}, {"sha256": ()}, {"size": 1 << 62}])
def test_a_sidecar_whose_digests_do_not_cover_the_file_is_refused(tmp_path, changes):
    path = write_shard(tmp_path, "embeddings", "51", {"v/a": (9, 5)})
    write_sidecar(path, Sidecar(**{**vars(read_sidecar(path)), **changes}))
    with pytest.raises(StoreError, match=r"digests for|block is \d+, it must be|bytes, it was written with"):
        Shard(path)


@pytest.mark.parametrize("identity", [b"../../x", b"v/\xff\xfe", b"v/\x1b[2J", b"v", b"/etc/passwd", b""])
def test_ids_that_are_no_names_are_told_and_lead_nowhere(store, capsys, identity):
    root, assigned = store
    path = shard_path(root, "wav", FINGERPRINTS["wav"], assigned["w/a"])
    seal(path, lambda file: swap_id(file, identity))
    code, out, err = run(capsys, "verify", root)
    assert (code, err) == (1, "")
    assert f"wav/{FINGERPRINTS['wav']}/{path.name}: structure: " in out
    assert "\x1b" not in out
    assert run(capsys, "show", root, "w/a")[0] == 2
    assert "cannot be read" in run(capsys, "why", root, "w/a")[1]


def swap_id(file, identity):
    del file["utterances/id"]
    file["utterances"].create_dataset("id", data=np.array([identity or b"\0"], f"S{max(1, len(identity))}"))


@pytest.mark.parametrize(
    ("offset", "length"), [([1, 5], [5, 0]), ([0, 5], [5, -1]), ([0, 1 << 62], [1 << 62, 1 << 62]), ([0, 5], [5, 900])]
)
def test_rows_that_are_not_where_the_index_says_are_never_shown(tmp_path, offset, length):
    path = write_shard(tmp_path, "embeddings", "51", {"v/a": (9, 5), "v/b": (9, 0)})

    def change(file):
        file["utterances/offset"][:], file["utterances/length"][:] = offset, length

    seal(path, change)
    for mapped in (True, False):
        shard = Shard(path, mapped=mapped)
        with pytest.raises(StoreError, match="run verify"):
            shard.rows("v/a", "embedding")


@pytest.mark.parametrize(("start", "size"), [(-8, 8), (1 << 62, 8), (0, 1 << 62), (0, -1)])
def test_images_outside_of_their_dataset_are_never_shown(tmp_path, start, size):
    from store.shard.writer import ShardWriter

    path = tmp_path / "crops_jpeg" / "e1" / "51.h5"
    path.parent.mkdir(parents=True)
    with (
        ShardWriter(path, stage="crops_jpeg", shard="51", fingerprint="e1", provenance={}) as writer,
        writer.utterance("v/a") as rows,
    ):
        rows.append_bytes([b"0123456789"])

    def change(file):
        file["start"][0], file["size"][0] = start, size

    seal(path, change)
    for mapped in (True, False):
        with pytest.raises(StoreError, match="outside of its dataset"):
            Shard(path, mapped=mapped).images("v/a")[0]


def test_a_status_that_is_none_is_not_carried_into_a_merged_shard(store, capsys):
    root, assigned = store
    path = shard_path(root, "stft", FINGERPRINTS["stft"], assigned["w/a"])

    def change(file):
        file["utterances/status"][0] = b"splendid"

    seal(path, change)
    before = snapshot(root)
    assert run(capsys, "compact", root)[0] == 0
    assert {name: data for name, data in snapshot(root).items() if name != ".lock"} == before
    assert [fault.kind for fault in verify_store(root)] == ["index"]

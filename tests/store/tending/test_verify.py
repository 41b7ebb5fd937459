"""Damage of every kind is found, placed, and hurts no other file."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from store import FeatureStore, StoreError
from store.layout import shard_path, wav_path
from store.records.listings import Listing
from store.schema import SCHEMAS
from store.shard.reader import Shard
from store.shard.sidecar import compute_sidecar, read_sidecar, sidecar_path, write_sidecar
from store.tending.check import check_shard
from store.tending.repair import set_aside
from store.tending.verify import Checked, verify_store
from tests.store.stores import FINGERPRINTS, write_shard

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def path_of(store, stage, name):
    root, assigned = store
    return shard_path(root, stage, FINGERPRINTS[stage], assigned[name])


def flip(path, position, bit):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def reseal(path, change):
    """Change a shard's file with h5py and digest it anew, as a writer with a fault would have left it."""
    places = read_sidecar(path).places
    with h5py.File(path, "r+") as file:
        change(file)
    write_sidecar(path, compute_sidecar(path, places))


def test_a_whole_store_has_no_faults(store):
    checked = Checked()
    assert list(verify_store(store[0], checked)) == []
    assert checked.shards == 12
    assert checked.num_bytes == sum(path.stat().st_size for path in store[0].rglob("*.h5"))


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not a feature store: it has none of the folders shards, roots and wav,"):
        list(verify_store(tmp_path))


@pytest.mark.parametrize("stage", ["faces", "stft"])
def test_a_thousand_flipped_bits_are_found_and_placed(tmp_path, stage):
    clips = {"v/a": (60, 40), "v/b": (0, 0), "v/c": (50, 90)}
    path = write_shard(tmp_path, stage, "51", clips)
    sums = sidecar_path(path)
    sizes = {path: path.stat().st_size, sums: sums.stat().st_size}
    rng = random.Random(stage)
    kinds = {"digest": 0, "sidecar": 0}
    for _ in range(1000):
        position, bit = rng.randrange(sum(sizes.values())), rng.randrange(8)
        target, at = (path, position) if position < sizes[path] else (sums, position - sizes[path])
        flip(target, at, bit)
        faults = check_shard(tmp_path, path)
        flip(target, at, bit)
        assert len(faults) == 1, (position, bit)
        kinds[faults[0].kind] += 1
        if target == path:
            assert faults[0].first_byte <= at < faults[0].end_byte
            assert faults[0].end_byte - faults[0].first_byte <= 1 << 16
        else:
            assert faults[0].path == str(sums.relative_to(tmp_path))
    assert kinds["digest"] > 900
    assert kinds["sidecar"] > 0
    assert check_shard(tmp_path, path) == []


def test_a_flipped_bit_among_rows_names_their_utterance(tmp_path):
    path = write_shard(tmp_path, "stft", "51", {"v/a": (100, 0), "v/b": (0, 0), "v/c": (100, 0)})
    start, length = read_sidecar(path).places["stft"]
    flip(path, start + length * 3 // 4, 0)
    [fault] = check_shard(tmp_path, path)
    assert (fault.kind, fault.utterances) == ("digest", ("v/c",))
    assert str(fault).startswith("stft/b1/51.h5: digest: bytes ")
    assert str(fault).endswith("(stft) have changed since they were written: v/c")


def test_a_flipped_bit_in_structure_never_reaches_libhdf5(tmp_path, monkeypatch):
    path = write_shard(tmp_path, "stft", "51", {"v/a": (60, 0)})
    flip(path, 700, 3)
    monkeypatch.setattr(h5py, "File", None)
    [fault] = check_shard(tmp_path, path)
    assert (fault.kind, fault.first_byte, fault.end_byte) == ("digest", 0, 65536)


@pytest.mark.parametrize("left", [0, 1, 4000, -1])
def test_a_cut_file_is_told_with_both_sizes(tmp_path, left):
    path = write_shard(tmp_path, "stft", "51", {"v/a": (60, 0)})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(left % size)
    [fault] = check_shard(tmp_path, path)
    assert (fault.kind, fault.message) == ("size", f"it has {left % size} bytes, it was written with {size}")


def test_other_kinds_of_fault_are_told_in_words(store):
    root = store[0]

    def last_offset(file):
        file["utterances/offset"][1] += 1

    def nan(file):
        file["embedding"][4, 17] = np.nan

    def later(file):
        file.attrs["format_version"] = 99

    def another(file):
        file.attrs["shard"] = np.bytes_(b"0" * 16)

    reseal(path_of(store, "stft", "v/a"), last_offset)
    reseal(path_of(store, "embeddings", "v/a"), nan)
    reseal(path_of(store, "faces", "v/a"), later)
    reseal(path_of(store, "crops", "v/a"), another)
    path_of(store, "frames", "v/a").write_bytes(b"theirs")
    write_sidecar(path_of(store, "frames", "v/a"), compute_sidecar(path_of(store, "frames", "v/a"), {}))
    faults = {fault.path.split("/")[0]: fault for fault in verify_store(root)}
    assert len(faults) == 5
    assert (faults["stft"].kind, faults["stft"].message) == ("index", "offset is not the running sum of length")
    assert (faults["embeddings"].kind, faults["embeddings"].utterances) == ("value", ("v/a",))
    assert "embedding has NaN or infinite values: v/a" in str(faults["embeddings"])
    assert faults["faces"].kind == "version"
    assert "has format version 99, this release reads up to 1" in faults["faces"].message
    assert f"it says that it is crops/e1/{'0' * 16}, but it is at crops/" in faults["crops"].message
    assert "cannot be read as HDF5" in faults["frames"].message
    # The other shard is as it was.
    assert FeatureStore(root)["w/a"].stft.shape == (10, 257, 2)


def test_a_link_to_elsewhere_is_a_fault(store):
    path = path_of(store, "stft", "w/a")

    def change(file):
        del file["stft"]
        file["stft"] = h5py.ExternalLink(str(path_of(store, "stft", "v/a")), "/stft")

    reseal(path, change)
    [fault] = verify_store(store[0])
    assert (fault.kind, fault.path) == ("structure", str(path.relative_to(store[0])))
    assert "stft is a link to" in fault.message


def test_damaged_missing_and_superfluous_sound(store):
    root, assigned = store
    fingerprint = FINGERPRINTS["wav"]
    flip(wav_path(root, fingerprint, assigned["v/a"], "v/a"), 100, 0)
    wav_path(root, fingerprint, assigned["v/b"], "v/b").unlink()
    shutil.copy(
        wav_path(root, fingerprint, assigned["w/a"], "w/a"), wav_path(root, fingerprint, assigned["w/a"], "w/z")
    )
    faults = [(fault.kind, fault.utterances, fault.message) for fault in verify_store(root)]
    assert [fault[:2] for fault in faults if fault[0] == "wav"] == [("wav", ("v/a",)), ("wav", ("v/b",))]
    [orphan] = [fault for fault in faults if fault[0] == "orphan"]
    assert orphan[2] == f"no utterance of {assigned['w/a']}.h5 has this sound"


def test_what_belongs_to_nothing(store):
    root = store[0]
    write_shard(root, "stft", "dead01", {"v/x": (3, 0)})
    (root / "stft" / "notes.txt").touch()
    sidecar_path(root / "faces" / "d1" / "90e.h5").touch()
    (root / "wav" / "0a" / "90e" / "v").mkdir(parents=True)
    faults = {fault.path: fault.message for fault in verify_store(root) if fault.kind == "orphan"}
    assert faults == {
        "stft/b1/dead01.h5": "no plan names the shard dead01",
        "stft/notes.txt": "it is not a part of a store",
        "faces/d1/90e.h5.sums": "digests without their file",
        "wav/0a/90e": "WAV files without 90e.h5",
    }


def test_plans_and_listings_are_compared(store):
    root, assigned = store
    plan = root / "shards" / f"{assigned['w/a']}.json"
    plan.write_text(plan.read_text().replace("w/a", "w/b"))
    faults = [(fault.kind, fault.path, fault.utterances) for fault in verify_store(root)]
    assert ("plan", f"shards/{plan.name}", ()) in faults
    assert ("root", "roots/runs-1.json", ("w/a",)) in faults
    (root / "roots" / "runs-1.json").write_text("{")
    assert [fault.kind for fault in verify_store(root) if fault.path.startswith("roots")] == ["root"]


def test_repair_sets_a_shard_aside_with_what_was_made_from_it(store):
    root, assigned = store
    damaged = path_of(store, "frames", "v/a")
    flip(damaged, 3000, 1)
    repaired = set_aside(root, list(verify_store(root)))
    shard = assigned["v/a"]
    moved = [f"{stage}/{FINGERPRINTS[stage]}/{shard}.h5" for stage in ("frames", "faces", "crops", "embeddings")]
    assert sorted(repaired.moved) == sorted([*moved, *(f"{path}.sums" for path in moved)])
    assert repaired.left == []
    assert all((root / "damaged" / path).exists() and not (root / path).exists() for path in moved)
    assert path_of(store, "stft", "v/a").exists()
    assert path_of(store, "embeddings", "w/a").exists()
    assert list(verify_store(root)) == []


def test_repair_sets_sound_aside_with_its_transform(store):
    root, assigned = store
    flip(wav_path(root, FINGERPRINTS["wav"], assigned["v/a"], "v/a"), 100, 0)
    set_aside(root, list(verify_store(root)))
    shard = assigned["v/a"]
    assert (root / "damaged" / "wav" / "0a" / shard / "v" / "a.wav").exists()
    assert not path_of(store, "stft", "v/a").exists()
    assert not path_of(store, "wav", "v/a").exists()
    assert list(verify_store(root)) == []


def test_repair_leaves_what_cannot_be_made_again(store):
    root, assigned = store
    listing = Listing.read(root / "roots" / "runs-1.json")
    Listing("runs-1", listing.fingerprints, listing.shards, listing.sources, frozenset({"w/a"})).write(root)
    flip(path_of(store, "stft", "w/a"), 5000, 1)
    repaired = set_aside(root, list(verify_store(root)))
    assert repaired.moved == []
    [(path, reason)] = repaired.left
    assert path == f"stft/b1/{assigned['w/a']}.h5"
    assert reason.startswith("1 clip of this shard has lost its file and cannot be read again (the first: w/a)")
    assert path_of(store, "stft", "w/a").exists()


@pytest.mark.parametrize("is_damaged", [False, True])
def test_repair_leaves_rows_that_cannot_be_made_again_without_their_plan_too(store, is_damaged):
    root, assigned = store
    listing = Listing.read(root / "roots" / "runs-1.json")
    Listing("runs-1", listing.fingerprints, listing.shards, listing.sources, frozenset({"w/a"})).write(root)
    plan = root / "shards" / f"{assigned['w/a']}.json"
    if is_damaged:
        plan.write_text("{")
    else:
        plan.unlink()
    repaired = set_aside(root, list(verify_store(root)))
    assert repaired.moved == ["roots/runs-1.json"]
    assert {reason.partition(" and ")[0] for _, reason in repaired.left} == {"1 clip of this shard has lost its file"}
    stages = [f"{stage}/{fingerprint}/{plan.stem}.h5" for stage, fingerprint in FINGERPRINTS.items()]
    stages.remove(f"pixels/0/{plan.stem}.h5")
    assert sorted(path for path, _ in repaired.left) == sorted([*stages, *[f"shards/{plan.name}"] * is_damaged])


def test_repair_moves_a_shard_without_a_plan_with_all_that_belongs_to_it(store):
    root = store[0]
    write_shard(root, "wav", "dead01", {"v/x": (3, 0)})
    repaired = set_aside(root, list(verify_store(root)))
    assert repaired.moved == [f"wav/0a/dead01{end}" for end in (".h5", ".h5.sums", "")]
    assert list(verify_store(root)) == []


def test_two_repairs_of_one_file_keep_both(store):
    root, assigned = store
    for _ in range(2):
        path = path_of(store, "stft", "w/a")
        path.unlink(missing_ok=True)
        write_shard(root, "stft", assigned["w/a"], {"w/a": (10, 3)})
        flip(path, 5000, 1)
        set_aside(root, list(verify_store(root)))
    folder = root / "damaged" / "stft" / "b1"
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        f"{assigned['w/a']}.h5{end}" for end in ("", ".2", ".sums", ".sums.2")
    )


def test_a_sidecar_with_faults_leaves_the_shard_readable_by_no_one(store):
    path = path_of(store, "stft", "w/a")
    value = json.loads(sidecar_path(path).read_text())
    sidecar_path(path).write_text(json.dumps(value))
    [fault] = verify_store(store[0])
    assert fault.kind == "sidecar"
    with pytest.raises(StoreError, match="its own digest differs"):
        Shard(path)


def test_repair_leaves_what_a_later_release_has_written(store):
    root = store[0]
    path = path_of(store, "faces", "v/a")

    def later(file):
        file.attrs["format_version"] = 2

    reseal(path, later)
    plan = root / "shards" / f"{store[1]['w/a']}.json"
    plan.write_text(plan.read_text().replace('"format_version":1', '"format_version":2'))
    listing = root / "roots" / "runs-1.json"
    listing.write_text(listing.read_text().replace('"format_version":1', '"format_version":2'))
    faults = [fault for fault in verify_store(root) if fault.kind == "version"]
    assert sorted(fault.path.split("/")[0] for fault in faults) == ["faces", "roots", "shards"]
    repaired = set_aside(root, faults)
    assert repaired.moved == []
    assert {reason for _, reason in repaired.left} == {"nothing is wrong with it; update Valar"}


def test_an_unknown_stage_is_told(store):
    def theirs(file):
        file.attrs["stage"] = np.bytes_(b"gait")

    reseal(path_of(store, "faces", "v/a"), theirs)
    [fault] = verify_store(store[0])
    assert fault.message.endswith("is of the stage 'gait', it must be one of " + ", ".join(SCHEMAS))


def test_an_unreadable_file_is_a_fault_and_hides_no_other(store):
    path = path_of(store, "stft", "v/a")
    path.unlink()
    path.mkdir()
    flip(path_of(store, "stft", "w/a"), 5000, 0)
    assert sorted(fault.kind for fault in verify_store(store[0])) == ["digest", "size"]


def test_what_an_interrupted_run_leaves_is_no_fault(store):
    root, assigned = store
    path = path_of(store, "wav", "v/a")
    path.unlink()
    assert sidecar_path(path).exists()
    assert (root / "wav" / "0a" / assigned["v/a"] / "v" / "a.wav").exists()
    assert list(verify_store(root)) == []


MEASURE = """
import resource, sys
from pathlib import Path
from store.shard.sidecar import compute_sidecar

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
sidecar = compute_sidecar(Path(sys.argv[1]), {})
print(len(sidecar.sha256), peak() - before)
"""


def test_digesting_takes_no_memory_for_a_large_file(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(400 << 20)
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    num_blocks, grown_mib = map(int, ended.stdout.split())
    assert num_blocks == 400
    assert grown_mib < 150

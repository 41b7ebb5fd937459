"""gc, compact and erase: nothing that a run reaches is lost, and nothing of the erased is left."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from store import FeatureStore, StoreError, UtteranceNotFoundError, files
from store.__main__ import main
from store.layout import shard_path, wav_path
from store.pages_mark import PAGES_MARK
from store.records.erased import read_erased
from store.records.listings import Listing, SeenListings
from store.records.plans import StoredPlan, plan_of, read_stored_plans
from store.shard.writer import ShardWriter
from store.tending.compact import _share_room, compact_store, plan_merges
from store.tending.erase import erase, render_erasure
from store.tending.garbage import find_garbage, remove_garbage, render_garbage
from store.tending.repair import set_aside
from store.tending.rewrite import _link_wav, snapshot_sets
from store.tending.verify import verify_store
from tests.store.stores import FINGERPRINTS, SHARDS, make_store, member, write_shard


def snapshot(root):
    """Everything that a reader gets of every utterance."""
    store = FeatureStore(root)
    return {
        name: {
            "stft": store[name].stft.tobytes(),
            "embeddings": store[name].embeddings.tobytes(),
            "crops": store[name].crops.tobytes(),
            "times": store[name].face_times.tobytes(),
            "status": store[name].status,
            "messages": store[name].messages,
            "digest": store[name].source_sha256,
            "wav": wav_path(root, FINGERPRINTS["wav"], store[name].shard, name).read_bytes(),
            "width": store[name].find_shard("frames").fact(name, "width"),
            "stamp": store.listing.sources[name],
        }
        for name in store
    }


def test_a_store_without_garbage(store):
    root = store[0]
    assert find_garbage(root) == []
    assert render_garbage([], removed=True) == "nothing to remove: a run needs every file"


def test_gc_removes_old_settings_and_unlisted_shards_only(store):
    root, assigned = store
    before = snapshot(root)
    old = write_shard(root, "stft", assigned["v/a"], SHARDS["one"], fingerprint="b0")
    plan = plan_of([member("x/a")])
    plan.write(root)
    dead = write_shard(root, "wav", plan.shard, {"x/a": (4, 0)})
    garbage = find_garbage(root)
    assert [(item.path, item.reason) for item in garbage] == [
        (f"wav/0a/{plan.shard}.h5", "no utterance that a run lists is in this shard"),
        (f"stft/b0/{assigned['v/a']}.h5", "no run has these settings any more"),
        (f"shards/{plan.shard}.json", "no utterance that a run lists is in this shard"),
    ]
    kept = {path for path in root.rglob("*") if path.is_file()}
    size = sum(path.stat().st_size for path in kept)
    remove_garbage(root, garbage)
    left = {path for path in root.rglob("*") if path.is_file()}
    assert sum(item.num_bytes for item in garbage) == size - sum(path.stat().st_size for path in left)
    assert not old.parent.exists()
    assert not dead.with_suffix("").exists()
    assert snapshot(root) == before
    assert list(verify_store(root)) == []


def test_gc_keeps_what_another_run_reaches(store):
    root, assigned = store
    write_shard(root, "stft", assigned["v/a"], SHARDS["one"], fingerprint="b0")
    listing = Listing.read(root / "roots" / "runs-1.json")
    dataclasses.replace(listing, run="runs-0", fingerprints={**FINGERPRINTS, "stft": "b0"}).write(root)
    assert find_garbage(root) == []


def test_gc_does_nothing_where_nothing_is_known(store):
    root = store[0]
    (root / "roots" / "runs-1.json").unlink()
    with pytest.raises(StoreError, match="has no listing of a run, so gc cannot know what is needed"):
        find_garbage(root)


def test_gc_finds_what_killed_processes_left(store):
    root = store[0]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with files.temporary_folder(root / "faces", "crops") as folder:
        left = root / "faces" / folder.name.replace(f"-{os.getpid()}", f"-{ended.pid}")
        left.mkdir()
        (left / "crop").write_bytes(b"12345")
        [item] = find_garbage(root)
        assert (item.path, item.num_bytes) == (f"faces/{left.name}", 5)
        remove_garbage(root, [item])
        assert not left.exists()
        assert folder.exists()


def test_compact_merges_small_shards_and_changes_no_row(store):
    root = store[0]
    before = snapshot(root)
    newest = (root / "roots" / "runs-1.json").stat().st_mtime_ns
    [merge] = plan_merges(root, 64)
    compact_store(root, [merge])
    assert snapshot(root) == before
    assert list(verify_store(root)) == []
    assert len(list((root / "stft" / "b1").glob("*.h5"))) == 1
    assert (root / "roots" / "runs-1.json").stat().st_mtime_ns == newest
    # The pipeline knows the new shard as one of its own.
    plan = StoredPlan.read(root / "shards" / f"{merge.plan.shard}.json")
    assert [(m.name, m.stamp) for m in plan.members] == [(name, member(name).stamp) for name in ("v/a", "v/b", "w/a")]
    assert json.loads((root / "shards" / f"{merge.plan.shard}.json").read_text())["supersedes"] == sorted(
        set(store[1].values())
    )
    assert plan_merges(root, 64) == []


def test_compact_passes_by_a_name_too_long_to_have_a_sound(tmp_path):
    name = "v/" + "b" * 252
    _link_wav(wav_path(tmp_path, "0a", "old", name), wav_path(tmp_path, "0a", "new", name))
    assert list(tmp_path.iterdir()) == []


def test_compact_respects_the_size_of_a_shard(store):
    assert plan_merges(store[0], 2) == []
    assert len(plan_merges(store[0], 3)) == 1


def test_compact_writes_the_listings_as_seldom_as_the_disk_has_room(store):
    root = store[0]
    (merge,) = plan_merges(root, 64)
    sets = snapshot_sets(root)
    size = sum(path.stat().st_size for paths in sets.values() for path in paths.values())
    for room, batches in ((5 * size, [5]), (2 * size, [2, 2, 1]), (2 * size - 1, [1] * 5), (0, [1] * 5)):
        assert [len(batch) for batch in _share_room([merge] * 5, sets, room)] == batches


def test_compact_drops_the_rows_of_changed_clips(store):
    root = store[0]
    changed = member("v/b")._replace(mtime_ns=2 * 10**18)
    plan = plan_of([changed])
    plan.write(root)
    for stage in FINGERPRINTS:
        if stage != "pixels":
            write_shard(root, stage, plan.shard, {"v/b": (7, 1)})
    listing = Listing.read(root / "roots" / "runs-1.json")
    shards, sources = listing.shards | {"v/b": plan.shard}, listing.sources | {"v/b": changed.stamp}
    dataclasses.replace(listing, shards=shards, sources=sources).write(root)
    before = snapshot(root)
    assert len(before["v/b"]["stft"]) == 7 * 257 * 8
    compact_store(root, plan_merges(root, 64))
    assert snapshot(root) == before
    assert FeatureStore(root).shard("stft", FeatureStore(root)["v/b"].shard).num_rows("stft") == 30 + 7 + 10
    assert list(verify_store(root)) == []


def test_compact_leaves_unfinished_shards_alone(store):
    root, assigned = store
    shard_path(root, "embeddings", "e4bed0000001", assigned["w/a"]).unlink()
    assert plan_merges(root, 64) == []


def test_compact_leaves_damaged_shards_as_they_are(store):
    root, assigned = store
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    path = shard_path(root, "faces", "d1", assigned["w/a"])
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    compact_store(root, plan_merges(root, 64))
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before


def test_compact_reads_each_listing_once(store, monkeypatch):
    root, _ = store
    dataclasses.replace(Listing.read(root / "roots" / "runs-1.json"), run="runs-2").write(root)
    seen = []
    read = Listing.read.__func__
    monkeypatch.setattr(Listing, "read", classmethod(lambda kind, path: seen.append(path.name) or read(kind, path)))
    monkeypatch.setattr("store.tending.compact._SHARE_OF_ROOM", 0)  # a batch for each merge: listings are written often
    assert main(["compact", str(root), "--shard-size", "64"]) == 0
    assert sorted(seen) == ["runs-1.json", "runs-2.json"]
    assert len(set(Listing.read(root / "roots" / "runs-2.json").shards.values())) == 1


def test_a_listing_that_is_written_after_the_plan_of_a_compaction_is_read_again(store):
    root, _ = store
    listings = SeenListings(root)
    merges = plan_merges(root, 64, listings)
    path = root / "roots" / "runs-1.json"
    times = path.stat()
    dataclasses.replace(Listing.read(path), runs="/moved").write(root)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    compact_store(root, merges, listings)
    assert Listing.read(path).runs == "/moved"
    assert set(Listing.read(path).shards.values()) == {merges[0].plan.shard}


def occurrences(root, needles):
    found = []
    for path in root.rglob("*"):
        content = b"" if path.is_dir() else path.read_bytes()
        found += [(path.name, needle) for needle in needles if needle in content or needle in str(path).encode()]
    return found


def test_nothing_of_the_erased_is_left_and_nothing_else_is_lost(tmp_path):
    root, runs = tmp_path / "store", tmp_path / "runs"
    name, other = "withdrawn_video/utterance_7", "other_video/utterance_1"
    make_store(root, {"one": {name: (30, 5), other: (20, 4)}, "two": {"w/a": (10, 3)}})
    listing = Listing.read(root / "roots" / "runs-1.json")
    dataclasses.replace(listing, runs=str(runs)).write(root)
    write_shard(root, "stft", listing.shards[name], {name: (30, 5), other: (20, 4)}, fingerprint="b0")
    clip = FeatureStore(root)[name]
    needles = [b"withdrawn_video", clip.source_sha256.encode(), clip.crops[3].tobytes(), clip.stft[5].tobytes()]
    needles.append(clip.embeddings[2].tobytes())
    needles.append(wav_path(root, "0a", clip.shard, name).read_bytes()[2000:2200])
    assert len({needle for _, needle in occurrences(root, needles)}) == len(needles)
    # A damaged file that was set aside, a page, and a run that was trained on them.
    aside = shard_path(root, "embeddings", "e4bed0000001", clip.shard)
    aside.write_bytes(aside.read_bytes()[:-1])
    set_aside(root, [fault for fault in verify_store(root) if fault.kind == "size"])
    (root / "pages" / "clips").mkdir(parents=True)
    (root / "pages" / PAGES_MARK).write_text('{"run": "runs-1"}')
    (root / "pages" / "clips" / "0.html").write_text("withdrawn_video")
    contents = {
        "checkpoints/anet-1/training.json": "{}",
        "reports/r/ledger.csv": f"{name},train",
        "reports/r/predictions.csv": f"{name.replace('/', ',')}.mp4,0.1,0.2",
        "reports/r/other.csv": other,
    }
    for path, content in contents.items():
        (runs / path).parent.mkdir(parents=True, exist_ok=True)
        (runs / path).write_text(content)
    before = {other: snapshot_of(root, other), "w/a": snapshot_of(root, "w/a")}

    result = erase(root, ["withdrawn_video"])

    assert occurrences(root, needles) == []
    assert {other: snapshot_of(root, other), "w/a": snapshot_of(root, "w/a")} == before
    assert list(verify_store(root)) == []
    assert result.utterances == [name]
    assert result.pages == ["pages"]
    assert not (root / "pages").exists()
    assert result.checkpoints == [str(runs / "checkpoints" / "anet-1")]
    assert result.reports == [str(runs / "reports" / "r" / file) for file in ("ledger.csv", "predictions.csv")]
    text = render_erasure(result)
    assert "checkpoints that may have been trained on them; remove them and train again:\n  " in text
    assert text.startswith("erased 1 utterance from 1 shard; later runs refuse them\n")


def snapshot_of(root, name):
    store = FeatureStore(root)
    return store[name].stft.tobytes(), store[name].crops.tobytes(), store[name].status["faces"]


def test_the_erased_are_refused_by_name_and_by_video(store):
    root = store[0]
    erase(root, ["v/a", "w"])
    erased = read_erased(root)
    assert ["v/a" in erased, "v/b" in erased, "w/a" in erased, "w/new" in erased] == [True, False, True, True]
    assert len(erased.find_date("v/a")) == 10
    assert list(FeatureStore(root)) == ["v/b"]
    assert next(iter(read_stored_plans(root).values())).names == ["v/b"]
    # Once more, as after an interruption.
    assert erase(root, ["v/a"]).utterances == []


def write_rows(root, shard, clips):
    """Write a shard's STFT: name of an utterance to the digest of what it was made of."""
    path = shard_path(root, "stft", FINGERPRINTS["stft"], shard)
    with ShardWriter(path, stage="stft", shard=shard, fingerprint=FINGERPRINTS["stft"], provenance={}) as writer:
        for name, source_sha256 in clips.items():
            with writer.utterance(name, source_sha256=source_sha256) as rows:
                rows.append(stft=np.ones((2, 257, 2), np.float32))


def test_whoever_had_another_name_once_is_erased_under_both(tmp_path):
    root, one, other = tmp_path / "store", "1" * 64, "2" * 64
    before, now = plan_of([member("v/old"), member("v/b")]), plan_of([member("z/new")])
    parts = plan_of([member("r/1")._replace(override=said) for said in ('{"cut": [0, 1]}',)])
    rest = plan_of([member("r/2")._replace(override='{"cut": [1, 2]}')])
    contents = {before: [other, one], now: [one], parts: [other], rest: [other]}
    for plan, digests in contents.items():
        plan.write(root)
        write_rows(root, plan.shard, dict(zip(plan.names, digests, strict=True)))
    result = erase(root, ["z/new"])
    assert (result.utterances, result.equal) == (["v/old", "z/new"], ["v/old"])
    assert "you did not name the following of these; they have the same content as one that you named:\n  v/old" in (
        render_erasure(result)
    )
    assert {name for plan in read_stored_plans(root).values() for name in plan.names} == {"v/b", "r/1", "r/2"}
    assert {"v/old", "z/new"} == {name for name in ("v/old", "v/b", "z/new") if name in read_erased(root)}
    result = erase(root, ["r/1"])
    assert (result.equal, result.akin) == ([], ["r/2", "v/b"]), (
        "another part of the recording is another clip, and is told"
    )
    assert "also erase those of the same person:\n  r/2\n  v/b" in render_erasure(result)


def test_files_that_hold_nobody_are_not_taken_for_the_same_clip(tmp_path):
    root, empty = tmp_path / "store", "e" * 64
    plan = plan_of([member("v/a"), member("w/b")])
    plan.write(root)
    path = shard_path(root, "stft", FINGERPRINTS["stft"], plan.shard)
    with ShardWriter(path, stage="stft", shard=plan.shard, fingerprint=FINGERPRINTS["stft"], provenance={}) as writer:
        for name in plan.names:
            with writer.utterance(name, source_sha256=empty) as rows:
                rows.set_status("decode_error", "the file is empty")
    assert erase(root, ["v/a"]).equal == []
    assert "w/b" not in read_erased(root), "its recording may come later"


def test_an_unknown_name_erases_nothing(store):
    root = store[0]
    with pytest.raises(UtteranceNotFoundError, match=r"'v/c' is neither an utterance nor a video of .* names are v/"):
        erase(root, ["v/a", "v/c"])
    assert len(FeatureStore(root)) == 3
    assert not (root / "erased.json").exists()


def test_a_damaged_list_of_the_erased_stops_everything(store):
    root = store[0]
    (root / "erased.json").write_text("{")
    with pytest.raises(StoreError, match="that this store must refuse are not known; restore it from a backup"):
        read_erased(root)


def test_a_reader_of_before_keeps_its_rows(store):
    root = store[0]
    rows = FeatureStore(root)["v/b"].stft
    expected = rows.copy()
    erase(root, ["v/a"])
    np.testing.assert_array_equal(rows, expected)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("step", ["write_merged", "rewrite_listings", "remove_shard"])
def test_a_compaction_that_is_killed_loses_nothing_and_can_be_finished(store, monkeypatch, step):
    root = store[0]
    before = snapshot(root)

    def kill(*arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(f"store.tending.compact.{step}", kill)
        with pytest.raises(KilledError):
            compact_store(root, plan_merges(root, 64))
    assert snapshot(root) == before
    compact_store(root, plan_merges(root, 64))
    remove_garbage(root, find_garbage(root))
    assert snapshot(root) == before
    assert len(read_stored_plans(root)) == 1
    assert list(verify_store(root)) == []


@pytest.mark.parametrize("step", ["write_merged", "rewrite_listings", "remove_shard"])
def test_an_erasure_that_is_killed_is_on_record_and_can_be_finished(store, monkeypatch, step):
    root = store[0]
    kept = snapshot(root)["v/b"]

    def kill(*arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(f"store.tending.erase.{step}", kill)
        with pytest.raises(KilledError):
            erase(root, ["v/a"])
    assert "v/a" in read_erased(root)
    assert erase(root, ["v/a"]).utterances == ["v/a"]
    assert occurrences(root, [b"v/a"]) == []
    assert list(FeatureStore(root)) == ["v/b", "w/a"]
    assert snapshot(root)["v/b"] == kept
    assert list(verify_store(root)) == []

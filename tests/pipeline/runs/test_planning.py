"""How a store, its last run and the clips' files determine the plan."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.dataset.utterances import Dataset, Utterance
from pipeline.errors import UserError
from pipeline.runs.plan import Plan
from pipeline.runs.planning import check_vanished, find_read_again, plan_clips, read_listing
from pipeline.runs.stage_files import StageFiles
from store.records.listings import Listing
from store.shard.writer import ShardWriter
from tests.store.stores import FINGERPRINTS, digest, make_store, member

NAMES = ["v/a", "v/b", "w/a"]


def listed(*names):
    rows = [Utterance(*name.split("/"), "train", 0.5, 0.1, None, None, None, Path("t.csv"), 2) for name in names]
    return Dataset(tuple(rows), ())


def plan(root, clips, *names):
    files = StageFiles(store=root, fingerprints=FINGERPRINTS, kept=frozenset())
    listing = Listing.read(root / "roots" / "runs-1.json") if (root / "roots").exists() else None
    made, again = plan_clips(2, listed(*names), {c.name: c for c in clips}, listing, files, root.parent / "videos")
    assert again == frozenset()
    return made


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def digests(monkeypatch):
    """What clips contain, by the name of their file; the store's own digests are invented."""
    contents = {f"{name.replace('/', '-')}": digest(name) for name in NAMES}

    def compute(path):
        found = contents["-".join(path.with_suffix("").parts[-2:])]
        if isinstance(found, OSError):
            raise found
        return found

    for module in ("planning", "known_content"):
        monkeypatch.setattr(f"pipeline.runs.{module}.compute_file_digest", compute)
    return contents


def test_an_empty_store_gets_new_shards(root):
    made = plan(root, [member(name) for name in NAMES], *NAMES)
    assert sorted(len(shard.members) for shard in made.shards.values()) == [1, 2]
    assert made.new == set(made.shards)


def test_a_finished_store_is_taken_as_it_is_and_no_clip_is_read(root):
    assigned = make_store(root)
    made = plan(root, [member(name) for name in NAMES], *NAMES)
    assert (made.assigned, made.new, made.vanished) == (assigned, frozenset(), frozenset())


def test_a_touched_clip_stays_where_it_is_and_a_changed_one_does_not(root, digests):
    assigned = make_store(root)
    touched = [member(name)._replace(mtime_ns=5) for name in NAMES]
    assert plan(root, touched, *NAMES).assigned == assigned
    digests["w-a"] = digest("other")
    made = plan(root, touched, *NAMES)
    assert {name for name in NAMES if made.assigned[name] != assigned[name]} == {"w/a"}
    assert made.new == {made.assigned["w/a"]}


def test_a_clip_that_is_gone_keeps_its_shard_and_one_never_seen_has_none(root):
    assigned = make_store(root)
    made = plan(root, [member("v/a"), member("v/b")], *NAMES, "z/z")
    assert made.assigned == assigned
    assert (made.vanished, made.missing) == ({"w/a"}, {"z/z"})


def test_a_clip_whose_file_was_gone_is_planned_anew_once_it_can_be_read(root, digests):
    assigned = make_store(root)
    shard = assigned["w/a"]
    for stage in ("stft", "embeddings"):
        path = root / stage / FINGERPRINTS[stage] / f"{shard}.h5"
        path.unlink()
        with (
            ShardWriter(path, stage=stage, shard=shard, fingerprint=FINGERPRINTS[stage], provenance={}) as writer,
            writer.utterance("w/a") as rows,
        ):
            rows.set_status("missing_file", "the file is gone")
    files = StageFiles(store=root, fingerprints=FINGERPRINTS, kept=frozenset())
    clips = [member(name) for name in NAMES]
    digests["w-a"] = PermissionError(13, "Permission denied")
    made = plan(root, clips, *NAMES)
    assert (made.assigned, made.new) == (assigned, frozenset()), "it stays where that is noted"
    digests["w-a"] = digest("w/a")
    made = plan(root, clips, *NAMES)
    assert made.new == {shard}, "a shard is named after its clips"
    assert find_read_again(made, files) == {shard}
    assert find_read_again(plan(root, clips, "v/a", "v/b"), files) == frozenset()


def test_the_listing_is_the_runs_own_else_the_newest_ones(root):
    assert read_listing(root, "runs-1") is None
    make_store(root)
    other = Listing("runs-2", FINGERPRINTS, {}, {})
    os.utime(root / "roots" / "runs-1.json", (5, 5))
    os.utime(other.write(root), (9, 9))
    os.utime(Listing("predict-3", FINGERPRINTS, {}, {}).write(root), (99, 99))
    assert read_listing(root, "runs-1").run == "runs-1"
    assert read_listing(root, "new").run == "runs-2", "and never that of a prediction"


def make_run(present, gone, limit=0.5, clips=True):
    names = [*present, *gone]
    return SimpleNamespace(
        before=Listing("runs-1", {}, dict.fromkeys(names, "5a"), dict.fromkeys(names, (1, 1))),
        clips=dict.fromkeys(present) if clips else {},
        videos=Path("videos"),
        dataset=listed(*names),
        plan=Plan({}, dict.fromkeys(names if clips else (), "5a"), frozenset(gone), frozenset(), {}),
        settings=SimpleNamespace(run=SimpleNamespace(max_vanished=limit)),
    )


def test_too_many_sources_gone_at_once_stop_the_run():
    check_vanished(make_run(["v/a", "v/b"], ["v/c", "v/d"]))
    with pytest.raises(UserError, match=r"^3 of the 5 sources .* \(the first: v/c\), more than .* max_vanished = 0.5"):
        check_vanished(make_run(["v/a", "v/b"], ["v/c", "v/d", "v/e"]))
    check_vanished(make_run(["v/a"], ["v/b", "v/c"], limit=1))
    run = make_run(["v/a"], ["v/b", "v/c"], limit=0)
    run.before = Listing("runs-1", {}, run.before.shards, run.before.sources, vanished=frozenset({"v/b", "v/c"}))
    check_vanished(run)  # they were gone before


def test_no_file_at_all_names_the_first_that_was_looked_for():
    with pytest.raises(UserError, match=r"none of the 2 utterances has a file in videos: the first .* videos/v/a$"):
        check_vanished(make_run(["v/a", "v/b"], [], clips=False))

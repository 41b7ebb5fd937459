"""A clip that is renamed, moved to another video, or copied keeps its features."""

import dataclasses
import shutil

import numpy as np
import pytest

from pipeline.runs.known_content import describe_taken, find_known_content
from pipeline.runs.stage_files import StageFiles
from store import FeatureStore
from store.layout import StageSet, wav_path
from store.records.plans import plan_of, read_stored_plans
from store.shard.writer import ShardWriter
from store.tables import Table
from store.tending.rewrite import write_copied
from store.tending.verify import verify_store
from tests.pipeline.test_full_run import done_counts
from tests.store.stores import FINGERPRINTS, digest, make_store, member


def test_a_renamed_video_is_not_computed_again(finished):
    before = FeatureStore(finished.folder / "store")
    old = sorted(name for name in before if name.startswith("speaker00_1/"))
    assert old == ["speaker00_1/utterance_1", "speaker00_1/utterance_2"]
    parts = ("stft", "embeddings", "crops", "boxes", "landmarks", "face_times")
    rows = {name: {part: getattr(before[name], part).copy() for part in parts} for name in old}
    (finished.folder / "videos" / "speaker00_1").rename(finished.folder / "videos" / "renamed")
    csv = finished.folder / "omg_TrainVideos.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace("speaker00_1,", "renamed,"), encoding="utf-8")
    said = (
        "2 clips are in the store under other names, so nothing is computed for them (the first: renamed/utterance_1 "
        f"has the content of {old[0]})"
    )
    told = finished.command("status")
    assert told.returncode == 3
    assert said in told.stdout
    assert [line.split()[-1] for line in told.stdout.splitlines()[1:6]] == ["0"] * 5, told.stdout
    ended = finished.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    assert said in " ".join(ended.stderr.split())
    assert set(done_counts(finished).values()) == {0}
    after = FeatureStore(finished.folder / "store")
    for name, expected in rows.items():
        clip = after[name.replace("speaker00_1/", "renamed/")]
        assert all(np.array_equal(getattr(clip, part), expected[part]) for part in parts)
        assert set(clip.status.values()) == {"ok"}
    assert finished.ledger()["renamed/utterance_1"]["sound"] == "ok"
    assert not list(verify_store(finished.folder / "store"))
    # The files that later stages need are copied, too: with another setting the faces of the renamed clip are found.
    finished.configure("[faces]\ndetect_every = 5\n")
    assert finished.run(task="Features").returncode == 0
    assert done_counts(finished)["read frame times"] == done_counts(finished)["transform sound"] == 0
    row = finished.ledger()["renamed/utterance_1"]
    assert (row["picture"], row["shard"]) == ("ok", after["renamed/utterance_1"].shard)
    assert int(row["num_faces"]) > 0


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


def find(root, clips, *, erased=(), kept=frozenset()):
    files = StageFiles(store=root, fingerprints=FINGERPRINTS, kept=kept)
    return find_known_content(files, read_stored_plans(root), clips, root.parent / "videos", erased.__contains__)


def test_what_is_known_is_found_by_size_and_digest(root, monkeypatch):
    assigned = make_store(root)
    read = []
    monkeypatch.setattr(
        "pipeline.runs.known_content.compute_file_digest", lambda path: read.append(path.name) or digest("v/a")
    )
    renamed = member("v/a")._replace(name="z/new", path="z/new.mp4")
    assert find(root, [renamed]) == {"z/new": (assigned["v/a"], "v/a")}
    assert find(root, [renamed, renamed._replace(name="z/other")]) == {
        "z/new": (assigned["v/a"], "v/a"),
        "z/other": (assigned["v/a"], "v/a"),
    }
    read.clear()
    assert find(root, [renamed._replace(size=7)]) == {}
    assert find(root, [renamed._replace(override='{"audio_stream": 1}')]) == {}
    assert find(root, [renamed], erased=["v/a"]) == {}, "what is erased does not come back"
    assert find(root, [renamed], kept=frozenset({"pixels"})) == {}, "it has not all that is asked for"
    assert read == [], "nothing is read where nothing of that size is known"
    monkeypatch.setattr("pipeline.runs.known_content.compute_file_digest", lambda path: digest("other"))
    assert find(root, [renamed]) == {}


def test_a_clip_that_cannot_be_read_is_left_to_the_stage_that_reads_it(root):
    make_store(root)
    assert find(root, [member("v/a")._replace(name="z/new", path="z/new.mp4")]) == {}


@pytest.mark.parametrize(("status", "is_known"), [("no_face", True), ("decode_error", False), ("missing_file", False)])
def test_only_what_is_the_content_s_alone_is_taken_over(root, monkeypatch, status, is_known):
    assigned = make_store(root, {"one": {"v/a": (3, 1)}})
    path = StageFiles(store=root, fingerprints=FINGERPRINTS, kept=frozenset()).path("embeddings", assigned["v/a"])
    path.unlink()
    with (
        ShardWriter(
            path, stage="embeddings", shard=assigned["v/a"], fingerprint=FINGERPRINTS["embeddings"], provenance={}
        ) as writer,
        writer.utterance("v/a", source_sha256=digest("v/a")) as rows,
    ):
        rows.set_status(status, "why")
    monkeypatch.setattr("pipeline.runs.known_content.compute_file_digest", lambda path: digest("v/a"))
    assert bool(find(root, [member("v/a")._replace(name="z/new")])) == is_known


def copy(root, stage, plan, places):
    stage_set = StageSet(stage, FINGERPRINTS[stage], root / stage / FINGERPRINTS[stage])
    write_copied(root, stage_set, plan, places, {name: digest(old) for name, (_, old) in places.items()})


def test_rows_are_copied_under_other_names_in_each_stage(root):
    assigned = make_store(root)
    plan = plan_of([member("z/one"), member("z/two")])
    places = {"z/one": (assigned["w/a"], "w/a"), "z/two": (assigned["v/a"], "v/a")}
    for stage in FINGERPRINTS:
        copy(root, stage, plan, places)
    assert not (root / "pixels").exists()
    files = StageFiles(store=root, fingerprints=FINGERPRINTS, kept=frozenset())
    for stage, dataset in (("stft", "stft"), ("faces", "box"), ("embeddings", "embedding"), ("crops", "crop")):
        new = files.shard(stage, plan.shard)
        for name, (shard, old) in places.items():
            assert np.array_equal(new.rows(name, dataset), files.shard(stage, shard).rows(old, dataset))
            assert new.fact(name, "source_sha256") == digest(old)
    wavs = [wav_path(root, "0a", *place).read_bytes() for place in ((plan.shard, "z/two"), (assigned["v/a"], "v/a"))]
    assert wavs[0] == wavs[1]


def test_rows_of_another_content_than_said_are_not_copied(root):
    assigned = make_store(root)
    plan = plan_of([member("z/one")])
    stage_set = StageSet("stft", FINGERPRINTS["stft"], root / "stft" / FINGERPRINTS["stft"])
    write_copied(root, stage_set, plan, {"z/one": (assigned["v/a"], "v/a")}, {"z/one": digest("v/b")})
    assert not (stage_set.folder / f"{plan.shard}.h5").exists()
    shutil.rmtree(root / "stft")  # a stage set without the rows is skipped
    copy(root, "stft", plan, {"z/one": (assigned["v/a"], "v/a")})
    assert not (root / "stft").exists()


def test_a_run_sees_the_rows_under_their_new_names_before_they_are_copied(root):
    assigned = make_store(root)
    files = StageFiles(store=root, fingerprints=FINGERPRINTS, kept=frozenset())
    taken = {"0" * 16: {"z/b": (assigned["v/a"], "v/a"), "z/c": (assigned["w/a"], "w/a")}}
    assert files.find_work("0" * 16)
    files = dataclasses.replace(files, taken=taken)
    assert files.is_finished("0" * 16)
    table = files.table("stft", "0" * 16)
    assert table.names == ("z/b", "z/c")
    assert [table.fact(name, "length") for name in table.names] == [
        Table.of(files.shard("stft", assigned[old])).fact(old, "length") for old in ("v/a", "w/a")
    ]
    assert files.table("pixels", "0" * 16) is None
    assert describe_taken({}) == ""

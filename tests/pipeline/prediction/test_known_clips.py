"""A video is recognised by its content, if its features have the settings of the prediction."""

import shutil
from pathlib import Path

import pytest

from pipeline.dataset.utterances import Dataset, Utterance
from pipeline.prediction.known_clips import find_known
from pipeline.runs.plan import make_plan
from store.layout import shard_path
from store.records.listings import Listing
from store.records.plans import Member, plan_of
from tests.pipeline.made_runs import assemble_run
from tests.store.stores import FINGERPRINTS, digest, member, write_shard

NAME, CLIPS = "w/a", {"w/a": (10, 3), "w/b": (10, 3)}


@pytest.fixture
def video(tmp_path, monkeypatch):
    """A file with the size and content of the clip w/a; the store's digests are invented."""
    path = tmp_path / "elsewhere" / "holiday.mp4"
    path.parent.mkdir()
    path.write_bytes(bytes(member(NAME).size))
    monkeypatch.setattr("pipeline.prediction.known_clips.compute_file_digest", lambda path: digest(NAME))
    return path


def keep(root, members=None, fingerprints=FINGERPRINTS, **how):
    """Make a store of one shard whose run lists its clips."""
    plan = plan_of(members or [member(name) for name in CLIPS])
    plan.write(root)
    for stage in ("frames", "faces", "embeddings", "wav", "stft"):
        write_shard(root, stage, plan.shard, dict.fromkeys(plan.names, CLIPS[NAME]), **how)
    assigned = dict.fromkeys(plan.names, plan.shard)
    Listing("runs-1", fingerprints, assigned, {m.name: m.stamp for m in plan.members}).write(root)
    return plan


def make_run(tmp_path, video):
    """The run that would predict the video alone, in a store of its own."""
    listed = Utterance("video", "holiday.mp4", "test", None, None, None, None, None, Path(), 1)
    clip = Member(listed.name, video.name, video.stat().st_size, video.stat().st_mtime_ns)
    plan = make_plan(
        [clip.name],
        {clip.name: clip},
        [],
        seen={},
        is_finished=lambda shard: False,
        holds=lambda shard, name: True,
        was_made=lambda shard, name: False,
        same_content=lambda shard, clip: False,
        find_content=lambda clips: {},
        shard_size=1,
    )
    return assemble_run(
        tmp_path,
        store=tmp_path / "scratch",
        videos=video.parent,
        dataset=Dataset((listed,), ()),
        fingerprints=FINGERPRINTS,
        clips={clip.name: clip},
        plan=plan,
        name="predict-1",
    )


def find(tmp_path, video):
    return find_known(make_run(tmp_path, video), video, tmp_path / "store")


def test_a_video_under_another_name_is_found_and_its_rows_are_read_from_the_store(tmp_path, video):
    plan = keep(tmp_path / "store")
    known = find(tmp_path, video)
    assert known.store == tmp_path / "store"
    assert [utterance.name for utterance in known.dataset.utterances] == [NAME]
    assert known.plan.assigned == {NAME: plan.shard}
    assert known.table("stft", plan.shard).fact(NAME, "length") == 10
    assert known.pending == [], "nothing is to be done for it"
    assert (known.clips, known.plan.new) == ({}, frozenset())


def test_other_content_other_settings_and_an_empty_store_are_not_known(tmp_path, video, monkeypatch):
    assert find(tmp_path, video) is None
    keep(tmp_path / "store", fingerprints={**FINGERPRINTS, "embeddings": "ff"})
    assert find(tmp_path, video) is None, "it was made under other settings"
    shutil.rmtree(tmp_path / "store")
    keep(tmp_path / "store")
    monkeypatch.setattr("pipeline.prediction.known_clips.compute_file_digest", lambda path: digest("other"))
    assert find(tmp_path, video) is None


def test_a_video_of_another_size_is_not_read(tmp_path, video, monkeypatch):
    keep(tmp_path / "store")
    video.write_bytes(b"short")
    monkeypatch.setattr("pipeline.prediction.known_clips.compute_file_digest", lambda path: pytest.fail("it is read"))
    assert find(tmp_path, video) is None


def test_a_clip_of_which_the_user_has_said_something_is_another_one(tmp_path, video):
    keep(tmp_path / "store", [member(NAME)._replace(override='{"audio_stream": 1}')])
    assert find(tmp_path, video) is None


@pytest.mark.parametrize("stage", ["faces", "embeddings", "stft"])
def test_a_clip_whose_rows_are_not_whole_is_not_known(tmp_path, video, stage):
    plan = keep(tmp_path / "store")
    shard_path(tmp_path / "store", stage, FINGERPRINTS[stage], plan.shard).unlink()
    assert find(tmp_path, video) is None


def test_a_name_that_would_be_read_as_another_is_passed_over(tmp_path, video, monkeypatch):
    name = "w/a.mp4"  # of w/a.mp4.mp4
    monkeypatch.setattr("pipeline.prediction.known_clips.compute_file_digest", lambda path: digest(name))
    keep(tmp_path / "store", [member(NAME)._replace(name=name)])
    assert find(tmp_path, video) is None
    keep(tmp_path / "again", [member(NAME)._replace(name="w/x")])
    monkeypatch.setattr("pipeline.prediction.known_clips.compute_file_digest", lambda path: digest("w/x"))
    assert find_known(make_run(tmp_path, video), video, tmp_path / "again") is not None


def test_a_damaged_store_says_nothing_here(tmp_path, video):
    keep(tmp_path / "store")
    (tmp_path / "store" / "roots" / "runs-1.json").write_text("{")
    assert find(tmp_path, video) is None

"""A clip that is there and cannot be read costs itself alone, and is tried again."""

import errno
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import TransientError
from pipeline.media import write_clip
from pipeline.runs.plan import Plan
from pipeline.stages.frames import extract_frames
from pipeline.stages.shard_job import ShardJob
from pipeline.stages.sound import extract_wav
from store.__main__ import main as store_main
from store.records.plans import Member, StoredPlan
from store.tending.verify import verify_store
from tests.modes import modes_obeyed
from tests.pipeline.made_runs import assemble_run

STAGES = {"wav": extract_wav, "frames": extract_frames}


@pytest.fixture
def videos(tmp_path):
    """Three clips of .2 s."""
    folder = tmp_path / "videos" / "v"
    folder.mkdir(parents=True)
    tone = 0.1 * np.sin(np.arange(3200, dtype=np.float32))
    frames = [np.full((32, 32, 3), 90, np.uint8)] * 5
    for name in ("a", "b", "c"):
        write_clip(folder / f"{name}.mp4", frames, frame_rate=25, samples=tone, sample_rate=16000)
    return folder.parent


def make_job(tmp_path, names):
    """Give one shard of these clips, nothing of it done."""

    def member(name):
        status = (tmp_path / "videos" / "v" / f"{name}.mp4").stat()
        return Member(f"v/{name}", f"v/{name}.mp4", status.st_size, status.st_mtime_ns)

    clips = {f"v/{name}": member(name) for name in names}
    shard = StoredPlan(tuple(clips.values()))
    assigned = dict.fromkeys(clips, shard.shard)
    run = assemble_run(
        tmp_path,
        stages={stage: {} for stage in STAGES},
        fingerprints=dict.fromkeys(STAGES, "0123456789abcdef"),
        clips=clips,
        plan=Plan({shard.shard: shard}, assigned, frozenset(), frozenset(), {}),
    )
    return ShardJob(run, shard.shard)


def read_rows(job, stage):
    rows = job.rows(stage)
    return {name: (rows.fact(name, "status"), rows.fact(name, "message")) for name in rows.names}


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_that_may_not_be_read_is_missing_and_the_others_are_done(videos, tmp_path, stage):
    job = make_job(tmp_path, "abc")
    (videos / "v" / "b.mp4").chmod(0)
    with modes_obeyed():
        STAGES[stage](job)
    refused = f"{videos}/v/b.mp4 cannot be read: Permission denied; the next run tries again"
    assert read_rows(job, stage) == {"v/a": ("ok", ""), "v/b": ("missing_file", refused), "v/c": ("ok", "")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_that_may_not_be_entered_is_no_failure_of_the_shard(videos, tmp_path, stage):
    job = make_job(tmp_path, "ab")
    (videos / "shut").mkdir()
    (videos / "v" / "b.mp4").rename(videos / "shut" / "b.mp4")
    (videos / "v" / "b.mp4").symlink_to("../shut/b.mp4")
    (videos / "shut").chmod(0)
    with modes_obeyed():
        STAGES[stage](job)
    assert read_rows(job, stage)["v/b"] == (
        "missing_file",
        f"{videos}/v/b.mp4 cannot be read: Permission denied; the next run tries again",
    )
    (videos / "shut").chmod(0o700)


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_fails_under_one_file_is_told_with_its_name(videos, tmp_path, stage, monkeypatch):
    job = make_job(tmp_path, "abc")
    open_file = Path.open

    def open_or_fail(path, *arguments, **keywords):
        if path.name == "c.mp4":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return open_file(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", open_or_fail)
    STAGES[stage](job)
    rows = read_rows(job, stage)
    assert rows["v/c"] == (
        "missing_file",
        f"{videos}/v/c.mp4 cannot be read: Input/output error; the next run tries again",
    )
    assert rows["v/a"] == rows["v/b"] == ("ok", "")


@pytest.mark.parametrize("stage", STAGES)
def test_a_shard_of_which_nothing_can_be_read_says_so(videos, tmp_path, stage):
    job = make_job(tmp_path, "a")
    (videos / "v" / "a.mp4").chmod(0)
    with modes_obeyed():
        STAGES[stage](job)
    refused = f"{videos}/v/a.mp4 cannot be read: Permission denied; the next run tries again"
    assert read_rows(job, stage) == {"v/a": ("missing_file", refused)}


@pytest.mark.parametrize("stage", STAGES)
def test_a_shard_of_which_all_is_gone_fails_and_leaves_no_file(videos, tmp_path, stage):
    job = make_job(tmp_path, "ab")
    for name in ("a", "b"):
        (videos / "v" / f"{name}.mp4").unlink()
    with pytest.raises(TransientError, match=r"not one of 2 clips of shard \w+ could be read \(the first: v/a: "):
        STAGES[stage](job)
    assert not job.run.path(stage, job.shard).exists()


def test_an_error_of_the_store_is_no_status_of_a_clip(videos, tmp_path, monkeypatch):
    job = make_job(tmp_path, "a")

    def fail(*arguments, **keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pipeline.media.extract_wav", fail)
    with pytest.raises(OSError, match="No space left"):
        extract_wav(job)


FAILING_DISK = """
import errno, pathlib
open_file = pathlib.Path.open
def open_or_fail(path, *arguments, **keywords):
    if path.parts[-2:] == ("speaker00_1", "utterance_1.mp4"):
        raise OSError(errno.EIO, "Input/output error", str(path))
    return open_file(path, *arguments, **keywords)
pathlib.Path.open = open_or_fail
"""


@pytest.mark.slow
@pytest.mark.parametrize("shard_size", [4, 1], ids=["with others", "alone"])
def test_a_clip_that_is_never_readable_stops_no_run_and_is_done_when_it_is(workplace, shard_size):
    name = "speaker00_1/utterance_1"
    workplace.configure(f"[store]\nshard_size = {shard_size}\n")
    for task in ("FullRun", "Features"):
        ended = workplace.run(task=task, code=FAILING_DISK)
        assert ended.returncode == 0, ended.stderr
        assert f"1 clip could not be read and had no influence on these results (the first: {name}: " in ended.stderr
        row = workplace.ledger()[name]
        assert (row["sound"], row["picture"]) == ("missing_file", "missing_file")
        assert "cannot be read: Input/output error; the next run tries again" in row["sound_message"]
        assert not (workplace.folder / "runs/settled.json").exists()  # what reading found is not known without reading
    assert "no file that can be read" in (workplace.folder / "runs/latest/report.json").read_text()
    # It can be read again: `status` says so, and the next run does it.
    told = workplace.command("status")
    assert told.returncode == 3, told.stdout
    assert "1 new or changed" in told.stdout
    ended = workplace.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    assert "could not be read" not in ended.stderr
    assert workplace.ledger()[name]["sound"] == "ok"
    assert list(verify_store(workplace.folder / "store")) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["erase", "compact"])
def test_what_is_done_to_the_shard_meanwhile_costs_the_clip_nothing(workplace, command):
    name, victim = "speaker00_1/utterance_1", "speaker00_1/utterance_2"
    assert workplace.run(task="Features", code=FAILING_DISK).returncode == 0
    store, before = workplace.folder / "store", workplace.ledger()
    assert {name, victim} <= set(before)
    assert before[name]["sound"] == "missing_file"
    words = {"erase": ["erase", str(store), victim, "--yes"], "compact": ["compact", str(store), "--shard-size", "9"]}
    assert store_main(words[command]) == 0
    # Still not readable, then readable again.
    assert workplace.run(task="Features", code=FAILING_DISK).returncode == 0
    assert workplace.ledger()[name]["sound"] == "missing_file"
    assert workplace.run(task="Features").returncode == 0
    after = workplace.ledger()
    assert after[name]["sound"] == after[name]["picture"] == "ok"
    gone = {victim} if command == "erase" else set()
    assert {row for row, values in after.items() if values["sound"] == "missing_file"} == gone
    if gone:
        assert "was erased from" in after[victim]["sound_message"]
    facts = ("sound", "picture", "num_stft_frames", "num_faces", "source_sha256")
    for other in set(before) - {name} - gone:
        assert [after[other][fact] for fact in facts] == [before[other][fact] for fact in facts]
    assert list(verify_store(store)) == []
    assert workplace.command("status", "Features").returncode == 0

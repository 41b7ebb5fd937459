"""Sound that a broken ffmpeg of an earlier version failed on is found and made again, and nothing else is."""

import ast
import dataclasses
import os
from pathlib import Path

import pytest

from pipeline import media
from pipeline.media import MediaError, extract_wav
from pipeline.runs.plan import Plan
from pipeline.runs.sound_again import MISTRUSTED, MistrustedSound, find_mistrusted, remove_mistrusted
from pipeline.stages.shard_job import ShardJob
from pipeline.stages.sound import extract_wav as extract_shard
from store.layout import wav_path
from store.records.plans import Member, StoredPlan
from store.shard.reader import Shard
from store.shard.writer import ShardWriter
from tests.pipeline.made_runs import assemble_run

FINGERPRINTS = dict.fromkeys(("wav", "stft", "frames", "pixels", "faces", "embeddings", "crops", "crops_jpeg"), "b0")
OLD = MISTRUSTED[0] + ": error while loading shared libraries"

BROKEN = """
from pipeline import media
real = media.extract_wav
def broken(source, target, **options):
    if {which}:
        raise media.MediaError("decode_error", {message!r})
    return real(source, target, **options)
media.extract_wav = broken
"""


def break_sound(workplace, which, message=OLD):
    """Make all features, some of the sound by an ffmpeg that is broken."""
    ended = workplace.run(task="Features", code=BROKEN.format(which=which, message=message))
    assert ended.returncode == 0, ended.stderr


def sound_statuses(workplace):
    code = (
        "from pipeline.runs.opening import open_run\nfrom pipeline.runs.outcome.ledger import read_ledger\n"
        "print({n: r.sound for n, r in read_ledger(open_run()).items()})\nraise SystemExit(0)"
    )
    ended = workplace.run(task="Features", code=code)
    assert ended.returncode == 0, ended.stderr
    return ast.literal_eval(ended.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_sound_of_a_broken_ffmpeg_is_made_again_and_the_faces_are_not(workplace):
    break_sound(workplace, "True")
    assert set(sound_statuses(workplace).values()) == {"decode_error"}
    before, embeddings = workplace.digests("store"), workplace.digests("store/embeddings")
    status = workplace.command("status")
    assert status.returncode == 3
    assert "9 in shards with sound on which an earlier version's ffmpeg failed" in status.stdout
    assert workplace.digests("store") == before, "status writes nothing"
    assert workplace.run(task="Features").returncode == 0
    assert list(sound_statuses(workplace).values()) == ["ok"] * 9
    assert workplace.digests("store/embeddings") == embeddings
    assert "earlier version" not in workplace.command("status").stdout
    made = workplace.digests("store")
    assert workplace.run(task="Features").returncode == 0
    assert workplace.digests("store") == made, "once is enough"


@pytest.mark.slow
def test_a_shard_with_a_clip_that_is_gone_keeps_its_rows(workplace):
    clips = sorted((workplace.folder / "videos").rglob("*.mp4"))
    gone, broken = clips[0], clips[1]
    break_sound(workplace, f"source.name == {broken.name!r} and source.parent.name == {broken.parent.name!r}")
    assert sorted(sound_statuses(workplace).values()) == ["decode_error"] + ["ok"] * 8
    made = workplace.digests("store/stft")
    gone.unlink()
    workplace.configure("[run]\nmax_vanished = 1\n")
    assert workplace.run(task="Features").returncode == 0
    assert sorted(sound_statuses(workplace).values()) == ["ok"] * 8 + ["source_missing"]
    assert made.items() <= workplace.digests("store/stft").items()
    assert "earlier version" not in workplace.command("status").stdout


def test_no_message_of_today_is_mistrusted(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(400))
    with pytest.raises(MediaError) as caught:
        extract_wav(tmp_path / "a.flac", tmp_path / "a.wav")
    with pytest.raises(MediaError) as by_program:
        extract_wav(tmp_path / "a.flac", tmp_path / "a.wav", ffmpeg=media.ffmpeg_binary())
    for error in (caught, by_program):
        assert error.value.status == "decode_error"
        assert not str(error.value).startswith(MISTRUSTED)


# One shard of the clips a and b


@pytest.fixture
def run(tmp_path):
    """A run on a shard of two clips, both there."""
    (tmp_path / "videos" / "v").mkdir(parents=True)
    clips = {}
    for name in ("v/a", "v/b"):
        path = tmp_path / "videos" / f"{name}.mp4"
        path.write_bytes(b"no media")
        clips[name] = Member(name, f"{name}.mp4", path.stat().st_size, path.stat().st_mtime_ns)
    stored = StoredPlan(tuple(clips.values()))
    return assemble_run(
        tmp_path,
        fingerprints=FINGERPRINTS,
        sound_again=frozenset({stored.shard}),
        stages={stage: {} for stage in FINGERPRINTS},
        clips=clips,
        plan=Plan(
            {stored.shard: stored},
            dict.fromkeys(clips, stored.shard),
            frozenset(),
            frozenset(),
            {name: clip.stamp for name, clip in clips.items()},
        ),
        name="runs-1",
    )


def shard_of(run):
    return next(iter(run.plan.shards))


def write_sound(run, status="decode_error", message=OLD):
    """Write wav and stft, with nothing wrong with b's."""
    for stage in ("wav", "stft"):
        with ShardWriter(
            run.path(stage, shard_of(run)), stage=stage, shard=shard_of(run), fingerprint="b0", provenance={}
        ) as writer:
            for name, facts in (("v/a", (status, message)), ("v/b", ("too_short", ""))):
                with writer.utterance(name) as rows:
                    rows.set_status(*facts)


def look(run, seen=None):
    before_the_plan = dataclasses.replace(run, sound_again=frozenset())
    return MistrustedSound(before_the_plan, run.plan.shards, run.clips, seen or {}, run.videos)


@pytest.mark.parametrize(
    ("status", "message", "is_found"),
    [
        ("decode_error", OLD, True),
        ("decode_error", MISTRUSTED[1], True),
        ("decode_error", "ffmpeg does not decode the sound: broken", False),
        ("no_stream", OLD, False),
        ("too_short", "", False),
    ],
)
def test_only_what_the_ffmpeg_of_then_said_is_found(run, status, message, is_found):
    write_sound(run, status, message)
    assert find_mistrusted(run.shard("stft", shard_of(run))) == ({"v/a"} if is_found else set())
    assert look(run).pick(run.plan) == ({shard_of(run)} if is_found else set())
    assert not look(run).is_lost(shard_of(run), "v/a")


def test_a_shard_without_files_is_not_made_again(run):
    assert look(run).pick(run.plan) == set()
    remove_mistrusted(run)


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_clip_that_is_gone_lets_no_shard_be_made_again(run, is_listed):
    write_sound(run)
    (run.videos / "v/b.mp4").unlink()
    clips = {name: clip for name, clip in run.clips.items() if name == "v/a"}
    plan = run.plan if is_listed else dataclasses.replace(run.plan, assigned={"v/a": shard_of(run)})
    run = dataclasses.replace(run, clips=clips, plan=plan)
    assert look(run).pick(run.plan) == set()
    assert look(run).is_lost(shard_of(run), "v/a")
    assert not look(run).is_lost(shard_of(run), "v/b"), "its rows are good"
    remove_mistrusted(run)  # it went after the run was opened
    assert run.shard("wav", shard_of(run)) is not None
    assert run.shard("stft", shard_of(run)) is not None


def test_a_touched_clip_is_there_where_the_run_before_knew_it_again(run):
    write_sound(run)
    os.utime(run.videos / "v/b.mp4", ns=(1, 1))
    touched = run.clips["v/b"]._replace(mtime_ns=1)
    run = dataclasses.replace(run, clips={**run.clips, "v/b": touched})
    assert look(run).is_lost(shard_of(run), "v/a")
    assert look(run, {"v/b": (shard_of(run), touched.stamp)}).pick(run.plan) == {shard_of(run)}


def test_a_shard_whose_utterances_are_in_better_ones_by_now_is_left_alone(run):
    write_sound(run)
    plan = dataclasses.replace(run.plan, assigned={"v/a": "5a", "v/b": shard_of(run)})
    assert look(run).pick(plan) == set()


def test_the_sound_is_waiting_until_it_is_removed_and_then_missing(run):
    write_sound(run)
    assert {"wav", "stft"} <= run.find_work(shard_of(run)).keys()
    assert not {"wav", "stft"} & dataclasses.replace(run, sound_again=frozenset()).find_work(shard_of(run)).keys()
    run.shard("stft", shard_of(run))
    remove_mistrusted(run)
    assert run.shard("stft", shard_of(run)) is None, "it is not held open either"
    assert [path for path in run.store.rglob("*") if path.is_file()] == []


def test_stopped_after_the_first_file_it_is_found_once_more(run, monkeypatch):
    write_sound(run)
    unlink = Path.unlink

    def stop(path, **how):
        unlink(path, **how)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stop)
        with pytest.raises(KeyboardInterrupt):
            remove_mistrusted(run)
    assert not run.path("wav", shard_of(run)).exists()
    assert look(run).pick(run.plan) == {shard_of(run)}
    remove_mistrusted(run)
    assert [path for path in run.store.rglob("*") if path.is_file()] == []


def test_what_another_host_has_made_meanwhile_stays(run):
    write_sound(run)
    run.shard("stft", shard_of(run))
    for stage in ("wav", "stft"):
        run.path(stage, shard_of(run)).unlink()
    write_sound(run, "decode_error", "not one sample of the sound can be decoded")
    remove_mistrusted(run)
    assert Shard(run.path("stft", shard_of(run))).fact("v/a", "message").startswith("not one sample")
    assert run.shard("stft", shard_of(run)).fact("v/a", "message").startswith("not one sample")


def test_a_clip_that_is_damaged_indeed_says_so_in_other_words_and_leaves_no_wav_file(run):
    old = wav_path(run.store, "b0", shard_of(run), "v/a")
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of a time when it could be decoded")
    extract_shard(ShardJob(run, shard_of(run)))
    rows = run.shard("wav", shard_of(run))
    assert [rows.fact(name, "status") for name in rows.names] == ["decode_error"] * 2
    assert find_mistrusted(rows) == set()
    assert not old.exists()

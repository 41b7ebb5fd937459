"""A program ffmpeg that the user names: tried before it is trusted, never believed about a clip when it is broken."""

import errno
import shlex
import wave

import numpy as np
import pytest
import soundfile

from pipeline import media
from pipeline.media import FfmpegError, MediaError, Sound, extract_wav, ffmpeg_binary, sound_engine, write_clip
from pipeline.media import container as media_container
from pipeline.media.sound import ffmpeg as media_ffmpeg

RATE = 16000
FIND_OUT = 'for word; do case "$word" in file:*) out=$word;; esac; done'  # the last file is the one to make


@pytest.fixture
def clip(tmp_path):
    """One second: 25 frames and a tone."""
    path = tmp_path / "clip.mp4"
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    frames = [np.full((48, 64, 3), 9 * i, np.uint8) for i in range(25)]
    write_clip(path, frames, frame_rate=25, samples=tone, sample_rate=RATE)
    return path


def fake_ffmpeg(tmp_path, script):
    path = tmp_path / "fake-ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def broken_with_clips(tmp_path, script):
    """A program that passes its trial and does `script` with every clip."""
    real = shlex.quote(ffmpeg_binary())
    return fake_ffmpeg(tmp_path, f'case "$*" in *clip.mp4*) {script};; esac\nexec {real} "$@"')


def test_a_program_that_works_is_named_with_its_version():
    assert sound_engine(ffmpeg_binary()).startswith("ffmpeg ")
    assert sound_engine().startswith("PyAV ")


@pytest.mark.parametrize(
    ("script", "match"),
    [
        ("exit 0", "wrote no WAV of a second of made sound"),
        (f'{FIND_OUT}; echo rubbish > "${{out#file:}}"', "wrote no WAV of a second of made sound"),
        (
            "echo 'error while loading shared libraries: libx.so: cannot open' >&2; exit 127",
            "ended with exit status 127 on a second of made sound: error while loading shared libraries",
        ),
        ("exit 126", "ended with exit status 126"),
        ("kill -9 $$", "ended with exit status -9"),
        (
            "echo 'file:made.wav: Permission denied' >&2; exit 1",
            "ended with exit status 1 .*: file:made.wav: Permission denied",
        ),
    ],
)
def test_a_program_of_no_use_is_refused_with_the_cause(tmp_path, script, match):
    program = fake_ffmpeg(tmp_path, script)
    with pytest.raises(FfmpegError, match=rf"ffmpeg .*fake-ffmpeg {match}.*; mend it, name another one in \[audio\]"):
        sound_engine(program)


def test_a_program_that_writes_other_samples_is_refused(tmp_path):
    real = shlex.quote(ffmpeg_binary())
    script = f'{FIND_OUT}; exec {real} -v error -y -f lavfi -i sine=d=1 -ar {RATE} -f wav "$out"'
    with pytest.raises(FfmpegError, match="wrote other samples than a second of made sound has"):
        sound_engine(fake_ffmpeg(tmp_path, script))


def test_a_program_without_a_version_is_refused(tmp_path):
    real = shlex.quote(ffmpeg_binary())
    with pytest.raises(FfmpegError, match="does not say which version of ffmpeg it is"):
        sound_engine(fake_ffmpeg(tmp_path, f'[ "$1" = -version ] && exit 0; exec {real} "$@"'))


def test_a_program_that_is_not_there_or_may_not_run_is_refused(tmp_path):
    with pytest.raises(FfmpegError, match=r"no-ffmpeg cannot be run: .*No such file"):
        sound_engine(str(tmp_path / "no-ffmpeg"))
    (tmp_path / "plain").write_text("no program")
    with pytest.raises(FfmpegError, match=r"plain cannot be run: .*Permission denied"):
        sound_engine(str(tmp_path / "plain"))


def test_true_is_no_ffmpeg():
    with pytest.raises(FfmpegError, match="/usr/bin/true wrote no WAV of a second of made sound"):
        sound_engine("/usr/bin/true")


@pytest.mark.parametrize(
    ("script", "error", "match"),
    [
        ("echo 'av_write(): No space left on device' >&2; exit 1", OSError, "No space left on device"),
        ("kill -9 $$", ChildProcessError, r"ffmpeg was stopped \(exit status -9\)"),
        ("exit 255", ChildProcessError, r"ffmpeg was stopped \(exit status 255\)"),
        ("exit 127", ChildProcessError, r"fake-ffmpeg cannot be run \(exit status 127\)"),
        (
            "echo 'clip.mp4: Permission denied' >&2; exit 1",
            PermissionError,
            "may not read the file, which this process",
        ),
        (
            "echo 'Decoding requested, but no decoder found for: aac' >&2; exit 1",
            FfmpegError,
            "has no decoder for the sound of .*clip.mp4: Decoding requested",
        ),
        (
            "for w in one two three four five; do echo $w >&2; done; exit 1",
            MediaError,
            r"sound: one \| two \| three \| and 2 more lines$",
        ),
        ("exit 0", MediaError, "ffmpeg makes not one sample of the sound"),
        ("exec tail -f /dev/null", TimeoutError, "ffmpeg did not finish the sound of .*clip.mp4 within 1 s"),
        ("exec yes >&2", TimeoutError, "ffmpeg did not finish the sound of .*clip.mp4 within 1 s"),
    ],
)
def test_failures_of_a_program_leave_no_target(clip, tmp_path, monkeypatch, script, error, match):
    monkeypatch.setattr("pipeline.media.sound.decoding.LEAST_TIME_LIMIT_SECONDS", 0.2)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(error, match=match) as caught:
        extract_wav(clip, out / "a.wav", ffmpeg=broken_with_clips(tmp_path, script))
    assert isinstance(caught.value, MediaError) == (error is MediaError)
    if "No space" in match:
        assert caught.value.errno == errno.ENOSPC
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("script", ["exit 0", "echo words >&2; exit 1"])
def test_a_program_that_breaks_midway_gives_no_clip_a_status(clip, tmp_path, script):
    with pytest.raises(FfmpegError, match="mend it"):
        extract_wav(clip, tmp_path / "a.wav", ffmpeg=fake_ffmpeg(tmp_path, script))


def test_a_failure_keeps_the_target_that_was_there(clip, tmp_path):
    target = tmp_path / "a.wav"
    extract_wav(clip, target)
    before = target.read_bytes()
    with pytest.raises(MediaError):
        extract_wav(clip, target, ffmpeg=broken_with_clips(tmp_path, "exit 1"))
    assert target.read_bytes() == before


def test_a_missing_program_is_no_status(clip, tmp_path):
    with pytest.raises(FileNotFoundError):
        extract_wav(clip, tmp_path / "a.wav", ffmpeg=str(tmp_path / "no-ffmpeg"))


@pytest.mark.parametrize(("room", "error"), [(1, MediaError), (1 << 60, OSError)])
def test_ffmpeg_without_memory_is_believed_where_there_is_none(clip, tmp_path, monkeypatch, room, error):
    monkeypatch.setattr(media_container, "ROOM_TO_DECODE", room)
    program = broken_with_clips(tmp_path, "echo 'Cannot allocate memory' >&2; exit 1")
    with pytest.raises(error, match="Cannot allocate memory"):
        extract_wav(clip, tmp_path / "a.wav", ffmpeg=program)


def test_sound_that_ends_early_without_a_complaint_says_so(clip, tmp_path):
    script = f'{FIND_OUT}; exec "{ffmpeg_binary()}" -v error -y -f lavfi -i sine=d=0.25 -ar {RATE} -f wav "$out"'
    sound = extract_wav(clip, tmp_path / "a.wav", ffmpeg=fake_ffmpeg(tmp_path, script))
    assert sound == Sound(RATE // 4, "the sound ends at 0.25 s, the container lists 1.00 s")


def test_output_without_end_is_cut_off_and_refused(clip, tmp_path):
    # What is added to the command, -t, holds back a program that pads and pads.
    seen = tmp_path / "seen"
    program = fake_ffmpeg(tmp_path, f'echo "$*" > {seen}; exec {shlex.quote(ffmpeg_binary())} "$@"')
    assert extract_wav(clip, tmp_path / "a.wav", ffmpeg=program) == Sound(RATE, "")
    limit = float(seen.read_text().split(" -t ")[1].split()[0])
    assert 1 < limit < 20
    script = f'{FIND_OUT}; exec "{ffmpeg_binary()}" -v error -y -f lavfi -i sine=d=1.5 -ar {RATE} -f wav "$out"'
    with pytest.raises(MediaError, match=r"made 1.50 s of sound from packets that span 1.00 s: its format changes"):
        extract_wav(clip, tmp_path / "a.wav", ffmpeg=fake_ffmpeg(tmp_path, script))


def test_what_a_program_says_is_the_same_each_time(clip, tmp_path):
    script = "echo \"[aac @ 0x55d0$$] broken\" >&2; echo 'Last message repeated 3 times' >&2; exit 1"
    program = broken_with_clips(tmp_path, script)
    said = set()
    for _ in range(2):
        with pytest.raises(MediaError) as caught:
            extract_wav(clip, tmp_path / "a.wav", ffmpeg=program)
        said.add(str(caught.value))
    assert said == {"ffmpeg does not decode the sound: broken"}


def test_joined_recordings_by_a_program_are_closed_up(tmp_path):
    content = b""
    times = np.arange(RATE) / RATE
    for offset in (0, 7200):
        soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(3000 * times), RATE)
        command = [ffmpeg_binary(), "-v", "error", "-y", "-i", "a.wav", "-c:a", "mp2", "-output_ts_offset", str(offset)]
        media_ffmpeg.subprocess.run([*command, "a.ts"], cwd=tmp_path, check=True)
        content += (tmp_path / "a.ts").read_bytes()
    (tmp_path / "joined.ts").write_bytes(content)
    sound = extract_wav(tmp_path / "joined.ts", tmp_path / "b.wav", ffmpeg=ffmpeg_binary())
    assert sound.num_samples / RATE == pytest.approx(2, abs=0.2)
    assert "the container's times jump once" in sound.message
    with wave.open(str(tmp_path / "b.wav")) as file:
        assert file.getnframes() == sound.num_samples


def test_ffmpeg_is_the_one_on_path_else_the_packages(tmp_path, monkeypatch):
    own = tmp_path / "ffmpeg"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert media.ffmpeg_binary() == str(own)
    own.unlink()
    import imageio_ffmpeg

    assert media.ffmpeg_binary() == imageio_ffmpeg.get_ffmpeg_exe()
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: (_ for _ in ()).throw(RuntimeError("none")))
    with pytest.raises(FileNotFoundError, match="no ffmpeg on PATH and none in imageio-ffmpeg"):
        media.ffmpeg_binary()

"""Damaged clips: each ends in a status of its own, or is `ok` with a message that says what is odd."""

import errno
import re

import av
import numpy as np
import pytest

from pipeline.media import MediaError, extract_wav, scan_frames, write_clip
from pipeline.media import container as media_container

RATE = 16000


@pytest.fixture
def clip(tmp_path):
    """One second: 25 frames and a tone."""
    path = tmp_path / "clip.mp4"
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    frames = [np.full((48, 64, 3), 9 * i, np.uint8) for i in range(25)]
    write_clip(path, frames, frame_rate=25, samples=tone, sample_rate=RATE)
    return path


def with_an_absurd_table(clip):
    """Let the container's table of times claim two thousand million entries: ffmpeg answers "no memory"."""
    content = bytearray(clip.read_bytes())
    at = content.index(b"stts") + 8  # after the name, and version and flags
    content[at] = 0x7F
    clip.write_bytes(content)
    return clip


def test_a_damaged_header_is_no_lack_of_memory(clip, tmp_path, monkeypatch):
    path = with_an_absurd_table(clip)
    for attempt in (scan_frames, lambda path: extract_wav(path, tmp_path / "a.wav")):
        with pytest.raises(MediaError, match="ffmpeg cannot open the file: Cannot allocate memory") as caught:
            attempt(path)
        assert caught.value.status == "decode_error"
    # Where the system gives no room, the same words are about the machine.
    monkeypatch.setattr(media_container, "ROOM_TO_DECODE", 1 << 60)
    with pytest.raises(MemoryError):
        scan_frames(path)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (av.error.PermissionError(errno.EPERM, "words of ffmpeg", "clip.mp4"), "decode_error"),
        (av.error.OSError(errno.EMFILE, "words of ffmpeg", "clip.mp4"), None),
    ],
)
def test_what_is_not_permitted_is_damage_and_what_the_system_lacks_is_not(clip, monkeypatch, error, status):
    def failing(*args, **kwargs):
        raise error

    monkeypatch.setattr(av, "open", failing)
    with pytest.raises(MediaError if status else OSError, match="words of ffmpeg") as caught:
        scan_frames(clip)
    assert getattr(caught.value, "status", None) == status


def cut(clip, share):
    """Rewrite a clip with its tables first and cut its end off."""
    front = clip.with_name("front.mp4")
    with av.open(str(clip)) as source, av.open(str(front), "w", options={"movflags": "+faststart"}) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    content = front.read_bytes()
    front.write_bytes(content[: round(len(content) * share)])
    return front


def test_sound_that_breaks_off_says_so(clip, tmp_path):
    sound = extract_wav(cut(clip, 0.6), tmp_path / "a.wav")
    assert 0 < sound.num_samples < 0.5 * RATE
    assert re.match(r"the sound is damaged: 1 of \d+ packets could not be decoded \(Invalid data found", sound.message)
    seconds = sound.num_samples / RATE
    assert sound.message.endswith(f"the sound ends at {seconds:.2f} s, the container lists 1.00 s")


def test_damaged_sound_in_the_middle_says_so_each_time_in_the_same_words(media, tmp_path):
    sounds = {extract_wav(media / "odd" / "bitflips.mp4", tmp_path / "a.wav") for _ in range(2)}
    (sound,) = sounds
    assert sound.num_samples > 2.8 * RATE
    assert "3 of 130 packets could not be decoded (Invalid data found when processing input)" in sound.message

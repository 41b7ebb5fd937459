"""Parts of recordings: exact to the frame and to the sample, wherever key frames lie."""

import functools
import re

import numpy as np
import pytest

from pipeline import media
from pipeline.media import picture
from tests.pipeline.media.test_media import RATE, encode, read_wav

NUM_FRAMES = 120
GROUP = 15  # frames from one key frame to the next


def numbered(count):
    """Frames whose brightness, in eight patches, tells their number."""
    for number in range(count):
        image = np.zeros((32, 64, 3), np.uint8)
        for bit in range(8):
            image[:, 8 * bit : 8 * bit + 8] = 235 if number >> bit & 1 else 20
        yield image


def read_number(image):
    return sum(1 << bit for bit in range(8) if image[8:24, 8 * bit + 2 : 8 * bit + 6].mean() > 128)


@functools.lru_cache(maxsize=1)
def read_whole(recording):
    return [frame.image for frame in media.read_frames(recording, media.scan_frames(recording))]


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts", "avi", "open.mp4"])
def recording(request, tmp_path_factory):
    """4.8 s at 25 frames/s with B-frames; TS and AVI have no index by which to seek."""
    options = {"g": str(GROUP), "keyint_min": str(GROUP), "sc_threshold": "0"}
    if request.param == "open.mp4":
        options["x264-params"] = "open-gop=1"
    codec = "mpeg4" if request.param == "avi" else "libx264"
    path = tmp_path_factory.mktemp("recording") / f"whole.{request.param}"
    b_frames = 0 if request.param == "avi" else 3
    return encode(path, list(numbered(NUM_FRAMES)), codec=codec, options=options, b_frames=b_frames)


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [
        (0.0, 0.2, range(5)),
        (2.4, 2.6, range(60, 65)),  # at a key frame
        (2.36, 2.44, range(59, 61)),  # just before one
        (3.0, 3.04, range(75, 76)),
        (3.53, 3.61, range(89, 91)),  # between frames
        (4.6, 9.0, range(115, 120)),
        (0.0, 4.8, range(120)),
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_frames_first_shown_in_a_part_are_those_of_the_recording(recording, start, end, numbers, threads):
    whole = media.scan_frames(recording)
    part = media.cut_table(whole, media.Cut(start, end))
    reader = media.read_frames(recording, part, threads=threads, start_seconds=start)
    frames = list(reader)
    assert [read_number(frame.image) for frame in frames] == list(numbers)
    assert [frame.index for frame in frames] == list(range(len(numbers)))
    np.testing.assert_allclose([frame.time_seconds for frame in frames], [n / 25 - start for n in numbers], atol=1e-9)
    assert reader.message == ""
    assert all(
        np.array_equal(frame.image, read_whole(recording)[number])
        for frame, number in zip(frames, numbers, strict=True)
    )


def count_decoded(monkeypatch):
    decoded = []
    time_of = picture.Clock.time_of

    def counted(clock, pts):
        decoded.append(pts)
        return time_of(clock, pts)

    monkeypatch.setattr(picture.Clock, "time_of", counted)
    return decoded


def test_a_part_is_sought_and_nothing_behind_it_is_decoded(recording, monkeypatch):
    part = media.cut_table(media.scan_frames(recording), media.Cut(4.0, 4.2))
    decoded = count_decoded(monkeypatch)
    assert len(list(media.read_frames(recording, part, threads=1, start_seconds=4.0))) == 5
    has_index = recording.suffix in (".mp4", ".mkv")
    # A second before the part, and as far back again as to a key frame; else from the beginning.
    assert len(decoded) <= 25 + 2 * GROUP + 6 if has_index else len(decoded) == 106


def test_a_seek_that_goes_too_far_is_taken_back(recording, monkeypatch):
    part = media.cut_table(media.scan_frames(recording), media.Cut(3.24, 3.4))
    monkeypatch.setattr(picture, "SEEK_EARLIER_SECONDS", -1.0)
    frames = list(media.read_frames(recording, part, threads=1, start_seconds=3.24))
    assert [read_number(frame.image) for frame in frames] == [81, 82, 83, 84]


def test_a_part_beyond_the_recording_is_told(recording):
    table = media.scan_frames(recording)
    said = "the recording's picture ends at 4.80 s, before the end of the part at 5.5 s"
    assert media.cut_table(table, media.Cut(4.0, 5.5)).message == said
    assert media.cut_table(table, media.Cut(4.0, 4.85)).message == ""
    with pytest.raises(
        media.MediaError, match=re.escape("nothing is shown from 6 to 7 s of the recording, whose")
    ) as e:
        media.cut_table(table, media.Cut(6.0, 7.0))
    assert e.value.status == "too_short"
    with pytest.raises(media.MediaError, match=re.escape("no frame is first shown from 1.01 to 1.02 s")):
        media.cut_table(table, media.Cut(1.01, 1.02))


def write_sound(path, count):
    """Samples that each have a value of their own."""
    samples = (np.arange(count) * 7919 % 60000 - 30000) / 32768
    media.write_clip(
        path.with_suffix(".mp4"), numbered(5), frame_rate=25, samples=samples.astype(np.float32), sample_rate=RATE
    )
    whole = path.with_suffix(".wav")
    return whole, media.extract_wav(path.with_suffix(".mp4"), whole)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(0.0, 1.0, 0, 16000), (1.25, 2.5, 20000, 40000), (4.99, 5.30001, 79840, 84800), (0.00003, 0.0002, 0, 3)],
)
def test_the_samples_of_a_part_are_those_of_the_recording(tmp_path, start, end, first, last):
    whole, sound = write_sound(tmp_path / "whole", 90000)
    cut = media.cut_wav(whole, sound, tmp_path / "part.wav", media.Cut(start, end), RATE)
    assert cut.num_samples == last - first
    assert np.array_equal(read_wav(tmp_path / "part.wav"), read_wav(whole)[first:last])


def test_sound_that_ends_before_its_part_is_told(tmp_path):
    whole, sound = write_sound(tmp_path / "whole", 16000)
    cut = media.cut_wav(whole, sound, tmp_path / "part.wav", media.Cut(0.5, 3.0), RATE)
    assert cut.num_samples == len(read_wav(whole)) - 8000
    assert "the recording's sound ends at 1.0" in cut.message
    with pytest.raises(media.MediaError, match=re.escape("nothing is heard from 3 to 4 s of the recording")) as caught:
        media.cut_wav(whole, sound, tmp_path / "none.wav", media.Cut(3.0, 4.0), RATE)
    assert caught.value.status == "too_short"
    assert not (tmp_path / "none.wav").exists()


def test_what_is_odd_in_the_recording_and_silence_in_the_part_are_told(tmp_path):
    whole = tmp_path / "whole.wav"
    samples = np.zeros(32000, np.float32)
    samples[20000:] = 0.5 * np.sin(np.arange(12000) / 7)
    media.write_clip(tmp_path / "a.mp4", numbered(5), frame_rate=25, samples=samples, sample_rate=RATE)
    media.extract_wav(tmp_path / "a.mp4", whole)
    odd = media.Sound(32000, "it breaks off")
    cut = media.cut_wav(whole, odd, tmp_path / "part.wav", media.Cut(0.1, 0.5), RATE)
    assert cut.message == "of the whole recording: it breaks off; the sound is digital silence: every sample is 0"

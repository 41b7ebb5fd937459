"""A part of a recording's sound is the whole's, and little more than it is read."""

import subprocess

import numpy as np
import pytest

from pipeline.media import Cut, MediaError, cut_wav, extract_wav, ffmpeg_binary
from pipeline.media.sound import decoding
from pipeline.media.sound.wav_files import read_wav

RATE = 16000
LAGS = range(-8, 9)  # samples: half a millisecond
MADE = "aevalsrc=0.3*sin(400*t*t)+0.1*(random(0)-0.5)|0.3*cos(2500*t)+0.1*(random(1)-0.5):d=30:s=44100"


def make(folder, name, *options):
    command = [ffmpeg_binary(), "-v", "error", "-y", "-f", "lavfi", "-i", MADE, *options, name]
    subprocess.run(command, cwd=folder, check=True)
    return folder / name


def read(path):
    return np.concatenate(list(read_wav(path))).astype(int)


@pytest.fixture
def num_packets(monkeypatch):
    """How many packets of sound have been read, as a list of one number."""
    count, packets = [0], decoding.packets

    def counted(*arguments):
        for packet in packets(*arguments):
            count[0] += 1
            yield packet

    monkeypatch.setattr(decoding, "packets", counted)
    return count


@pytest.mark.parametrize(
    ("name", "options", "is_sought"),
    [
        ("a.mp4", ["-c:a", "aac"], True),
        ("a.mov", ["-c:a", "pcm_s16le"], True),
        ("a.mka", ["-c:a", "flac"], True),
        ("a.webm", ["-c:a", "libopus"], True),
        ("a.ts", ["-c:a", "aac"], False),
        ("a.wav", [], False),
    ],
)
def test_a_part_is_that_of_the_whole_and_little_more_is_read(tmp_path, num_packets, name, options, is_sought):
    clip = make(tmp_path, name, *options)
    whole = extract_wav(clip, tmp_path / "whole.wav")
    (total,) = num_packets
    for start, end in ((20.3, 22.41), (0.5, 1.7)):
        cut_wav(tmp_path / "whole.wav", whole, tmp_path / "expected.wav", Cut(start, end), RATE)
        num_packets[0] = 0
        sound = extract_wav(clip, tmp_path / "part.wav", part=(start, end))
        expected, samples = read(tmp_path / "expected.wav"), read(tmp_path / "part.wav")
        assert sound.num_samples == len(samples) == len(expected)
        if is_sought and clip.suffix in (".mka", ".webm") and start > 2:  # their times are milliseconds
            alike = [np.corrcoef(expected[8:-8], samples[8 + lag : len(samples) - 8 + lag])[0, 1] for lag in LAGS]
            assert max(alike) > 0.9
        else:
            np.testing.assert_array_equal(samples, expected)
        # A second before to decode from, and up to five to the place that an index knows.
        first = max(0.0, start - 8.0) if is_sought else 0.0
        assert num_packets[0] < (end - first + 1.5) / 30 * total


def test_of_joined_recordings_a_part_is_read_from_the_start(tmp_path, num_packets):
    content = b""
    for name, offset in (("a.ts", 0), ("b.ts", 7200)):
        content += make(tmp_path, name, "-c:a", "aac", "-output_ts_offset", str(offset)).read_bytes()
    (tmp_path / "joined.ts").write_bytes(content)
    remux = [ffmpeg_binary(), "-v", "error", "-copyts", "-i", "joined.ts", "-c", "copy", "joined.mkv"]
    subprocess.run(remux, cwd=tmp_path, check=True)
    clip = tmp_path / "joined.mkv"
    whole = extract_wav(clip, tmp_path / "whole.wav")
    assert "the container's times jump once" in whole.message
    cut_wav(tmp_path / "whole.wav", whole, tmp_path / "expected.wav", Cut(29.0, 31.5), RATE)
    num_packets[0] = 0
    extract_wav(clip, tmp_path / "part.wav", part=(29.0, 31.5))
    np.testing.assert_array_equal(read(tmp_path / "part.wav"), read(tmp_path / "expected.wav"))
    assert num_packets[0] > 29 * 44100 / 1024


@pytest.mark.parametrize("name", ["a.mp4", "a.wav"])
def test_a_part_behind_the_end_is_too_short(tmp_path, name):
    clip = make(tmp_path, name)
    with pytest.raises(MediaError, match=r"nothing is heard from 40\.5 to 41 s") as caught:
        extract_wav(clip, tmp_path / "part.wav", part=(40.5, 41.0))
    assert caught.value.status == "too_short"
    assert not (tmp_path / "part.wav").exists()

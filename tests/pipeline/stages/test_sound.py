"""ExtractWav and ComputeStft: what they say when a file is not what it was."""

import re
import wave

import numpy as np
import pytest

from pipeline import media
from pipeline.stages.sound import _extract, _read_samples
from store.records.plans import Member


def write_wav(path, num_samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(2 * num_samples))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "is gone, 800 samples were written"),
        (b"no sound", r"cannot be read \(Format not recognised.*\), 800 samples were written"),
        (799, "has 799 samples, 800 were written"),
    ],
)
def test_a_wav_file_that_is_not_what_was_written_names_the_remedy(tmp_path, content, what):
    path = tmp_path / "shard" / "video" / "a.wav"
    if isinstance(content, int):
        write_wav(path, content)
    elif content:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    remedy = re.escape(f"; remove {tmp_path / 'shard'}.h5 to have the sound of its shard extracted again")
    with pytest.raises(OSError, match=f"a.wav {what}{remedy}"):
        next(_read_samples(path, 800))


def write_clip(path):
    frames = [np.zeros((16, 16, 3), np.uint8)]
    media.write_clip(path, frames, frame_rate=25, samples=np.zeros(1600, np.float32), sample_rate=16000)
    return path


@pytest.mark.parametrize("stem", ["a" * 236, "表" * 80, "a" * 251])
def test_long_names_have_their_sound(tmp_path, stem):
    source = write_clip(tmp_path / "clip.mp4")
    member = Member(f"v/{stem}", "clip.mp4", 1, 1)
    sound = _extract(source, tmp_path / "v" / f"{stem}.wav", member)
    assert sound.num_samples == 1600


def test_a_name_too_long_for_the_store_is_its_own_trouble_only(tmp_path):
    source = write_clip(tmp_path / "clip.mp4")
    member = Member("v/" + "a" * 252, "clip.mp4", 1, 1)  # a clip's ending may be shorter than .wav
    match = "aaa.wav of its sound, 256 bytes, is too long for the store's file system; shorten the clip's name"
    with pytest.raises(media.MediaError, match=match) as caught:
        _extract(source, tmp_path / "v" / ("a" * 252 + ".wav"), member)
    assert caught.value.status == "decode_error"


def test_a_wav_file_that_is_whole_is_read(tmp_path):
    write_wav(tmp_path / "a.wav", 800)
    assert [len(block) for block in _read_samples(tmp_path / "a.wav", 800)] == [800]

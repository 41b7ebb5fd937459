"""ExtractWav and ComputeStft: what they say when a file is not what it was."""

import re
import wave

import pytest

from pipeline.stages.sound import _read_samples


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


def test_a_wav_file_that_is_whole_is_read(tmp_path):
    write_wav(tmp_path / "a.wav", 800)
    assert [len(block) for block in _read_samples(tmp_path / "a.wav", 800)] == [800]

"""Mono PCM-16 in RIFF WAVE files."""

import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

_MOST_BYTES = (1 << 32) - 64
_AT_ONCE = 64  # blocks written at a time


class TooLongError(Exception):
    """The sound does not fit into a WAV file."""


def check_length(num_samples: int, sample_rate: int) -> None:
    """Refuse more samples than fit into a file.

    Raises:
        TooLongError: when there are more bytes than a WAV file can count.
    """
    if 2 * num_samples > _MOST_BYTES:
        raise TooLongError(f"{num_samples / sample_rate / 3600:.0f} hours of sound do not fit into a WAV file")


def write_wav(path: Path, blocks: Iterable[np.ndarray], sample_rate: int) -> int:
    """Write samples that come in blocks, (n,) int16, in memory that does not grow; return how many there were.

    The file is the same to the byte as ffmpeg's (`-fflags +bitexact`).

    Raises:
        TooLongError: when there are more bytes than a WAV file can count.
    """
    total = 0
    held: list[np.ndarray] = []
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        for block in blocks:
            total += len(block)
            check_length(total, sample_rate)
            held.append(block)
            if len(held) >= _AT_ONCE:
                file.writeframesraw(np.concatenate(held).astype("<i2", copy=False).tobytes())
                held = []
        file.writeframes(np.concatenate(held).astype("<i2", copy=False).tobytes() if held else b"")
    return total


def count_samples(path: Path) -> int:
    """Return how many samples a WAV file holds; 0 when there is no file or no header."""
    try:
        with wave.open(str(path), "rb") as file:
            return file.getnframes()
    except (FileNotFoundError, wave.Error, EOFError):
        return 0


def read_wav(path: Path, start: int = 0) -> Iterator[np.ndarray]:
    """Yield a WAV file's samples from the one numbered `start` on, in blocks of up to 65536, (n,) int16."""
    with wave.open(str(path), "rb") as file:
        file.setpos(start)
        while data := file.readframes(1 << 16):
            yield np.frombuffer(data, "<i2")

"""Parts of whole recordings: the frames and the samples from one time to another (half-open)."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.media.container import MediaError
from pipeline.media.picture import FrameTable
from pipeline.media.sound.extraction import Sound
from pipeline.media.sound.faults import SoundMeter
from pipeline.media.sound.wav_files import count_samples, read_wav, write_wav
from store.files import replacing

SAME_TIME_SECONDS = 1e-6  # a time in decimals means the frame that begins within this distance
# If a recording ends before its part by more, a note says so; sound and picture of one file may end this far apart.
BEYOND_SECONDS = 0.1


class Cut(NamedTuple):
    """A part of a recording: from `start_seconds` (included) to `end_seconds` (not included)."""

    start_seconds: float
    end_seconds: float


def cut_table(table: FrameTable, cut: Cut) -> FrameTable:
    """Return the frame table of a part. Times count from the cut's start, even if no frame begins there.

    Raises:
        MediaError: too_short if no frame begins in it.
    """
    times = table.times_seconds
    first, last = np.searchsorted(times, np.array(cut) - SAME_TIME_SECONDS)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    end = float(times[-1]) + step
    if first >= last:
        what = "no frame is first shown" if cut.start_seconds < end else "nothing is shown"
        raise MediaError("too_short", f"{what} from {_say(cut)} of the recording, whose picture ends at {end:.2f} s")
    notes = [table.message] if table.message else []
    return dataclasses.replace(
        table,
        times_seconds=np.maximum(times[first:last] - cut.start_seconds, 0.0),
        num_frames_listed=-1,
        message="; ".join([*notes, *_beyond("picture", cut, end)]),
    )


def cut_wav(whole: Path, sound: Sound, target: Path, cut: Cut, sample_rate: int) -> Sound:
    """Write the samples of a part: those from round(start * rate) on and before round(end * rate).

    Args:
        whole: the recording's sound, as `extract_wav` wrote it.
        sound: the result of `extract_wav`.
        target: the WAV file to write; its folder exists.
        cut: the part.
        sample_rate: of both, in Hz.

    Raises:
        MediaError: too_short if the part has no sample.
    """
    first, last = (round(seconds * sample_rate) for seconds in cut)
    total = count_samples(whole)
    end = total / sample_rate
    if first >= min(last, total):
        raise MediaError(
            "too_short", f"nothing is heard from {_say(cut)} of the recording, whose sound ends at {end:.2f} s"
        )
    meter = SoundMeter()
    with replacing(target) as partial:
        num_samples = write_wav(partial, _listened(read_samples(whole, first, last), meter), sample_rate)
    notes = [f"of the whole recording: {sound.message}"] if sound.message else []
    return Sound(num_samples, "; ".join([*notes, *meter.notes(), *_beyond("sound", cut, end)]))


def _listened(blocks: Iterator[np.ndarray], meter: SoundMeter) -> Iterator[np.ndarray]:
    for block in blocks:
        meter.take_mixed(block)
        yield block


def read_samples(path: Path, first: int, last: int) -> Iterator[np.ndarray]:
    """Yield the samples of a WAV file from `first` (included) to `last` (not included), in blocks, (n,) int16."""
    at = 0
    for block in read_wav(path, start=first):
        left = last - first - at
        if left <= 0:
            return
        yield block[:left]
        at += len(block)


def _beyond(what: str, cut: Cut, end: float) -> list[str]:
    if cut.end_seconds - end <= BEYOND_SECONDS:
        return []
    return [f"the recording's {what} ends at {end:.2f} s, before the end of the part at {cut.end_seconds:.10g} s"]


def _say(cut: Cut) -> str:
    return f"{cut.start_seconds:.10g} to {cut.end_seconds:.10g} s"

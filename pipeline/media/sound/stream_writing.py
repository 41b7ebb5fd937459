"""One sound stream of a clip, or a part of it, decoded, mixed, measured and written."""

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.media.clip_timeline import can_seek, read_timeline
from pipeline.media.container import MediaError, SoughtTooFarError, opened, origin_seconds
from pipeline.media.sound.decoding import SoundDecoder, TimesJumpError
from pipeline.media.sound.faults import SoundMeter
from pipeline.media.sound.resampling import MonoResampler, with_values
from pipeline.media.sound.wav_files import TooLongError, write_wav
from pipeline.media.timeline import Timeline

MISSING_SECONDS = 0.5  # a larger shortfall is reported; codecs and containers disagree by up to 0.1 s
LONGER_SECONDS = 0.2  # a larger excess is reported; it is two packets of the longest kinds
LOW_CHANNELS = frozenset({"LFE", "LFE2"})  # no voice is in them, and no mix to mono has them
# This much sound before a part is decoded and dropped, because decoders and resamplers keep a state.
LEAD_IN_SECONDS = 1


@dataclass(frozen=True)
class Job:
    """What is to be done with one clip; see `extract_wav`."""

    source: Path
    sample_rate: int
    stream: int | None
    channel: int | None
    stopping: threading.Event | None
    part: tuple[float, float] | None = None


@dataclass(frozen=True)
class Written:
    """What was written of one sound stream.

    Attributes:
        ordinal: which of the sound streams, from 0.
        num_samples: at least 1.
        power: mean square of what was decoded, when mixed, full scale being 1.
        notes: what is odd.
        powers: mean square of each channel before they were mixed; 0 for those that no mix has, () where the channels
            change midway.

    """

    ordinal: int
    num_samples: int
    power: float
    notes: tuple[str, ...]
    powers: tuple[float, ...]


def write_stream(job: Job, ordinal: int, partial: Path, container: Any = None) -> Written:
    """Write one stream, in the clip's times, and where those jump in the times closed up.

    Raises:
        MediaError: decode_error when not one sample can be decoded, no_stream when it never has the channel asked for,
            too_short when nothing is heard in the part asked for.
        OSError: when the system fails, or the work is to stop.

    """
    if job.part is not None:
        with contextlib.suppress(SoughtTooFarError):
            return _write_sought(job, math.floor(job.part[0]) - LEAD_IN_SECONDS, ordinal, partial)
    with contextlib.ExitStack() as stack:
        container = container or stack.enter_context(opened(job.source))
        try:
            return _decode(job, container, ordinal, partial, None, may_jump=True)
        except TimesJumpError:
            pass
    timeline = read_timeline(job.source, job.stopping)
    with opened(job.source) as container:
        return _decode(job, container, ordinal, partial, timeline if timeline.message else None, may_jump=False)


def _write_sought(job: Job, begin_seconds: int, ordinal: int, partial: Path) -> Written:
    """Write a part of a stream, and read only that.

    Raises:
        SoughtTooFarError: when it has to be read from its start.

    """
    with opened(job.source) as container:
        stream = container.streams.audio[ordinal]
        if begin_seconds <= 0 or not can_seek(container, job.source, job.stopping):
            raise SoughtTooFarError
        try:
            seconds = origin_seconds(container) + begin_seconds - LEAD_IN_SECONDS
            container.seek(int(seconds / stream.time_base), stream=stream)
        except av.FFmpegError as error:
            raise SoughtTooFarError from error
        return _decode(job, container, ordinal, partial, None, may_jump=False, begin_seconds=begin_seconds)


def _decode(
    job: Job,
    container: Any,
    ordinal: int,
    partial: Path,
    timeline: Timeline | None,
    *,
    may_jump: bool,
    begin_seconds: int = 0,
) -> Written:
    stream, origin = container.streams.audio[ordinal], origin_seconds(container)
    decoder = SoundDecoder(
        container,
        stream,
        origin=origin,
        timeline=timeline,
        may_jump=may_jump,
        begin_seconds=begin_seconds,
        stopping=job.stopping,
    )
    begin = begin_seconds * job.sample_rate
    meter, resampler = SoundMeter(), MonoResampler(job.sample_rate, job.channel, num_samples=begin)
    blocks = _mixed(decoder, meter, resampler)
    if job.part is not None:
        first, last = (round(seconds * job.sample_rate) - begin for seconds in job.part)
        blocks = _take(blocks, first, last)
    try:
        num_samples = write_wav(partial, blocks, job.sample_rate)
    except TooLongError as error:
        raise MediaError("decode_error", str(error)) from error
    if num_samples == 0 and decoder.decoded_seconds and job.part is not None:
        raise MediaError("too_short", f"nothing is heard from {job.part[0]:.10g} to {job.part[1]:.10g} s")
    if num_samples == 0:
        detail = f": {decoder.first_error}" if decoder.first_error else ""
        raise MediaError("decode_error", f"not one sample of the sound can be decoded{detail}")
    notes = [timeline.message] if timeline is not None else []
    notes += decoder.notes() + _check_channel(job.channel, resampler)
    mixes = sorted(resampler.equal_mixes)
    if resampler.num_formats > 1:
        notes.append("its format changes midway")
    notes += [f"its channels ({name}) have no layout that could be mixed by and count alike" for name in mixes]
    # If the format changes, the container's length is a guess from the first part's bit rate.
    listed = 0.0 if timeline is not None or resampler.num_formats > 1 else listed_end(container, stream) - origin
    notes += compare_lengths(num_samples / job.sample_rate, decoder.span_seconds, listed)
    names, powers = meter.channel_powers()
    usable = tuple(0.0 if name in LOW_CHANNELS else power for name, power in zip(names, powers, strict=True))
    # The powers of the channels do not include the silence before late sound.
    share = meter.num_mixed / job.sample_rate / max(decoder.decoded_seconds, 1 / job.sample_rate)
    return Written(ordinal, num_samples, meter.mixed_power * share, (*notes, *meter.notes()), usable)


def _mixed(decoder: SoundDecoder, meter: SoundMeter, resampler: MonoResampler) -> Iterator[np.ndarray]:
    """Yield a stream's samples, mixed and resampled."""
    for frame in decoder.frames():
        try:
            values, is_mended = meter.take_frame(frame)
            for block in resampler.push(with_values(frame, values) if is_mended else frame, values):
                meter.take_mixed(block)
                yield block
                decoder.check_stopping()
        except (av.FFmpegError, ValueError, OverflowError) as error:
            decoder.note_bad(error)
    for block in resampler.finish():
        meter.take_mixed(block)
        yield block


def _take(blocks: Iterator[np.ndarray], first: int, last: int) -> Iterator[np.ndarray]:
    """Yield the samples from the one numbered `first` on and before `last`, and ask for no more."""
    at = 0
    for block in blocks:
        if at + len(block) > first:
            yield block[max(first - at, 0) : last - at]
        at += len(block)
        if at >= last:
            return


def _check_channel(channel: int | None, resampler: MonoResampler) -> list[str]:
    """Return a note where the sound has the channel that was asked for at times only.

    Raises:
        MediaError: no_stream where it never has.

    """
    if resampler.without_channel is None:
        return []
    seconds, count = resampler.without_channel
    if not resampler.num_of_channel:
        raise MediaError("no_stream", f"audio channel {channel} was asked for; the sound has {count}, from 0")
    instead = "that one is taken" if count == 1 else "they are mixed"
    where = f"where the sound has only {count} (first at {seconds:.2f} s)"
    return [f"audio channel {channel} was asked for; {where}, {instead}"]


def compare_lengths(seconds: float, span_seconds: float, listed_seconds: float) -> list[str]:
    """Return a note where the sound is shorter or longer than the container says that it is."""
    if listed_seconds - seconds > MISSING_SECONDS:
        return [f"the sound ends at {seconds:.2f} s, the container lists {listed_seconds:.2f} s"]
    if span_seconds and span_seconds - seconds > MISSING_SECONDS:
        return [f"the sound ends at {seconds:.2f} s, its packets at {span_seconds:.2f} s"]
    if span_seconds and seconds - span_seconds > LONGER_SECONDS:
        return [f"the sound is {seconds:.2f} s long, its packets span {span_seconds:.2f} s"]
    return []


def listed_end(container: Any, stream: Any) -> float:
    """Return the end of a stream according to the container, else the end of the container; 0 if neither is given."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return ((container.start_time or 0) + (container.duration or 0)) / 1e6

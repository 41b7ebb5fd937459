"""The sound of a clip as 16 kHz mono PCM-16, by ffmpeg's libraries (PyAV), or by a program that is named."""

import contextlib
import dataclasses
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.media.container import MediaError, opened, origin_seconds
from pipeline.media.sound.decoding import SoundDecoder, TimesJumpError, time_limit
from pipeline.media.sound.faults import SoundMeter
from pipeline.media.sound.ffmpeg import first_lines, run_ffmpeg, sound_command, try_ffmpeg
from pipeline.media.sound.resampling import MonoResampler, with_values
from pipeline.media.sound.streams import best_ordinal, describe_stream, streams_to_try
from pipeline.media.sound.wav_files import TooLongError, count_samples, read_wav, write_wav
from pipeline.media.timeline import LEAD_SECONDS, Timeline, copy_sound, read_timeline
from store.files import replacing, temporary_folder

MISSING_SECONDS = 0.5  # sound shorter than listed by more is told: codecs and containers disagree by up to 0.1 s
LONGER_SECONDS = 0.2  # sound longer than its packets by more is told: two packets of the longest kinds
CANCELLED_RATIO = 100.0  # 20 dB: a channel that is so much louder than the mix is taken alone
QUIET_POWER = 1e-6  # -60 dB: channels below are noise
SPARE_SECONDS = 10.0  # what a program may write beyond what the packets span, before it is stopped
LOW_CHANNELS = frozenset({"LFE", "LFE2"})  # no voice is in them, and no mix to mono has them


@dataclass(frozen=True)
class Sound:
    """What a clip's sound came to.

    Attributes:
        num_samples: how many were written, at least 1.
        message: "" or a sentence about what is odd.

    """

    num_samples: int
    message: str


@dataclass(frozen=True)
class _Job:
    """What is to be done with one clip; see `extract_wav`."""

    source: Path
    sample_rate: int
    stream: int | None
    channel: int | None
    stopping: threading.Event | None


@dataclass(frozen=True)
class _Written:
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


def extract_wav(
    source: Path,
    target: Path,
    *,
    sample_rate: int = 16000,
    ffmpeg: str | None = None,
    stream: int | None = None,
    channel: int | None = None,
    stopping: threading.Event | None = None,
) -> Sound:
    """Write the best sound stream as mono PCM-16 WAV, aligned to the clip's origin (Section II-A).

    The origin is the start of the clip's earliest stream: sound that starts later gets silence before it, gaps of
    more than 0.1 s are filled with silence, and nothing is cut at the end. Where the clip's times jump or start again,
    the jump is closed up, in the picture alike. Channels are mixed by ffmpeg's own weights, those of no known layout
    alike; where they cancel each other out, the loudest is taken. The same input gives the same bytes. The target
    appears when it is whole, and replaces an existing file.

    Args:
        source: a clip in any container of CLIP_FORMATS.
        target: the WAV file to make; its folder exists.
        sample_rate: in Hz.
        ffmpeg: a binary to run instead of the libraries in the process.
        stream: which of the sound streams, counted from 0; by default the one ffmpeg thinks best of those that can be
            decoded.
        channel: which channel to take, from 0; by default they are mixed.
        stopping: when it is set, the work ends with an InterruptedError.

    Returns:
        The number of samples written, and what is odd about the sound.

    Raises:
        MediaError: no_stream without a sound stream, or without the stream or channel asked for; decode_error when it
            cannot be read or has not one sample.
        FfmpegError: when the program ffmpeg is of no use.
        OSError: when the system fails (no such file, disk full, no memory, ffmpeg missing or killed).
        TimeoutError: when it takes ten minutes longer than the sound lasts.

    """
    job = _Job(source, sample_rate, stream, channel, stopping)
    with replacing(target) as partial:
        if ffmpeg is not None:
            return _extract_by_program(job, partial, ffmpeg)
        written, notes = _first_that_decodes(job, partial)
        with temporary_folder(target.parent, target.name) as folder:
            louder = _louder_channel(job, written)
            if louder is not None:
                alone = _write_stream(dataclasses.replace(job, channel=louder), written.ordinal, folder / "alone.wav")
                if alone.power > CANCELLED_RATIO * written.power:
                    decibels = 10 * math.log10(alone.power / max(written.power, QUIET_POWER**2))
                    text = f"the mix of its {len(written.powers)} channels is {decibels:.0f} dB below channel {louder}"
                    notes.append(f"{text}, which is taken alone: they cancel each other out")
                    written = alone
                    (folder / "alone.wav").replace(partial)
    return Sound(written.num_samples, "; ".join([*notes, *written.notes]))


def _first_that_decodes(job: _Job, partial: Path) -> tuple[_Written, list[str]]:
    """Write the first stream that can be decoded; return what it came to, and a note where ffmpeg prefers another."""
    with opened(job.source) as container:
        ordinals = streams_to_try(container, job.stream)
        best = best_ordinal(container)
        names = [describe_stream(container, i) for i in range(len(container.streams.audio))]
        failures: list[MediaError] = []
        for ordinal in ordinals:
            try:
                written = _write_stream(job, ordinal, partial, None if failures else container)
            except MediaError as error:
                failures.append(error)
                continue
            notes = []
            if job.stream is None and ordinal != best:
                notes.append(f"sound {names[best]} cannot be decoded, {names[ordinal]} is taken")
            return written, notes
    others = [name for i, name in enumerate(names) if i not in ordinals]
    hint = f"; the file has other sound (overrides, audio_stream): {', '.join(others)}" if others else ""
    raise MediaError(failures[0].status, f"{failures[0]}{hint}")


def _write_stream(job: _Job, ordinal: int, partial: Path, container: Any = None) -> _Written:
    """Write one stream, in the clip's times, and where those jump in the times closed up."""
    with contextlib.ExitStack() as stack:
        container = container or stack.enter_context(opened(job.source))
        try:
            return _decode(job, container, ordinal, partial, None, may_jump=True)
        except TimesJumpError:
            pass
    timeline = read_timeline(job.source, job.stopping)
    with opened(job.source) as container:
        return _decode(job, container, ordinal, partial, timeline if timeline.message else None, may_jump=False)


def _decode(
    job: _Job, container: Any, ordinal: int, partial: Path, timeline: Timeline | None, *, may_jump: bool
) -> _Written:
    stream, origin = container.streams.audio[ordinal], origin_seconds(container)
    decoder = SoundDecoder(
        container, stream, origin=origin, timeline=timeline, may_jump=may_jump, stopping=job.stopping
    )
    meter, resampler = SoundMeter(), MonoResampler(job.sample_rate, job.channel)
    try:
        num_samples = write_wav(partial, _mixed(decoder, meter, resampler), job.sample_rate)
    except TooLongError as error:
        raise MediaError("decode_error", str(error)) from error
    if num_samples == 0:
        detail = f": {decoder.first_error}" if decoder.first_error else ""
        raise MediaError("decode_error", f"not one sample of the sound can be decoded{detail}")
    notes = [timeline.message] if timeline is not None else []
    notes += decoder.notes() + _check_channel(job.channel, resampler)
    mixes = sorted(resampler.equal_mixes)
    if resampler.num_formats > 1:
        notes.append("its format changes midway")
    notes += [f"its channels ({name}) have no layout that could be mixed by and count alike" for name in mixes]
    # Where the format changes the length is guessed from the first part's bit rate.
    listed = 0.0 if timeline is not None or resampler.num_formats > 1 else _listed_end(container, stream) - origin
    notes += _compare(num_samples / job.sample_rate, decoder.span_seconds, listed)
    names, powers = meter.channel_powers()
    usable = tuple(0.0 if name in LOW_CHANNELS else power for name, power in zip(names, powers, strict=True))
    # Of the channels there is no silence before late sound.
    power = meter.mixed_power * num_samples / job.sample_rate / max(decoder.decoded_seconds, 1 / job.sample_rate)
    return _Written(ordinal, num_samples, power, (*notes, *meter.notes()), usable)


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


def _compare(seconds: float, span_seconds: float, listed_seconds: float) -> list[str]:
    """Return a note where the sound is shorter or longer than the container says that it is."""
    if listed_seconds - seconds > MISSING_SECONDS:
        return [f"the sound ends at {seconds:.2f} s, the container lists {listed_seconds:.2f} s"]
    if span_seconds and span_seconds - seconds > MISSING_SECONDS:
        return [f"the sound ends at {seconds:.2f} s, its packets at {span_seconds:.2f} s"]
    if span_seconds and seconds - span_seconds > LONGER_SECONDS:
        return [f"the sound is {seconds:.2f} s long, its packets span {span_seconds:.2f} s"]
    return []


def _louder_channel(job: _Job, written: _Written) -> int | None:
    """Return a channel that is so much louder than the mix that the channels may cancel each other out."""
    power = max(written.powers, default=0.0)
    if job.channel is not None:  # nothing was mixed
        return None
    if len(written.powers) < 2 or power < QUIET_POWER or power < CANCELLED_RATIO * written.power:
        return None
    return written.powers.index(power)


def _listed_end(container: Any, stream: Any) -> float:
    """Return the time at which the container says that a stream ends, else it itself; 0 where it says nothing."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return ((container.start_time or 0) + (container.duration or 0)) / 1e6


def _extract_by_program(job: _Job, partial: Path, ffmpeg: str) -> Sound:
    """Let a program do it; what it gives is compared with what the packets span."""
    with opened(job.source) as container:
        ordinal, origin = streams_to_try(container, job.stream)[0], origin_seconds(container)
        stream = container.streams.audio[ordinal]
        listed = _listed_end(container, stream) - origin
        num_channels = stream.codec_context.channels
        if job.channel is not None and job.channel >= num_channels:
            text = f"audio channel {job.channel} was asked for; the sound has {num_channels}, from 0"
            raise MediaError("no_stream", text)
        decoder = SoundDecoder(container, stream, origin=origin, timeline=None, stopping=job.stopping)
        timeline = None
        try:
            decoder.scan()
        except TimesJumpError:
            timeline = read_timeline(job.source, job.stopping)
    span = decoder.span_seconds if timeline is None else 0.0
    options: dict[str, Any] = {"channel": job.channel, "most_seconds": span + SPARE_SECONDS if span else None}
    with contextlib.ExitStack() as stack:
        if timeline is None or not timeline.message:
            command = sound_command(job.source, partial, ordinal, origin, job.sample_rate, ffmpeg, **options)
        else:
            copy = stack.enter_context(temporary_folder(partial.parent, partial.name)) / "sound.nut"
            copy_sound(job.source, ordinal, timeline, copy, job.stopping)
            command = sound_command(copy, partial, 0, LEAD_SECONDS, job.sample_rate, ffmpeg, **options)
        complaints = run_ffmpeg(command, job.source, time_limit(span))
    num_samples = count_samples(partial)
    seconds = num_samples / job.sample_rate
    if num_samples == 0:
        try_ffmpeg.__wrapped__(ffmpeg)  # it may have broken since it was tried
        raise MediaError("decode_error", f"ffmpeg makes not one sample of the sound{first_lines(complaints)}")
    if span and seconds - span > LONGER_SECONDS:
        text = f"ffmpeg made {seconds:.2f} s of sound from packets that span {span:.2f} s: its format changes midway"
        raise MediaError("decode_error", f"{text}, which is read right with [audio] ffmpeg left empty")
    notes = [timeline.message] if timeline is not None and timeline.message else []
    if complaints:
        notes.append(f"the sound is damaged{first_lines(sorted(set(complaints)))}")
    meter = SoundMeter()
    for block in read_wav(partial):
        meter.take_mixed(block)
    notes += _compare(seconds, span, listed if timeline is None else 0.0) + meter.notes()
    return Sound(num_samples, "; ".join(notes))

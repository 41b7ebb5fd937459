"""The sound of a clip as 16 kHz mono PCM-16, by ffmpeg's libraries (PyAV), or by a program that is named."""

import contextlib
import dataclasses
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.media.clip_timeline import read_timeline
from pipeline.media.container import MediaError, opened, origin_seconds
from pipeline.media.sound.decoding import SoundDecoder, TimesJumpError, time_limit
from pipeline.media.sound.faults import SoundMeter
from pipeline.media.sound.ffmpeg import first_lines, run_ffmpeg, sound_command, try_ffmpeg
from pipeline.media.sound.straightening import LEAD_SECONDS, copy_sound
from pipeline.media.sound.stream_writing import LONGER_SECONDS, Job, Written, compare_lengths, listed_end, write_stream
from pipeline.media.sound.streams import best_ordinal, describe_stream, streams_to_try
from pipeline.media.sound.wav_files import count_samples, read_wav
from store.files import replacing, temporary_folder

CANCELLED_RATIO = 100.0  # 20 dB: a channel that is so much louder than the mix is taken alone
QUIET_POWER = 1e-6  # -60 dB: channels below are noise
SPARE_SECONDS = 10.0  # what a program may write beyond what the packets span, before it is stopped


@dataclass(frozen=True)
class Sound:
    """What a clip's sound came to.

    Attributes:
        num_samples: how many were written, at least 1.
        message: "" or a sentence about what is odd.

    """

    num_samples: int
    message: str


def extract_wav(
    source: Path,
    target: Path,
    *,
    sample_rate: int = 16000,
    ffmpeg: str | None = None,
    stream: int | None = None,
    channel: int | None = None,
    part: tuple[float, float] | None = None,
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
        ffmpeg: a program to run instead of the libraries in this process.
        stream: which sound stream, from 0; by default the one that ffmpeg prefers among those that can be decoded.
        channel: which channel to take, from 0; by default all are mixed.
        part: start (included) and end (not included) in seconds of the samples to write; not with a program. Nothing
            after the part is read, and nothing before it if the container has an index. The samples equal those of the
            whole sound, with two exceptions: a decoder may remember sound from long before, and a container may round
            its times (Matroska to milliseconds). Whether channels cancel each other out is decided by the part alone.
        stopping: once it is set, the work ends with an InterruptedError.

    Returns:
        The number of samples written, and notes on the sound.

    Raises:
        MediaError: no_stream without a sound stream, or without the stream or channel asked for; decode_error when it
            cannot be read or has not one sample; too_short when the part has none.
        FfmpegError: when the program ffmpeg is of no use.
        OSError: when the system fails (no such file, disk full, no memory, ffmpeg missing or killed).
        TimeoutError: when it takes ten minutes longer than the sound lasts.

    """
    job = Job(source, sample_rate, stream, channel, stopping, part)
    with replacing(target) as partial:
        if ffmpeg is not None:
            assert part is None, "a program gives the whole"
            return _extract_by_program(job, partial, ffmpeg)
        written, notes = _first_that_decodes(job, partial)
        with temporary_folder(target.parent, target.name) as folder:
            louder = _louder_channel(job, written)
            if louder is not None:
                alone = write_stream(dataclasses.replace(job, channel=louder), written.ordinal, folder / "alone.wav")
                if alone.power > CANCELLED_RATIO * written.power:
                    decibels = 10 * math.log10(alone.power / max(written.power, QUIET_POWER**2))
                    text = f"the mix of its {len(written.powers)} channels is {decibels:.0f} dB below channel {louder}"
                    notes.append(f"{text}, which is taken alone: they cancel each other out")
                    written = alone
                    (folder / "alone.wav").replace(partial)
    return Sound(written.num_samples, "; ".join([*notes, *written.notes]))


def _first_that_decodes(job: Job, partial: Path) -> tuple[Written, list[str]]:
    """Write the first stream that can be decoded; return what it came to, and a note where ffmpeg prefers another."""
    with opened(job.source) as container:
        ordinals = streams_to_try(container, job.stream)
        best = best_ordinal(container)
        names = [describe_stream(container, i) for i in range(len(container.streams.audio))]
        failures: list[MediaError] = []
        for ordinal in ordinals:
            try:
                written = write_stream(job, ordinal, partial, None if failures else container)
            except MediaError as error:
                if error.status == "too_short":
                    raise
                failures.append(error)
                continue
            notes = []
            if job.stream is None and ordinal != best:
                notes.append(f"sound {names[best]} cannot be decoded, {names[ordinal]} is taken")
            return written, notes
    others = [name for i, name in enumerate(names) if i not in ordinals]
    hint = f"; the file has other sound (overrides, audio_stream): {', '.join(others)}" if others else ""
    raise MediaError(failures[0].status, f"{failures[0]}{hint}")


def _louder_channel(job: Job, written: Written) -> int | None:
    """Return a channel that is so much louder than the mix that the channels may cancel each other out."""
    power = max(written.powers, default=0.0)
    if job.channel is not None:  # nothing was mixed
        return None
    if len(written.powers) < 2 or power < QUIET_POWER or power < CANCELLED_RATIO * written.power:
        return None
    return written.powers.index(power)


def _extract_by_program(job: Job, partial: Path, ffmpeg: str) -> Sound:
    """Extract the sound with the ffmpeg program; compare its length with the span of the packets."""
    with opened(job.source) as container:
        ordinal, origin = streams_to_try(container, job.stream)[0], origin_seconds(container)
        stream = container.streams.audio[ordinal]
        listed = listed_end(container, stream) - origin
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
    notes += compare_lengths(seconds, span, listed if timeline is None else 0.0) + meter.notes()
    return Sound(num_samples, "; ".join(notes))

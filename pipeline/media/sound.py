"""The sound of a clip as 16 kHz mono PCM-16, by ffmpeg."""

import contextlib
import errno
import re
import shutil
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as ffmpeg_python

from pipeline.media.container import (
    LOCAL_FILES_ONLY,
    MediaError,
    audio_ordinal,
    has_room,
    input_url,
    is_readable,
    opened,
    origin_seconds,
    packets,
)
from pipeline.media.timeline import LEAD_SECONDS, Timeline, copy_sound, has_jumps, read_timeline
from store.files import replacing, temporary_folder

LEAST_TIME_LIMIT_SECONDS = 600.0  # sound decodes hundreds of times faster than it plays: whoever needs longer hangs
ERROR_LINES = 3  # how many of ffmpeg's lines an error quotes
MISSING_SECONDS = 0.5  # sound shorter than listed by more is told: codecs and containers disagree by up to 0.1 s
SPEAKER = re.compile(r"\[[^]]* @ 0x[0-9a-f]+\] ")  # who in ffmpeg says it; the address differs from run to run
REPEATED = "Last message repeated"
SYSTEM_ERRORS = {"No space left on device": errno.ENOSPC, "Cannot allocate memory": errno.ENOMEM}
STOPPED_BY_SIGNAL = 255  # what ffmpeg returns when it was told to stop


@dataclass(frozen=True)
class Sound:
    """What a clip's sound came to.

    Attributes:
        num_samples: how many were written, at least 1.
        message: "" or a sentence about what is odd.

    """

    num_samples: int
    message: str


def ffmpeg_binary() -> str:
    """Return the path of ffmpeg: the one on PATH, else the one that the package imageio-ffmpeg carries.

    Raises:
        FileNotFoundError: when there is neither.

    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    import imageio_ffmpeg

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise FileNotFoundError(
            errno.ENOENT, "no ffmpeg on PATH and none in imageio-ffmpeg; install one of the two"
        ) from error


def extract_wav(
    source: Path, target: Path, *, sample_rate: int = 16000, ffmpeg: str | None = None, stream: int | None = None
) -> Sound:
    """Write the best sound stream as mono PCM-16 WAV, aligned to the clip's origin (Section II-A).

    The origin is the start of the clip's earliest stream: sound that starts later gets silence before it, gaps of
    more than 0.1 s are filled with silence, and nothing is cut at the end. Where the clip's times jump or start again,
    the jump is closed up, in the picture alike. Channels are mixed by ffmpeg's own
    weights. The same input and the same ffmpeg give the same bytes. The target appears when it is whole, and replaces
    an existing file.

    Args:
        source: a clip in any container ffmpeg reads.
        target: the WAV file to make; its folder exists.
        sample_rate: in Hz.
        ffmpeg: the binary to run; by default `ffmpeg_binary()`.
        stream: which of the sound streams, counted from 0; by default the one ffmpeg thinks best.

    Returns:
        The number of samples written, and what is odd: what ffmpeg complained of, sound that breaks off.

    Raises:
        MediaError: no_stream without a sound stream; decode_error when it cannot be read or has not one sample.
        OSError: when the system fails (no such file, disk full, no memory, ffmpeg missing or killed).
        TimeoutError: when ffmpeg takes ten minutes longer than the clip lasts.

    """
    with opened(source) as container:
        ordinal, origin = audio_ordinal(container, stream), origin_seconds(container)
        limit = LEAST_TIME_LIMIT_SECONDS + (container.duration or 0) / 1e6
        listed = _listed_end(container, container.streams.audio[ordinal]) - origin
        timeline = _find_jumps(source, container, container.streams.audio[ordinal], origin)
    with contextlib.ExitStack() as stack:
        partial = stack.enter_context(replacing(target))
        if timeline is None:
            command = _command(source, partial, ordinal, origin, sample_rate, ffmpeg or ffmpeg_binary())
        else:
            copy = stack.enter_context(temporary_folder(target.parent, target.name)) / "sound.nut"
            copy_sound(source, ordinal, timeline, copy)
            command = _command(copy, partial, 0, LEAD_SECONDS, sample_rate, ffmpeg or ffmpeg_binary())
        complaints = _run(command, source, limit)
        num_samples = _count_samples(partial)
        if num_samples == 0:
            raise MediaError("decode_error", f"the audio stream gives not one sample{_quoted(complaints)}")
    notes = [timeline.message] if timeline is not None else []
    if complaints:
        notes.append(f"the sound is damaged{_quoted(sorted(set(complaints)))}")
    if timeline is None and listed - num_samples / sample_rate > MISSING_SECONDS:
        notes.append(f"the sound ends at {num_samples / sample_rate:.2f} s, the container lists {listed:.2f} s")
    return Sound(num_samples, "; ".join(notes))


def _find_jumps(source: Path, container: Any, stream: Any, origin: float) -> Timeline | None:
    """Return the clip's timeline where the sound's times jump together with the picture's; None where they run on."""
    read = packets(container, stream, lambda error: None)
    if not has_jumps((float(p.dts * p.time_base) for p in read if p is not None and p.dts is not None), origin):
        return None
    timeline = read_timeline(source)
    return timeline if timeline.message else None


def _listed_end(container: Any, stream: Any) -> float:
    """Return the time at which the container says that a stream ends, else it itself; 0 where it says nothing."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return ((container.start_time or 0) + (container.duration or 0)) / 1e6


def _command(source: Path, target: Path, ordinal: int, origin: float, sample_rate: int, binary: str) -> list[str]:
    """Return the ffmpeg command line.

    With `copyts` the times are the container's own. ffmpeg would otherwise take the start of the *used* streams for
    zero in some formats (MPEG-TS and -PS), and late sound would move forward.
    """
    stream = ffmpeg_python.input(input_url(source), copyts=None, threads=1, **LOCAL_FILES_ONLY)[f"a:{ordinal}"]
    stream = stream.filter("asetpts", f"PTS-({origin:.6f})/TB")
    stream = stream.filter("aresample", sample_rate, **{"async": 1, "first_pts": 0})
    output = ffmpeg_python.output(
        stream,
        f"file:{target.absolute()}",
        format="wav",
        acodec="pcm_s16le",
        ac=1,
        ar=sample_rate,
        vn=None,
        sn=None,
        dn=None,
        map_metadata=-1,
        fflags="+bitexact",
        **{"flags:a": "+bitexact"},
    )
    output = output.global_args("-nostdin", "-hide_banner", "-nostats", "-v", "error", "-filter_threads", "1")
    return ffmpeg_python.compile(output, cmd=binary, overwrite_output=True)


def _run(command: list[str], source: Path, limit_seconds: float) -> list[str]:
    """Run ffmpeg and return the lines it complained in; sort a failure into the clip's and the system's."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(
            f"ffmpeg did not finish the sound of {source} within {limit_seconds:.0f} s; does the disk answer?"
        ) from error
    words = SPEAKER.sub("", done.stderr.decode("utf-8", errors="replace"))
    complaints = [line.strip() for line in words.splitlines() if line.strip() and REPEATED not in line]
    if done.returncode == 0:
        return complaints
    if done.returncode < 0 or done.returncode == STOPPED_BY_SIGNAL:
        raise ChildProcessError(
            f"ffmpeg was stopped (exit status {done.returncode}) while it read {source}{_quoted(complaints)}"
        )
    for text, code in SYSTEM_ERRORS.items():
        if text in words and not (code == errno.ENOMEM and has_room()):
            raise OSError(code, f"ffmpeg cannot extract the sound{_quoted(complaints)}", str(source))
    failure = OSError(errno.EIO, f"ffmpeg cannot read the file{_quoted(complaints)}", str(source))
    if "Input/output error" in words and not is_readable(source, failure):
        raise failure
    raise MediaError("decode_error", f"ffmpeg cannot decode the sound{_quoted(complaints)}")


def _quoted(lines: list[str]) -> str:
    """Return ffmpeg's last words as the end of a sentence."""
    return f": {' | '.join(lines[-ERROR_LINES:])}" if lines else ""


def _count_samples(path: Path) -> int:
    """Return how many samples a WAV file holds; 0 when ffmpeg wrote no file or no header."""
    try:
        with wave.open(str(path), "rb") as file:
            return file.getnframes()
    except (FileNotFoundError, wave.Error, EOFError):
        return 0

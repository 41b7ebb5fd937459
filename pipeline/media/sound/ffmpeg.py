"""The program ffmpeg, for those who name one in `[audio] ffmpeg`: found, tried before it is trusted, and run."""

import contextlib
import errno
import functools
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import av
import ffmpeg as ffmpeg_python
import numpy as np
import soundfile

from pipeline.errors import UserError
from pipeline.media.container import LOCAL_FILES_ONLY, MediaError, has_room, input_url, is_readable
from pipeline.media.sound.wav_files import write_wav
from store.text import format_count

LINES = 3  # how many of ffmpeg's lines an error quotes: the first ones, which name the cause
MOST_WORDS = 1 << 16  # bytes of what ffmpeg says that are kept
TRIAL_SECONDS = 60.0  # a disk or a processor that is busy may take a while; without trouble it is 0.1 s
TRIAL_RATE = 16000
SPEAKER = re.compile(r"\[[^]]* @ 0x[0-9a-f]+\] ")  # ffmpeg's part that wrote the line; the address differs each run
REPEATED = "Last message repeated"
SYSTEM_ERRORS = {"No space left on device": errno.ENOSPC, "Cannot allocate memory": errno.ENOMEM}
STOPPED_BY_SIGNAL = 255  # what ffmpeg returns when it was told to stop
NO_DECODER = ("Decoder not found", "no decoder found for", "Unknown decoder")
REMEDY = "mend it, name another one in [audio] ffmpeg, or leave that empty for PyAV's own"
OF_THE_SHELL = (126, 127)  # "cannot be executed" and "not found": the program itself or a library that it needs


class FfmpegError(UserError):
    """The program ffmpeg is of no use; the message says which, why, and what to do."""


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


def sound_engine(ffmpeg: str | None = None) -> str:
    """Say what makes the sound, for its provenance: the libraries in the process, or the program named, which is tried.

    Raises:
        FfmpegError: when that program is of no use.

    """
    if ffmpeg is None:
        return f"PyAV {av.__version__} with ffmpeg {av.ffmpeg_version_info}"
    return f"ffmpeg {try_ffmpeg(ffmpeg)}"


@functools.cache
def try_ffmpeg(binary: str) -> str:
    """Try a binary, once for each: it must copy a second of made sound to its exact samples, and say its version.

    Returns:
        Its version, as it says it itself.

    Raises:
        FfmpegError: when it cannot be run, or does not do that.

    """
    made = np.round(8000 * np.sin(np.arange(TRIAL_RATE) ** 2 / 9e5)).astype(
        np.int16
    )  # 16000 samples without a pattern that repeats
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "made.wav", Path(folder) / "copy.wav"
        write_wav(source, [made], TRIAL_RATE)
        try:
            version = subprocess.run(
                [binary, "-version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_SECONDS, check=False
            )
            command = sound_command(source, target, 0, 0.0, TRIAL_RATE, binary)
            status, lines = _run(command, TRIAL_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FfmpegError(f"ffmpeg {binary} cannot be run: {error}; {REMEDY}") from error
        first = version.stdout.decode("utf-8", errors="replace").partition("\n")[0]
        words = first_lines(lines)
        if status != 0:
            raise FfmpegError(
                f"ffmpeg {binary} ended with exit status {status} on a second of made sound{words}; {REMEDY}"
            )
        try:
            copy, _ = soundfile.read(target, dtype="int16")
        except (OSError, soundfile.LibsndfileError) as error:
            raise FfmpegError(f"ffmpeg {binary} wrote no WAV of a second of made sound{words}; {REMEDY}") from error
        if not np.array_equal(copy, made):
            raise FfmpegError(f"ffmpeg {binary} wrote other samples than a second of made sound has{words}; {REMEDY}")
    match = re.match(r"ffmpeg version (\S+)", first)
    if match is None:
        raise FfmpegError(f"{binary} does not say which version of ffmpeg it is: {first[:80]!r}; {REMEDY}")
    return match[1]


def sound_command(
    source: Path,
    target: Path,
    ordinal: int,
    origin: float,
    sample_rate: int,
    binary: str,
    *,
    channel: int | None = None,
    most_seconds: float | None = None,
) -> list[str]:
    """Return the ffmpeg command line that writes a sound stream as mono PCM-16.

    With `copyts` the times are the container's own. ffmpeg would otherwise take the start of the *used* streams for
    zero in some formats (MPEG-TS and -PS), and late sound would move forward.
    """
    stream = ffmpeg_python.input(input_url(source), copyts=None, threads=1, **LOCAL_FILES_ONLY)[f"a:{ordinal}"]
    if channel is not None:
        stream = stream.filter("channelmap", map=str(channel), channel_layout="mono")
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
        **({} if most_seconds is None else {"t": f"{most_seconds:.3f}"}),
    )
    output = output.global_args("-nostdin", "-hide_banner", "-nostats", "-v", "error", "-filter_threads", "1")
    return ffmpeg_python.compile(output, cmd=binary, overwrite_output=True)


def run_ffmpeg(command: list[str], source: Path, limit_seconds: float) -> list[str]:
    """Run ffmpeg and return the lines it complained in; sort a failure into the clip's and the system's."""
    try:
        status, lines = _run(command, limit_seconds)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(
            f"ffmpeg did not finish the sound of {source} within {limit_seconds:.0f} s; does the disk answer?"
        ) from error
    words, quoted = "\n".join(lines), first_lines(lines)
    if status == 0:
        return lines
    if status < 0 or status == STOPPED_BY_SIGNAL:
        raise ChildProcessError(f"ffmpeg was stopped (exit status {status}) while it read {source}{quoted}")
    if status in OF_THE_SHELL:
        raise ChildProcessError(f"ffmpeg {command[0]} cannot be run (exit status {status}){quoted}")
    for text, code in SYSTEM_ERRORS.items():
        if text in words and not (code == errno.ENOMEM and has_room()):
            raise OSError(code, f"ffmpeg cannot extract the sound{quoted}", str(source))
    failure = OSError(errno.EIO, f"ffmpeg cannot read the file{quoted}", str(source))
    if "Input/output error" in words and not is_readable(source, failure):
        raise failure
    if "Permission denied" in words and is_readable(source, failure):
        raise PermissionError(
            errno.EACCES, f"ffmpeg may not read the file, which this process reads{quoted}", str(source)
        )
    if any(text in words for text in NO_DECODER):  # PyAV has one: else the stream had not been taken
        raise FfmpegError(f"ffmpeg {command[0]} has no decoder for the sound of {source}{quoted}; {REMEDY}")
    try_ffmpeg.__wrapped__(command[0])  # it may have broken since it was tried
    raise MediaError("decode_error", f"ffmpeg does not decode the sound{quoted}")


def first_lines(lines: list[str]) -> str:
    """Return the first of ffmpeg's lines as the end of a sentence."""
    more = f" | and {format_count(len(lines) - LINES, 'more line')}" if len(lines) > LINES else ""
    return f": {' | '.join(lines[:LINES])}{more}" if lines else ""


def _run(command: list[str], limit_seconds: float) -> tuple[int, list[str]]:
    """Run a command; return its exit status and the beginning of what it said."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    timer = threading.Timer(limit_seconds, process.kill)
    timer.start()
    try:
        assert process.stderr is not None
        words = process.stderr.read(MOST_WORDS)
        while process.stderr.read(MOST_WORDS):
            pass  # what it says has no end, and nobody needs the rest
        status = process.wait()
    finally:
        has_run_out = not timer.is_alive()
        timer.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    if has_run_out and status < 0:
        raise subprocess.TimeoutExpired(command, limit_seconds)
    text = SPEAKER.sub("", words.decode("utf-8", errors="replace"))
    return status, [line.strip() for line in text.splitlines() if line.strip() and REPEATED not in line]

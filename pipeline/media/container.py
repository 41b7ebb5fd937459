"""Opening a media file, choosing its streams and telling a bad file from a bad disk."""

import errno
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

READ_BLOCK = 1 << 20  # bytes read at a time when a file is checked
# Bytes, asked for and not touched: who gets as much (a 4K film takes about that) was not short of memory.
ROOM_TO_DECODE = 1 << 30
# What no content of a file can cause; for the rest ffmpeg uses the system's numbers freely about damaged files.
SYSTEM_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT})
# Pictures that a player shows beside the sound, not as a film.
STILL_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
LOCAL_FILES_ONLY = {"protocol_whitelist": "file"}
# Texts that name other files, and what ffmpeg would draw as a film although it is none: a clip must not reach out of
# itself.
FORMATS_OF_NO_CLIP = frozenset({"hls", "concat", "dash", "sdp", "imf", "webm_dash_manifest", "image2", "tty"})


class MediaError(Exception):
    """A clip cannot give what was asked of it; the message is one sentence.

    Attributes:
        status: "no_stream" (it has none of this kind) or "decode_error" (it has, or should have, but cannot be read).

    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> Any:
        """Come back whole from another process."""
        return type(self), (self.status, str(self))


def input_url(source: Path) -> str:
    """Return the name ffmpeg gets: absolute and with its protocol, so that nothing in it is taken for an option."""
    return f"file:{source.absolute()}"


@contextmanager
def opened(source: Path) -> Iterator[Any]:
    """Open a clip for reading.

    Raises:
        MediaError: decode_error when the file is empty or no container that ffmpeg knows.
        OSError: when the file is missing or the system cannot read it.

    """
    with source.open("rb") as file:  # Python's own error for a missing or unreadable file
        if not file.read(1):
            raise MediaError("decode_error", "the file is empty (0 bytes)")
    try:
        container = av.open(input_url(source), metadata_errors="replace", options=dict(LOCAL_FILES_ONLY))
    except av.FFmpegError as error:
        if is_of_system(error, source):
            raise
        raise MediaError("decode_error", f"ffmpeg cannot open the file: {reason(error)}") from error
    with container:
        if not FORMATS_OF_NO_CLIP.isdisjoint(container.format.name.split(",")):
            raise MediaError("decode_error", f"the file is of the format {container.format.name}, which is no clip")
        yield container


def is_of_system(error: Exception, source: Path) -> bool:
    """Tell whether an error comes from memory or disk, which may pass, and not from what the file contains.

    Of a damaged header ffmpeg may say "Input/output error", "Operation not permitted" or "Cannot allocate memory" too.
    """
    if isinstance(error, MemoryError):
        return is_out_of_memory(error)
    return isinstance(error, OSError) and not is_readable(source, error)


def is_out_of_memory(error: MemoryError) -> bool:
    """Tell a lack of memory from ffmpeg's refusal of the absurd sizes that a damaged file asks for."""
    return not isinstance(error, av.FFmpegError) or not has_room()


def has_room() -> bool:
    """Tell whether the system would give this process the memory that decoding takes."""
    try:
        mmap.mmap(-1, ROOM_TO_DECODE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return False
    return True


def is_readable(source: Path, error: OSError) -> bool:
    """Tell whether the system reads the whole file, so that an error about it is about what it contains."""
    if error.errno in SYSTEM_ERRNOS:
        return False
    try:
        with source.open("rb") as file:
            while file.read(READ_BLOCK):
                pass
    except OSError:
        return False
    return True


def reason(error: Exception) -> str:
    """Return ffmpeg's own words for an error, without numbers and names of functions."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def origin_seconds(container: Any) -> float:
    """Return the time at which the earliest stream starts, the origin for sound and picture; 0 where it is unknown."""
    return (container.start_time or 0) / av.time_base


def film_streams(container: Any) -> list[Any]:
    """Return the picture streams that are no cover art."""
    return [stream for stream in container.streams.video if not stream.disposition & STILL_PICTURES]


def video_stream(container: Any, ordinal: int | None = None) -> Any:
    """Return the picture stream ffmpeg thinks best, or the one asked for; cover art does not count.

    Args:
        container: an opened clip.
        ordinal: which of the picture streams, counted from 0.

    Raises:
        MediaError: no_stream when there is none, decode_error when no decoder knows its codec.

    """
    films = film_streams(container)
    if not films:
        stills = len(container.streams.video)
        detail = " (cover art does not count)" if stills else ""
        raise MediaError("no_stream", f"the file has no video stream{detail}")
    if ordinal is not None and ordinal >= len(films):
        raise MediaError("no_stream", f"video stream {ordinal} was asked for; the file has {len(films)}, from 0")
    best = container.streams.best("video")
    chosen = best if best in films else max(films, key=lambda stream: _area(stream))
    chosen = chosen if ordinal is None else films[ordinal]
    if chosen.codec_context is None:
        raise MediaError("decode_error", f"no decoder for the codec of video stream {chosen.index}")
    return chosen


def packets(container: Any, streams: Any, note: Callable[[Exception], None]) -> Iterator[Any]:
    """Yield the packets of a stream, or a list of them, and at their end None, which makes a decoder give the rest."""
    demuxed = container.demux(streams)
    while True:
        try:
            packet = next(demuxed, None)
        except av.FFmpegError as error:
            if is_of_system(error, Path(container.name.removeprefix("file:"))):
                raise
            note(error)  # what comes after cannot be found any more
            packet = None
        if packet is None or (packet.size == 0 and packet.dts is None):
            yield None
            return
        yield packet


def audio_ordinal(container: Any, ordinal: int | None = None) -> int:
    """Return which of the sound streams, counted from 0 among them, ffmpeg thinks best, or the one asked for.

    Raises:
        MediaError: no_stream when there is none.

    """
    best = container.streams.best("audio")
    if best is None:
        raise MediaError("no_stream", "the file has no audio stream")
    if ordinal is not None:
        num_streams = len(container.streams.audio)
        if ordinal >= num_streams:
            raise MediaError("no_stream", f"audio stream {ordinal} was asked for; the file has {num_streams}, from 0")
        return ordinal
    return [stream.index for stream in container.streams.audio].index(best.index)


def _area(stream: Any) -> int:
    """Return how many pixels a picture of this stream has; 0 where that is unknown."""
    context = stream.codec_context
    return context.width * context.height if context is not None else 0

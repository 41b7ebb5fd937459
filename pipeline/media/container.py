"""Opening a media file, choosing its streams, and telling a damaged file from a failing disk."""

import errno
import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from pipeline.media.mp4_index import count_claimed_samples

READ_BLOCK = 1 << 20  # bytes read at a time when a file is checked
# Bytes. When decoding fails, this much memory is requested and released unused. A 4K film needs about as much: if the
# system grants it, lack of memory was not the cause.
ROOM_TO_DECODE = 1 << 30
# Errors that no content of a file can cause. ffmpeg uses the system's other error numbers also for damaged files.
SYSTEM_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT})
# Still pictures that a player shows beside the sound, such as cover art.
STILL_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
# The formats of films and sound. Left out are formats that name other files (hls, concat, dash, image2, vobsub, ...),
# so that a clip reads no other file; formats that turn text into sound or pictures (sbg, tty, subtitles); and raw
# samples, because any file can be read as such. Single photographs (..._pipe) are films of one picture.
CLIP_FORMATS = (
    # films and sound
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "live_flv", "kux"),
    *("asf", "ogg", "mxf", "gxf", "wtv", "dv", "rm", "ivr", "nut", "nuv", "nsv", "dhav", "swf", "smjpeg", "pva", "ea"),
    # films alone
    *("ivf", "obu", "av1", "h261", "h263", "h264", "hevc", "vvc", "evc", "m4v", "mpegvideo", "mjpeg", "mpjpeg", "vc1"),
    *("vc1test", "dirac", "dnxhd", "cavsvideo", "avs2", "avs3", "yuv4mpegpipe", "gif", "apng", "flic"),
    # sound alone
    *("wav", "w64", "aiff", "au", "caf", "mp3", "aac", "loas", "ac3", "eac3", "dts", "dtshd", "truehd", "mlp", "flac"),
    *("ape", "wv", "tta", "tak", "mpc", "mpc8", "amr", "amrnb", "amrwb", "gsm", "voc", "sox", "nistsphere", "dsf"),
    *("jpeg_pipe", "png_pipe", "bmp_pipe", "tiff_pipe", "webp_pipe", "jpegxl_pipe"),
)
#: Options for opening a file, with libav in this process and with an ffmpeg program.
LOCAL_FILES_ONLY = {"protocol_whitelist": "file", "format_whitelist": ",".join(CLIP_FORMATS)}
# A packet takes at least one byte of its file, and is read once. An index with more packets is damaged, or was made to
# keep the reader busy for ever. Tracks that are compressed once more may hold a few times as many.
MOST_TIMES_ITS_SIZE = 64
SPARE_PACKETS, SPARE_BYTES = 1024, 64 << 20


class MediaError(Exception):
    """A clip's sound or picture cannot be used; the message is one sentence.

    Attributes:
        status: "no_stream" (the clip has no stream of this kind), "decode_error" (a stream cannot be read) or
            "too_short" (the requested part of a recording is empty).

    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> Any:
        """Keep status and message when the error comes from another process."""
        return type(self), (self.status, str(self))


class SoughtTooFarError(Exception):
    """Seeking failed, or went too far: the file has to be read from its start."""


def input_url(source: Path) -> str:
    """Return a path as ffmpeg needs it: absolute and with its protocol, so that no part is read as an option."""
    return f"file:{source.absolute()}"


@contextmanager
def opened(source: Path) -> Iterator[Any]:
    """Open a clip for reading.

    Raises:
        MediaError: decode_error if the file is empty, not a regular file, or of none of CLIP_FORMATS, or if its index
            lists more than the file can hold.
        OSError: when the file is missing or the system cannot read it.

    """
    if not stat.S_ISREG(source.stat().st_mode):  # opening a pipe would wait for a writer
        raise MediaError("decode_error", "this is not a regular file but a folder, pipe, socket or device")
    with source.open("rb") as file:  # Python's own error for an unreadable file
        if not file.read(1):
            raise MediaError("decode_error", "the file is empty (0 bytes)")
        if count_claimed_samples(file) > (size := os.fstat(file.fileno()).st_size) + SPARE_PACKETS:
            raise _overfull(size)
    try:
        container = av.open(input_url(source), metadata_errors="replace", options=dict(LOCAL_FILES_ONLY))
    except av.FFmpegError as error:
        if is_of_system(error, source):
            raise
        detail = reason(error)
        if error.errno == errno.EINVAL:  # ffmpeg's error for a format that is not in the list
            detail = "it is of a format that is no clip (a text, a list of other files), or its header is damaged"
        raise MediaError("decode_error", f"ffmpeg cannot open the file: {detail}") from error
    with container:
        yield container


def is_of_system(error: Exception, source: Path) -> bool:
    """Tell whether an error comes from memory or disk, and may not happen again, and not from the file's content.

    For a damaged header ffmpeg may also report "Input/output error", "Operation not permitted" or "Cannot allocate
    memory".
    """
    if isinstance(error, MemoryError):
        return is_out_of_memory(error)
    return isinstance(error, OSError) and not is_readable(source, error)


def is_out_of_memory(error: MemoryError) -> bool:
    """Tell whether memory was short, or ffmpeg refused an absurd size that a damaged file claims."""
    return not isinstance(error, av.FFmpegError) or not has_room()


def has_room() -> bool:
    """Tell whether the system grants this process the memory that decoding needs."""
    try:
        mmap.mmap(-1, ROOM_TO_DECODE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return False
    return True


def is_readable(source: Path, error: OSError) -> bool:
    """Tell whether the whole file can be read, so that an error must come from its content."""
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
    """Return ffmpeg's message of an error, without numbers and names of functions."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def origin_seconds(container: Any) -> float:
    """Return the time at which the earliest stream starts, the origin for sound and picture; 0 if it is unknown."""
    return (container.start_time or 0) / av.time_base


def film_streams(container: Any) -> list[Any]:
    """Return the picture streams without cover art."""
    return [stream for stream in container.streams.video if not stream.disposition & STILL_PICTURES]


def video_stream(container: Any, ordinal: int | None = None) -> Any:
    """Return the picture stream that ffmpeg prefers, or the requested one; cover art does not count.

    Args:
        container: an opened clip.
        ordinal: which of the picture streams, counted from 0.

    Raises:
        MediaError: no_stream if there is none, decode_error if no decoder knows its codec.

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


def packets(
    container: Any, streams: Any, note: Callable[[Exception], None], stopping: threading.Event | None = None
) -> Iterator[Any]:
    """Yield the packets of one or several streams, and then None, which makes a decoder return its last frames.

    Args:
        container: an opened clip.
        streams: of it.
        note: called with an error that ends the packets early.
        stopping: checked before each packet, because Ctrl-C reaches only the main thread.

    Raises:
        MediaError: decode_error if there are more packets than a file of this size can hold.
        InterruptedError: `stopping` was set.
        OSError: when the system cannot read the file.

    """
    demuxed = container.demux(streams)
    packets_left = container.size + SPARE_PACKETS
    bytes_left = MOST_TIMES_ITS_SIZE * container.size + SPARE_BYTES
    while True:
        if stopping is not None and stopping.is_set():
            raise InterruptedError(errno.EINTR, "the work was stopped", container.name.removeprefix("file:"))
        try:
            packet = next(demuxed, None)
        except av.FFmpegError as error:
            if is_of_system(error, Path(container.name.removeprefix("file:"))):
                raise
            note(error)  # the packets after the fault cannot be found
            packet = None
        if packet is None or (packet.size == 0 and packet.dts is None):
            yield None
            return
        packets_left, bytes_left = packets_left - 1, bytes_left - packet.size
        if min(packets_left, bytes_left) < 0:
            raise _overfull(container.size)
        yield packet


def _overfull(size: int) -> MediaError:
    return MediaError("decode_error", f"the index gives more than a file of {size} bytes can hold; it is damaged")


def _area(stream: Any) -> int:
    """Return how many pixels a picture of this stream has; 0 if that is unknown."""
    context = stream.codec_context
    return context.width * context.height if context is not None else 0

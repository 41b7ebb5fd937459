"""The pictures of a clip: when each is shown, and their pixels, upright and square."""

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import ThreadType

from pipeline.media.container import MediaError, is_out_of_memory, opened, origin_seconds, packets, reason, video_stream
from pipeline.media.decoding import (
    Clock,
    Converter,
    decode_frames,
    has_guessed_times,
    orientation,
    square_size,
)
from pipeline.media.timeline import has_jumps, read_timeline

# A frame is the table's when their times differ by less: float64 keeps them far better, clocks tick in 1/90000 s or so.
SAME_TIME_SECONDS = 1e-5
# A picture may be made from ones shown later: usual encoders go up to 4 ahead, H.264 allows 16. Not converted yet, 8 of
# 1080p are 25 MB.
FRAMES_HELD_BACK = 8


@dataclass(frozen=True)
class Frame:
    """One picture of a clip.

    Attributes:
        index: its position in the clip's FrameTable.
        time_seconds: when it is shown, relative to the clip's origin.
        image: (H, W, 3) uint8 in BGR, upright, with square pixels.

    """

    index: int
    time_seconds: float
    image: np.ndarray


@dataclass(frozen=True)
class FrameTable:
    """When a clip shows its pictures, and of what kind they are.

    Attributes:
        times_seconds: (F,) float64, strictly ascending, relative to the start of the clip's earliest stream.
        width: of an upright picture with square pixels.
        height: likewise.
        rotation_degrees: 0, 90, 180 or 270, by which stored pixels are turned clockwise to be upright.
        sample_aspect_ratio: width of a stored pixel over its height; above 1 pictures are widened, below 1
            heightened, so that no stored pixel is lost; up to 1 % off square they stay as they are.
        num_frames_listed: how many frames the container claims to have; -1 when it claims nothing.
        codec: its short name, such as "h264".
        frame_rate: the average, in frames per second; 0 when it is unknown.
        message: "" or a sentence about what is odd.

    """

    times_seconds: np.ndarray
    width: int
    height: int
    rotation_degrees: int
    sample_aspect_ratio: float
    num_frames_listed: int
    codec: str
    frame_rate: float
    message: str


def scan_frames(source: Path, *, stream: int | None = None) -> FrameTable:
    """Read when each frame is shown; decode only the first, for size and rotation (Section II-B).

    Files whose packets carry no times, or the same time twice, are decoded as a whole, and their frames are timed by
    the frame rate. Frames that the container hides (before an edit list's start) are not in the table. Interlaced
    pictures are taken as they are, both fields in one.

    Args:
        source: a clip in any container ffmpeg reads.
        stream: which of the picture streams, counted from 0; by default the one ffmpeg thinks best.

    Raises:
        MediaError: no_stream without a video stream (cover art is none); decode_error when not one frame can be
            decoded.
        OSError: when the system cannot read the file.

    """
    with opened(source) as container:
        film = video_stream(container, stream)
        first, pts, dts, num_hidden = _scan_packets(container, film)
        origin = origin_seconds(container)
        listed = film.frames or -1
        notes = []
        guessed = has_guessed_times(container.format.name, film)
        jumps = "" if guessed else _describe_jumps(source, dts, film, origin)
        notes += [jumps] if jumps else []
        if guessed or jumps or None in pts or len(set(pts)) < len(pts):
            times = _decoded_times(source, stream)
            if not jumps:
                notes.append("the packets carry no usable times, so frames are timed by decoding")
        else:
            times = np.array(sorted(float(value * film.time_base) - origin for value in pts), dtype=np.float64)
        if listed > len(times) + num_hidden:
            notes.append(f"the container lists {listed} frames, {len(times)} are there")
        if first.interlaced_frame:
            notes.append("interlaced, fields are not separated")
        upright = orientation(first)
        width, height, aspect, note = square_size(film, first.width, first.height)
        notes += [note] if note else []
        rate = film.average_rate or film.guessed_rate or 0
        return FrameTable(
            times_seconds=times,
            width=height if upright.transpose else width,
            height=width if upright.transpose else height,
            rotation_degrees=upright.degrees,
            sample_aspect_ratio=aspect,
            num_frames_listed=listed,
            codec=film.codec_context.codec.canonical_name,
            frame_rate=float(rate),
            message="; ".join(notes),
        )


def read_frames(source: Path, table: FrameTable, *, threads: int = 0, stream: int | None = None) -> "FrameReader":
    """Decode a clip's frames in order, in constant memory.

    Args:
        source: the clip.
        table: what `scan_frames` gave for it; a frame's index is its place there.
        threads: how many decode; 0 for as many as ffmpeg thinks right.
        stream: the one that `scan_frames` was told.

    Returns:
        An iterator of Frame, indices strictly ascending. It also counts what went wrong: see FrameReader. Its `close`
        closes the file early.

    Raises:
        MediaError: decode_error, while iterating, when not one frame could be decoded.
        OSError: while iterating, when the system cannot read the file.

    """
    return FrameReader(source, table, threads, stream)


class FrameReader(Iterator[Frame]):
    """Frames of a clip, and after them what went wrong.

    Decoders that run in several threads drop good frames next to a broken one, and patch damaged ones with whatever
    another thread has finished. At the first sign of damage the clip is therefore decoded again with one thread, from
    where the frames stopped: damage that the decoder reports gives the same pictures with any number of threads. (HEVC
    damage may go unreported: then a few pixels can depend on it.)

    Attributes:
        num_frames: frames given so far.
        num_bad_packets: packets that could not be read or decoded.
        num_corrupt: given frames that the decoder repaired or guessed in part.
        num_untimed: decoded frames left out because their time is not in the table.
        last_error: ffmpeg's words for the newest error, or "".

    """

    def __init__(self, source: Path, table: FrameTable, threads: int, stream: int | None = None) -> None:
        self.num_frames = self.num_bad_packets = self.num_corrupt = self.num_untimed = 0
        self.last_error = ""
        self._table = table
        self._stream = stream
        self._previous = -1
        self._damaged = False
        self._frames = self._read(source, threads)

    def __next__(self) -> Frame:
        """Return the next frame."""
        return next(self._frames)

    def close(self) -> None:
        """Close the file; no more frames come."""
        self._frames.close()

    @property
    def message(self) -> str:
        """Return "" or a sentence about what could not be decoded; complete when the iteration is."""
        total = len(self._table.times_seconds)
        missing = total - self.num_frames
        parts = [f"{missing} of {total} frames could not be decoded"] if missing > 0 else []
        parts += [f"{self.num_bad_packets} broken packets ({self.last_error})"] if self.num_bad_packets else []
        parts += [f"{self.num_corrupt} frames damaged in part"] if self.num_corrupt else []
        parts += [f"{self.num_untimed} frames at times that the table lacks"] if self.num_untimed else []
        return "; ".join(parts)

    def _read(self, source: Path, threads: int) -> Generator[Frame, None, None]:
        """Decode in several threads, and once more in one if that met damage or ended early."""
        yield from self._decode(source, threads)
        if threads != 1 and (self._damaged or self._previous + 1 < len(self._table.times_seconds)):
            self.num_bad_packets = self.num_untimed = 0
            yield from self._decode(source, 1)
        if self.num_frames == 0:
            detail = f": {self.last_error}" if self.last_error else ""
            total = len(self._table.times_seconds)
            raise MediaError("decode_error", f"not one of {total} frames could be decoded{detail}")

    def _decode(self, source: Path, threads: int) -> Generator[Frame, None, None]:
        """Give the frames after the newest given one; with several threads stop before the first damage."""
        with opened(source) as container:
            stream = video_stream(container, self._stream)
            clock = Clock(container, stream, origin_seconds(container), lambda: read_timeline(source))
            convert = Converter(self._table.width, self._table.height)
            pictures = decode_frames(container, stream, threads, self._note)
            for picture in pictures if threads == 1 else self._until_damage(pictures):
                index = self._find(clock.time_of(picture.pts))
                if index is not None:
                    self._previous = index
                    self.num_frames += 1
                    self.num_corrupt += bool(picture.is_corrupt)
                    yield Frame(index, float(self._table.times_seconds[index]), convert(picture))

    def _until_damage(self, pictures: Iterator[Any]) -> Iterator[Any]:
        """Hold pictures back for as long as a later one that they are made from may turn out damaged."""
        held: deque[Any] = deque()
        for picture in pictures:
            self._damaged = self._damaged or bool(self.num_bad_packets or picture.is_corrupt)
            if self._damaged:
                return
            held.append(picture)
            if len(held) > FRAMES_HELD_BACK:
                yield held.popleft()
        self._damaged = bool(self.num_bad_packets)
        if not self._damaged:
            yield from held

    def _find(self, time: float) -> int | None:
        """Return the place of a time in the table; None when it is not there or not after the newest given frame."""
        times = self._table.times_seconds
        index = int(np.searchsorted(times, time - SAME_TIME_SECONDS))
        if index == len(times) or abs(times[index] - time) > SAME_TIME_SECONDS:
            self.num_untimed += 1
            return None
        return index if index > self._previous else None

    def _note(self, error: Exception) -> None:
        """Count a packet that could not be read or decoded."""
        self.num_bad_packets += 1
        self.last_error = reason(error)


def _describe_jumps(source: Path, dts: list[int | None], film: Any, origin: float) -> str:
    """Return "" or a sentence about jumps in the times; the whole file is read only where there may be one."""
    times = [float(value * film.time_base) for value in dts if value is not None]
    return read_timeline(source).message if has_jumps(times, origin) else ""


def _scan_packets(container: Any, stream: Any) -> tuple[Any, list[int | None], list[int | None], int]:
    """Return the first decoded frame, when every packet that is shown is shown and decoded, and how many are not.

    Raises:
        MediaError: when not one frame can be decoded.

    """
    errors: list[Exception] = []
    context = stream.codec_context
    context.thread_type, context.thread_count = ThreadType.SLICE, 1  # threads would hold the first frame back
    first, pts, dts, num_hidden = None, [], [], 0
    for packet in packets(container, stream, errors.append):
        if first is None:
            try:
                first = next(iter(context.decode(packet)), None)
            except av.FFmpegError as error:
                if isinstance(error, MemoryError) and is_out_of_memory(error):
                    raise
                errors.append(error)
        if packet is not None and packet.is_discard:
            num_hidden += 1
        elif packet is not None:
            pts.append(packet.pts)
            dts.append(packet.dts)
    if first is None:
        detail = f": {reason(errors[-1])}" if errors else ""
        raise MediaError("decode_error", f"not one of {len(pts)} frames can be decoded{detail}")
    return first, pts, dts, num_hidden


def _decoded_times(source: Path, ordinal: int | None) -> np.ndarray:
    """Return the times of the frames that decode, (F,) float64, for files without usable times."""
    with opened(source) as container:
        stream = video_stream(container, ordinal)
        clock = Clock(container, stream, origin_seconds(container), lambda: read_timeline(source))
        times = [clock.time_of(picture.pts) for picture in decode_frames(container, stream, 1, lambda error: None)]
    return np.array(times, dtype=np.float64)

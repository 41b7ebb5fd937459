"""The pictures of a clip: when each is shown, and their pixels, upright and square."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.media.clip_timeline import can_seek, timeline_of
from pipeline.media.container import MediaError, SoughtTooFarError, opened, origin_seconds, reason, video_stream
from pipeline.media.decoding import MOST_PIXELS, Clock, Converter, decode_frames, limit_pixels
from pipeline.media.shapes import Shape, ShapeReader
from store.text import format_count

# A frame belongs to a table's time if they differ by less. float64 is far more exact; clocks tick in about 1/90000 s.
SAME_TIME_SECONDS = 1e-5
# A picture may depend on pictures that are shown later: usual encoders use up to 4, H.264 allows 16. Before conversion,
# 8 pictures of 1080p take 25 MB.
FRAMES_HELD_BACK = 8
# A key frame is found by its time of decoding, which is at most so long before it is shown.
SEEK_EARLIER_SECONDS = 1.0


@dataclass(frozen=True)
class Frame:
    """One picture of a clip.

    Attributes:
        index: its position in the clip's FrameTable.
        time_seconds: when it is shown, relative to the clip's origin.
        image: (H, W, 3) uint8 in BGR, upright, with square pixels. H and W are the table's. Only a picture whose shape
            differs from that of the clip's largest keeps its own shape, scaled to fit, upright or lying.

    """

    index: int
    time_seconds: float
    image: np.ndarray


@dataclass(frozen=True)
class FrameTable:
    """The times of a clip's pictures, and their properties.

    Attributes:
        times_seconds: (F,) float64, strictly ascending, relative to the start of the clip's earliest stream.
        width: width of an upright picture with square pixels, of the largest one if they differ.
        height: height of the same picture.
        rotation_degrees: 0, 90, 180 or 270: how far the first picture's stored pixels are turned clockwise to be
            upright.
        sample_aspect_ratio: width of a stored pixel divided by its height. Above 1, pictures are made wider, below 1
            taller, so that no stored pixel is lost. If it differs from 1 by at most 1 %, they are not scaled.
        num_frames_listed: number of frames that the container claims; -1 if it claims none.
        codec: short name of the codec, such as "h264".
        frame_rate: average in frames per second; 0 if it is unknown.
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


def read_frames(
    source: Path,
    table: FrameTable,
    *,
    threads: int = 0,
    stream: int | None = None,
    turn_degrees: int = 0,
    start_seconds: float | None = None,
    stopping: threading.Event | None = None,
) -> "FrameReader":
    """Decode a clip's frames in order, in constant memory.

    Args:
        source: the clip.
        table: the result of `scan_frames` for the clip; a frame's index is its place there.
        threads: number of decoding threads; 0 for ffmpeg's choice.
        stream: as for `scan_frames`.
        turn_degrees: as for `scan_frames`.
        start_seconds: for the table of a part of the clip (`cut_table`): the part's start in the clip.
        stopping: once it is set, the iteration ends with an InterruptedError at the next packet.

    Returns:
        An iterator of Frame, indices strictly ascending. It also counts faults: see FrameReader. Its `close` closes the
        file early.

    Raises:
        MediaError: decode_error, while iterating, if not one frame could be decoded.
        OSError: while iterating, if the system cannot read the file.

    """
    return FrameReader(source, table, threads, stream, turn_degrees, start_seconds, stopping)


class FrameReader(Iterator[Frame]):
    """The frames of a clip, and after the last one the faults.

    Decoders with several threads drop good frames next to a broken one, and repair damaged frames with whatever another
    thread has finished. So at the first damage, the clip is decoded again with one thread, from the last good frame.
    Damage that the decoder reports thus gives the same pictures with any number of threads. (HEVC damage may not be
    reported: then a few pixels can depend on the number of threads.)

    Attributes:
        num_frames: number of frames returned so far.
        num_bad_packets: number of packets that could not be read or decoded.
        num_corrupt: number of returned frames that the decoder repaired or guessed in part.
        num_untimed: number of decoded frames left out because their time is not in the table.
        last_error: ffmpeg's message of the newest error, or "".

    """

    def __init__(
        self,
        source: Path,
        table: FrameTable,
        threads: int,
        stream: int | None = None,
        turn_degrees: int = 0,
        start_seconds: float | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self.num_frames = self.num_bad_packets = self.num_corrupt = self.num_untimed = 0
        self.last_error = ""
        self._table = table
        self._is_part = start_seconds is not None
        self._times = table.times_seconds + (start_seconds or 0.0)  # in the clip
        self._stream = stream
        self._turn_degrees = turn_degrees
        self._previous = -1
        self._damaged = False
        self._stopping = stopping
        self._frames = self._read(source, threads)

    def __next__(self) -> Frame:
        """Return the next frame."""
        return next(self._frames)

    def close(self) -> None:
        """Close the file; no more frames come."""
        self._frames.close()

    @property
    def message(self) -> str:
        """Return "" or a sentence about what could not be decoded; it is complete after the last frame."""
        total = len(self._table.times_seconds)
        missing = total - self.num_frames
        parts = [f"{missing} of {format_count(total, 'frame')} could not be decoded"] if missing > 0 else []
        parts += (
            [f"{format_count(self.num_bad_packets, 'broken packet')} ({self.last_error})"]
            if self.num_bad_packets
            else []
        )
        parts += [f"{format_count(self.num_corrupt, 'frame')} damaged in part"] if self.num_corrupt else []
        if self.num_untimed:
            parts.append(
                format_count(self.num_untimed, "frame is", "frames are") + " shown at times that the table lacks"
            )
        return "; ".join(parts)

    def _read(self, source: Path, threads: int) -> Generator[Frame, None, None]:
        """Decode with several threads, and again with one thread if there was damage or the frames ended early."""
        yield from self._decode(source, threads)
        if threads != 1 and (self._damaged or self._previous + 1 < len(self._table.times_seconds)):
            self.num_bad_packets = self.num_untimed = 0
            yield from self._decode(source, 1)
        if self.num_frames == 0:
            detail = f": {self.last_error}" if self.last_error else ""
            total = len(self._table.times_seconds)
            raise MediaError("decode_error", f"not one of {format_count(total, 'frame')} could be decoded{detail}")

    def _decode(self, source: Path, threads: int) -> Generator[Frame, None, None]:
        """Yield the frames after the last returned one. A part is sought, or the clip is decoded up to it."""
        try:
            yield from self._decode_from(source, threads, may_seek=self._is_part)
        except SoughtTooFarError:
            yield from self._decode_from(source, threads, may_seek=False)

    def _seek(self, source: Path, container: Any, stream: Any, clock: Clock) -> bool:
        """Seek a key frame before the first wanted frame, if the container has an index and its times never jump."""
        seconds = origin_seconds(container) + float(self._times[0]) - SEEK_EARLIER_SECONDS
        is_far = self._times[0] > SEEK_EARLIER_SECONDS
        if not is_far or not can_seek(container, source, self._stopping):
            return False
        try:
            container.seek(int(seconds / stream.time_base), stream=stream)
        except av.FFmpegError as error:
            raise SoughtTooFarError from error
        clock.resume(seconds)
        return True

    def _decode_from(self, source: Path, threads: int, *, may_seek: bool) -> Generator[Frame, None, None]:
        """Yield the frames after the last returned one; with several threads, stop before the first damage."""
        with opened(source) as container:
            stream = video_stream(container, self._stream)
            limit_pixels(stream, max(MOST_PIXELS, self._table.width * self._table.height))
            clock = Clock(container, stream, origin_seconds(container), lambda: timeline_of(source, self._stopping))
            convert = Converter(self._table.width, self._table.height)
            shapes = ShapeReader(stream, self._turn_degrees)
            repeats: deque[int] = deque()
            sought = may_seek and self._seek(source, container, stream, clock)
            repeat = self._noting(repeats, container, stream)
            pictures = decode_frames(container, stream, threads, self._note, repeat, self._stopping)
            shown: tuple[Any, Shape] | None = None
            for picture in pictures if threads == 1 else self._until_damage(pictures):
                shape, time = shapes.read(picture), clock.time_of(picture.pts)
                if self._is_part and time is not None:
                    if sought and time > self._times[0] + SAME_TIME_SECONDS:
                        raise SoughtTooFarError
                    sought = False
                    if time > self._times[-1] + SAME_TIME_SECONDS:
                        break  # all following frames are shown even later
                    if time < self._times[0] - SAME_TIME_SECONDS:
                        shown = picture, shape
                        continue
                index = None if time is None else self._find(time)
                if index is not None:
                    yield from self._repeat(shown, repeats, index, convert)
                    shown = picture, shape
                    yield from self._give(index, picture, shape, convert)
                elif time is not None:
                    self.num_untimed += 1
            if threads == 1 or not self._damaged:
                yield from self._repeat(shown, repeats, len(self._table.times_seconds), convert)

    def _give(self, index: int, picture: Any, shape: Shape, convert: Converter) -> Iterator[Frame]:
        """Yield a picture unless it was returned before."""
        if index > self._previous:
            self._previous = index
            self.num_frames += 1
            self.num_corrupt += bool(picture.is_corrupt)
            yield Frame(index, float(self._table.times_seconds[index]), convert(picture, shape))

    def _noting(self, repeats: deque[int], container: Any, stream: Any) -> Callable[[Any], None]:
        """Return a function that notes at which places of the table a picture is shown again."""
        origin = origin_seconds(container)

        def note(packet: Any) -> None:
            index = None if packet.pts is None else self._find(float(packet.pts * stream.time_base) - origin)
            if index is not None:
                repeats.append(index)

        return note

    def _repeat(
        self, shown: tuple[Any, Shape] | None, repeats: deque[int], end: int, convert: Converter
    ) -> Iterator[Frame]:
        """Yield the last picture again for the places before `end` at which it is shown again."""
        while repeats and repeats[0] < end:
            index = repeats.popleft()
            if shown is not None:
                yield from self._give(index, *shown, convert)

    def _until_damage(self, pictures: Iterator[Any]) -> Iterator[Any]:
        """Hold pictures back while a later picture on which they depend may still be damaged."""
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
        """Return the place of a time of the clip in the table; None if the table does not have it."""
        times = self._times
        index = int(np.searchsorted(times, time - SAME_TIME_SECONDS))
        is_there = index < len(times) and abs(times[index] - time) <= SAME_TIME_SECONDS
        return index if is_there else None

    def _note(self, error: Exception) -> None:
        """Count a packet that could not be read or decoded."""
        self.num_bad_packets += 1
        self.last_error = reason(error)

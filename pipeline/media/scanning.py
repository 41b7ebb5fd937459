"""A clip's frame table: when each picture is shown, and their size, from the packets and a few decoded pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import ThreadType

from pipeline.media.clip_timeline import read_timeline
from pipeline.media.container import MediaError, is_out_of_memory, opened, origin_seconds, packets, reason, video_stream
from pipeline.media.decoding import (
    MOST_PIXELS,
    Clock,
    check_pixels,
    decode_frames,
    has_guessed_times,
    is_repeat,
    limit_pixels,
)
from pipeline.media.picture import FrameTable
from pipeline.media.shapes import Shape, ShapeReader, describe_shapes, largest_size, square_size
from pipeline.media.timeline import Timeline, goes_back, has_jumps
from store.text import format_count

# One key frame is decoded for each so many packets (2 s of most films): a change of size begins with a key frame.
PACKETS_PER_LOOK = 50


def scan_frames(
    source: Path, *, stream: int | None = None, most_pixels: int = MOST_PIXELS, turn_degrees: int = 0
) -> FrameTable:
    """Read when each frame is shown; decode only the first and a few key frames, for size and rotation (Section II-B).

    A file is decoded as a whole if its packets have no times, the same time twice, or times that go back. Its frames
    are then timed by the frame rate, or left out where they overlap. Frames that the container hides (outside its edit
    list) are not in the table. Interlaced pictures are not changed: both fields are in one picture.

    Args:
        source: a clip in any container ffmpeg reads.
        stream: which of the picture streams, counted from 0; by default the one that ffmpeg prefers.
        most_pixels: of a picture, stored or with square pixels.
        turn_degrees: 0, 90, 180 or 270: how far pictures are turned clockwise after the file's own rotation.

    Raises:
        MediaError: no_stream if there is no video stream (cover art does not count); decode_error if not one frame can
            be decoded, or pictures have too many pixels.
        OSError: if the system cannot read the file.

    """
    with opened(source) as container:
        film = video_stream(container, stream)
        limit_pixels(film, most_pixels)
        looks = _Looks(film, most_pixels, turn_degrees)
        pts, dts, num_hidden = _scan_packets(container, film, looks)
        origin = origin_seconds(container)
        times, notes = _time_frames(
            container, film, pts, dts, lambda: read_timeline(source), lambda: _decode_times(source, stream, most_pixels)
        )
        listed = film.frames or -1
        if listed > len(times) + num_hidden and not _is_trimmed(film, times, origin):
            there = format_count(len(times), "is there", "are there")
            notes.append(f"the container lists {format_count(listed, 'frame')}, {there}")
        if looks.is_interlaced:
            notes.append("interlaced, fields are not separated")
        width, height = largest_size(looks.shapes)
        first = looks.shapes[0]
        _, _, aspect, note = square_size(first.aspect, first.width, first.height)
        notes += [words for words in (note, describe_shapes(looks.shapes)) if words]
        rate = film.average_rate or film.guessed_rate or 0
        return FrameTable(
            times_seconds=times,
            width=width,
            height=height,
            rotation_degrees=first.upright.degrees,
            sample_aspect_ratio=aspect,
            num_frames_listed=listed,
            codec=film.codec_context.codec.canonical_name,
            frame_rate=float(rate),
            message="; ".join(notes),
        )


def _time_frames(
    container: Any,
    film: Any,
    pts: list[int | None],
    dts: list[int | None],
    read: Callable[[], Timeline],
    decode: Callable[[], tuple[np.ndarray, str]],
) -> tuple[np.ndarray, list[str]]:
    """Return the frames' times, (F,) float64, from the packets' times if these are usable; and a note or ""."""
    origin = origin_seconds(container)
    decoded = [float(value * film.time_base) for value in dts if value is not None]
    guessed, runs_back = has_guessed_times(container.format.name, film), goes_back(decoded)
    # The whole file is read once more only if its times may jump.
    may_jump = not guessed and (runs_back or has_jumps(decoded, origin))
    jumps = read().message if may_jump else ""
    notes = [jumps] if jumps else []
    known = [value for value in pts if value is not None]
    if not (guessed or jumps or runs_back or len(set(known)) < len(pts)):
        return np.array(sorted(float(value * film.time_base) - origin for value in known), dtype=np.float64), notes
    times, note = decode()
    if note or not jumps:
        notes.append(note or "the packets carry no usable times, so frames are timed by decoding")
    return times, notes


def _is_trimmed(stream: Any, times: np.ndarray, origin: float) -> bool:
    """Tell whether an edit list ends a stream before its last frames, so that no frame is missing.

    In that case the stream's duration is the list's, which is shorter than all frames, and the times reach its end.
    """
    rate = float(stream.average_rate or 0)
    if not rate or not stream.duration or len(times) == 0:
        return False
    seconds = float(stream.duration * stream.time_base)
    end = float((stream.start_time or 0) * stream.time_base) - origin + seconds
    return seconds * rate < stream.frames - 1 and times[-1] + 2 / rate >= end


def _scan_packets(container: Any, stream: Any, looks: "_Looks") -> tuple[list[int | None], list[int | None], int]:
    """Return for each shown packet when it is shown and when it is decoded, and the number of packets not shown.

    Raises:
        MediaError: if not one frame can be decoded.

    """
    errors: list[Exception] = []
    pts, dts, num_hidden = [], [], 0
    for packet in packets(container, stream, errors.append):
        looks.see(packet)
        if packet is not None and packet.is_discard:
            num_hidden += 1
        elif packet is not None:
            pts.append(packet.pts)
            dts.append(packet.dts)
    if not looks.shapes:
        errors += looks.errors
        detail = f": {reason(errors[-1])}" if errors else ""
        raise MediaError("decode_error", f"not one of {format_count(len(pts), 'frame')} can be decoded{detail}")
    return pts, dts, num_hidden


class _Looks:
    """Decodes the first picture of a stream and a few of its key frames.

    Attributes:
        shapes: shapes of the decoded pictures.
        is_interlaced: whether the first picture is interlaced.
        errors: errors of packets before the first picture.

    Args:
        stream: the stream; `see` gets all its packets in order, then None.
        most_pixels: largest number of pixels of a picture.
        turn_degrees: see `scan_frames`.

    """

    def __init__(self, stream: Any, most_pixels: int, turn_degrees: int) -> None:
        self.shapes: list[Shape] = []
        self.is_interlaced = False
        self.errors: list[Exception] = []
        self._context = stream.codec_context
        # With threads, the decoder would return the first frame late.
        self._context.thread_type, self._context.thread_count = ThreadType.SLICE, 1
        self._reader = ShapeReader(stream, turn_degrees)
        self._most_pixels = most_pixels
        self._key: Any = None
        self._since_look = 0

    def see(self, packet: Any) -> None:
        """Decode a packet, keep it for later, or skip it.

        Raises:
            MediaError: The packet's picture has too many pixels.

        """
        if not self.shapes:
            if is_repeat(packet):
                return
            for picture in self._decode(packet, self.errors)[:1]:
                self.is_interlaced = bool(picture.interlaced_frame)
                self._add(picture)
            return
        self._since_look += 1
        if packet is not None and packet.is_keyframe and packet.size and not packet.is_discard:
            self._key = packet
        if self._key is not None and (packet is None or self._since_look >= PACKETS_PER_LOOK):
            self._context.flush_buffers()
            for picture in [*self._decode(self._key, []), *self._decode(None, [])]:
                if not picture.is_corrupt:
                    self._add(picture)
            self._key, self._since_look = None, 0

    def _decode(self, packet: Any, errors: list[Exception]) -> list[Any]:
        try:
            return list(self._context.decode(packet))
        except av.FFmpegError as error:
            if isinstance(error, MemoryError) and is_out_of_memory(error):
                raise
            errors.append(error)
            return []

    def _add(self, picture: Any) -> None:
        shape = self._reader.read(picture)
        for width, height in ((shape.width, shape.height), shape.upright_size):
            check_pixels(width, height, self._most_pixels)
        self.shapes.append(shape)


def _decode_times(source: Path, ordinal: int | None, most_pixels: int) -> tuple[np.ndarray, str]:
    """Decode a file without usable times; return the times of its frames, (F,) float64, and a note or ""."""
    with opened(source) as container:
        stream = video_stream(container, ordinal)
        limit_pixels(stream, most_pixels)
        clock = Clock(container, stream, origin_seconds(container), lambda: read_timeline(source))
        given = [clock.time_of(picture.pts) for picture in decode_frames(container, stream, 1, lambda error: None)]
    times = np.array([time for time in given if time is not None], dtype=np.float64)
    return times, _describe_steps_back(clock)


def _describe_steps_back(clock: Clock) -> str:
    """Return "" or a sentence about times that go back."""
    if not clock.steps_back:
        return ""
    at, by = clock.steps_back[0]
    often = f", {len(clock.steps_back)} times in all" if len(clock.steps_back) > 1 else ""
    left_out = format_count(clock.num_left_out, "frame that overlaps is", "frames that overlap are")
    lost = f"; {left_out} left out" if clock.num_left_out else ""
    return f"times go back by {by:.3f} s at {at:.2f} s{often}{lost}"

"""Decoding: packets to pictures, their times, and their pixels made upright and square."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.media.container import MediaError, is_out_of_memory, packets
from pipeline.media.shapes import Shape, fit_size
from pipeline.media.timeline import SHOWN_RESTART_SECONDS, Restarts, Timeline, has_jumps

# The largest picture of a clip, unless the caller says otherwise: 8K. One takes 106 MB, and up to 24 are held.
MOST_PIXELS = 8192 * 4320
MOST_IMAGES = 16  # images in use at a time, whose memory is used again: more than can wait for the face tracker
JITTER_SHARE = 0.125  # of a frame's duration: a frame that comes too early is shown so long after the one before
STORED_MORE = 64  # pixels of a side: the blocks of a stored picture may exceed it by this much
FALLBACK_FRAME_RATE = 25.0  # for raw streams without times and without a rate


def decode_frames(
    container: Any,
    stream: Any,
    threads: int,
    note: Callable[[Exception], None],
    repeat: Callable[[Any], None] = lambda packet: None,
    stopping: threading.Event | None = None,
) -> Iterator[Any]:
    """Yield the decoder's frames in order of presentation. Errors go to `note`, and decoding continues after them.

    Empty packets, which mean "the same picture again" in Theora, go to `repeat`, perhaps before earlier frames of the
    file are returned.

    Raises:
        InterruptedError: `stopping` was set.
        OSError: when the system cannot read the file.

    """
    context = stream.codec_context
    context.thread_type = ThreadType.AUTO if threads != 1 else ThreadType.SLICE
    context.thread_count = threads
    for packet in packets(container, stream, note, stopping):
        if is_repeat(packet):
            repeat(packet)
            continue
        try:
            frames = context.decode(packet)
        except av.FFmpegError as error:
            if isinstance(error, MemoryError) and is_out_of_memory(error):
                raise
            note(error)
            continue
        yield from frames


def is_repeat(packet: Any) -> bool:
    """Tell whether a packet is empty, which means that the picture before it is still shown."""
    return packet is not None and packet.size == 0


def limit_pixels(stream: Any, most: int) -> None:
    """Make a stream's decoder refuse pictures with more pixels before it allocates memory for them.

    Raises:
        MediaError: decode_error if all pictures are larger, according to the file.

    """
    context = stream.codec_context
    check_pixels(context.width, context.height, most)
    # Stored pictures may have up to 64 more rows and columns than are shown.
    most_stored = most + STORED_MORE * (context.width + context.height + STORED_MORE)
    context.options = {**context.options, "max_pixels": str(most_stored)}


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuse pictures with more pixels.

    Raises:
        MediaError: decode_error, which names the limit's setting.

    """
    if width * height > most:
        raise MediaError(
            "decode_error",
            f"the pictures have {width} x {height} pixels, more than [frames] max_pixels = {most} allows; "
            "make the clip smaller or raise it",
        )


class Clock:
    """Gives decoded frames their times: the stream's own, or counted by the frame rate if they are missing or equal.

    Args:
        container: an opened clip.
        stream: the stream that is decoded.
        origin: of the clip, in the container's time.
        read: returns the clip's Timeline; called when the times jump or go back.

    Attributes:
        steps_back: for each step back of the times: its time and its size in seconds.
        num_left_out: number of frames so far without a time, because other frames were shown at their time.

    """

    def __init__(self, container: Any, stream: Any, origin: float, read: Callable[[], Timeline]) -> None:
        self.steps_back: list[tuple[float, float]] = []
        self.num_left_out = 0
        self._format = container.format.name
        self._stream = stream
        self._origin = origin
        self._step = 1 / float(stream.average_rate or stream.guessed_rate or FALLBACK_FRAME_RATE)
        self._last: float | None = None
        self._read = read
        self._timeline: Timeline | None = None
        self._restarts = Restarts(SHOWN_RESTART_SECONDS)
        self._previous = origin
        self._is_behind = self._is_overlap = False

    def resume(self, seconds: float) -> None:
        """Continue after seeking: the next frame is near this time, in the container's time."""
        self._previous = seconds

    def time_of(self, pts: int | None) -> float | None:
        """Return the time of the next frame in seconds, later than the one before; None where the file goes back.

        If parts of a recording overlap, the overlap is returned once; sound is treated in the same way.
        """
        time = None
        if pts is not None and not has_guessed_times(self._format, self._stream):
            time = self._clip_seconds(float(pts * self._stream.time_base))
        if time is not None and self._last is not None and time <= self._last and self._goes_back():
            return self._after_step_back(time, self._last)
        self._is_behind = False
        if time is None or (self._last is not None and time <= self._last):
            time = 0.0 if self._last is None else self._last + self._step
        self._last = time
        return time

    def _after_step_back(self, time: float, last: float) -> float | None:
        """Leave out an overlap; a single picture that is early by less than a frame is none."""
        if not self._is_behind:
            self.steps_back.append((last, last - time))
            self._is_overlap = last - time > (1 - JITTER_SHARE) * self._step
        self._is_behind = True
        if self._is_overlap:
            self.num_left_out += 1
            return None
        self._last = last + JITTER_SHARE * self._step
        return self._last

    def _clip_seconds(self, seconds: float) -> float:
        """Return a time of the container relative to the origin, without the jumps."""
        goes_back = self._last is not None and seconds < self._previous
        if self._timeline is None and (goes_back or has_jumps([seconds], self._previous, SHOWN_RESTART_SECONDS)):
            self._timeline = self._read()
            if self._timeline.message and self._stream.guessed_rate:
                self._step = 1 / float(self._stream.guessed_rate)  # the average is taken over the jump
        self._previous = seconds
        restarts = self._restarts.after(seconds)
        return seconds - self._origin if self._timeline is None else self._timeline.clip_seconds(restarts, seconds)

    def _goes_back(self) -> bool:
        """Tell whether parts of the stream overlap. If times only repeat, they are useless, but no picture is lost."""
        return self._timeline is not None and self._stream.index in self._timeline.going_back


def has_guessed_times(format_name: str, stream: Any) -> bool:
    """Tell whether a stream's times are ffmpeg's guesses. Call it after the first frame is decoded.

    AVI has no times of presentation. ffmpeg's guesses are wrong if pictures are not stored in the order shown.
    """
    return format_name == "avi" and bool(stream.codec_context.has_b_frames)


class Converter:
    """Turns decoded frames into upright BGR images.

    Args:
        width: width of the clip's largest picture, upright and with square pixels.
        height: height of the same picture.

    """

    def __init__(self, width: int, height: int) -> None:
        self._box = (width, height)
        self._shape: Shape | None = None
        self._size = (0, 0)
        self._reformatter = VideoReformatter()
        self._images = _Images()

    def __call__(self, picture: Any, shape: Shape) -> np.ndarray:
        """Return (H, W, 3) uint8 in BGR with the picture's own shape, scaled to fit the largest, upright or lying."""
        if shape != self._shape:
            size = fit_size(shape.upright_size, self._box)
            self._shape, self._size = shape, size[::-1] if shape.upright.transpose else size
            self._images = _Images()
        width, height = self._size
        scaled = self._reformatter.reformat(
            picture, width, height, "bgr24", interpolation=Interpolation.BICUBIC, threads=1
        )
        image = self._images.take((height, width, 3))
        plane: Any = scaled.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(height, -1)  # each stored row may be longer than the picture's
        np.copyto(image.reshape(height, -1), rows[:, : 3 * width])
        return shape.upright.turn(image)


class _Images:
    """Gives memory for images, and gives it again when neither the image nor a view of it is in use.

    New memory for each image takes a fifth of decoding's time: the system gives it page by page and zeroes it.
    """

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []
        alone = [np.empty(0)]
        self._references = sys.getrefcount(alone[0])  # references to an array that only its list holds

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return an array of uint8 with any content."""
        images = self._images
        for place in range(len(images)):
            if images[place].shape == shape and sys.getrefcount(images[place]) == self._references:
                return images[place]
        image = np.empty(shape, np.uint8)
        if len(images) < MOST_IMAGES:
            images.append(image)
        return image

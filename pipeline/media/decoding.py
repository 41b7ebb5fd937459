"""Decoding: packets to pictures, their times, and their pixels made upright and square."""

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.media.container import is_out_of_memory, packets
from pipeline.media.timeline import SHOWN_RESTART_SECONDS, Restarts, Timeline, has_jumps

SQUARE_ENOUGH = 0.01  # scaling a whole film to mend a stretch of 1 % would cost sharpness and more time than decoding
MOST_STRETCHED_PIXEL = 8.0  # a pixel more oblong than 8:1 is a broken header, not a film
LARGEST_SIDE = 16384  # pixels: a picture made larger than that by its pixel shape is a broken header too
MOST_IMAGES = 16  # given out at a time and used again: more than wait for whoever follows faces in them
FALLBACK_FRAME_RATE = 25.0  # for raw streams that carry neither times nor a rate


def decode_frames(container: Any, stream: Any, threads: int, note: Callable[[Exception], None]) -> Iterator[Any]:
    """Yield the decoder's frames in order of presentation; errors go to `note` and what follows them is tried.

    Raises:
        OSError: when the system cannot read the file.

    """
    context = stream.codec_context
    context.thread_type = ThreadType.AUTO if threads != 1 else ThreadType.SLICE
    context.thread_count = threads
    for packet in packets(container, stream, note):
        try:
            frames = context.decode(packet)
        except av.FFmpegError as error:
            if isinstance(error, MemoryError) and is_out_of_memory(error):
                raise
            note(error)
            continue
        yield from frames


@dataclass(frozen=True)
class Upright:
    """How stored pictures become upright: swap the axes, then mirror; from the container's display matrix."""

    transpose: bool
    flip_x: bool
    flip_y: bool

    def turn(self, image: np.ndarray) -> np.ndarray:
        """Return the picture upright; (H, W, 3), contiguous."""
        turned = image.swapaxes(0, 1) if self.transpose else image
        turned = turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return np.ascontiguousarray(turned)

    @property
    def degrees(self) -> int:
        """The clockwise turn; of a mirrored picture the turn that comes after the mirror."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0


class Clock:
    """Gives decoded frames their times: the stream's own, or counted on where there are none or they run back.

    Args:
        container: an opened clip.
        stream: the one that is decoded.
        origin: of the clip, in the container's time.
        read: gives the clip's Timeline; called when the times jump.

    """

    def __init__(self, container: Any, stream: Any, origin: float, read: Callable[[], Timeline]) -> None:
        self._format = container.format.name
        self._stream = stream
        self._origin = origin
        self._step = 1 / float(stream.average_rate or stream.guessed_rate or FALLBACK_FRAME_RATE)
        self._last: float | None = None
        self._read = read
        self._timeline: Timeline | None = None
        self._restarts = Restarts(SHOWN_RESTART_SECONDS)
        self._previous = origin

    def time_of(self, pts: int | None) -> float:
        """Return the time in seconds of the next frame; always later than the one before."""
        time = None
        if pts is not None and not has_guessed_times(self._format, self._stream):
            time = self._clip_seconds(float(pts * self._stream.time_base))
        if time is None or (self._last is not None and time <= self._last):
            time = 0.0 if self._last is None else self._last + self._step
        self._last = time
        return time

    def _clip_seconds(self, seconds: float) -> float:
        """Return a time of the container's relative to the origin, jumps closed up."""
        if self._timeline is None and has_jumps([seconds], self._previous, SHOWN_RESTART_SECONDS):
            self._timeline = self._read()
            if self._timeline.message and self._stream.guessed_rate:
                self._step = 1 / float(self._stream.guessed_rate)  # the average is taken over the jump
        self._previous = seconds
        restarts = self._restarts.after(seconds)
        return seconds - self._origin if self._timeline is None else self._timeline.clip_seconds(restarts, seconds)


def has_guessed_times(format_name: str, stream: Any) -> bool:
    """Tell whether a stream's times are ffmpeg's guesses; to be asked after its first frame is decoded.

    AVI keeps no times of presentation: what ffmpeg guesses is wrong where pictures are stored out of order.
    """
    return format_name == "avi" and bool(stream.codec_context.has_b_frames)


class Converter:
    """Turns decoded frames into upright BGR images of one size, (width, height) in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._upright: Upright | None = None
        self._reformatter = VideoReformatter()
        self._images = _Images()

    def __call__(self, picture: Any) -> np.ndarray:
        """Return (H, W, 3) uint8 in BGR. The first frame's orientation holds for all."""
        if self._upright is None:
            self._upright = orientation(picture)
        width, height = self._size[::-1] if self._upright.transpose else self._size
        scaled = self._reformatter.reformat(
            picture, width, height, "bgr24", interpolation=Interpolation.BICUBIC, threads=1
        )
        image = self._images.take((height, width, 3))
        plane: Any = scaled.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(height, -1)  # each may be longer than the picture's
        np.copyto(image.reshape(height, -1), rows[:, : 3 * width])
        return self._upright.turn(image)


class _Images:
    """Gives memory for images, again when nobody holds the image any more, nor a view of it.

    Fresh memory for each costs a fifth of decoding: the system hands it out page by page, and zeroes it.
    """

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []
        alone = [np.empty(0)]
        self._references = sys.getrefcount(alone[0])  # of an array that only its list holds

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


def orientation(picture: Any) -> Upright:
    """Read the display matrix of a frame; the nearest quarter turn when it is none."""
    try:
        matrix = picture.side_data["DISPLAYMATRIX"]
    except KeyError:
        return Upright(False, False, False)
    # A point (x, y) is shown at (a x + c y, b x + d y); rows are (a, b, u), (c, d, v), (x, y, w).
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Upright(False, flip_x=a < 0, flip_y=d < 0)
    return Upright(True, flip_x=c < 0, flip_y=b < 0)


def square_size(stream: Any, width: int, height: int) -> tuple[int, int, float, str]:
    """Return width and height with square pixels, the shape of a stored pixel, and a note when that shape is absurd."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if abs(aspect - 1) <= SQUARE_ENOUGH:
        return width, height, aspect, ""
    if not 1 / MOST_STRETCHED_PIXEL <= aspect <= MOST_STRETCHED_PIXEL:
        return width, height, 1.0, f"pixels of shape {aspect:g}:1 are taken for square"
    wide, high = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    if max(wide, high) > LARGEST_SIDE:
        return width, height, 1.0, f"pixels of shape {aspect:g}:1 are taken for square, not to make {wide} x {high}"
    return wide, high, aspect, ""

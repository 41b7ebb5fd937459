"""The shape of pictures: how stored pixels become upright and square, also where a clip's pictures differ in it."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SQUARE_ENOUGH = 0.01  # scaling a whole film to mend a stretch of 1 % would cost sharpness and more time than decoding
MOST_STRETCHED_PIXEL = 8.0  # a pixel more oblong than 8:1 is a broken header, not a film
LARGEST_SIDE = 16384  # pixels: a picture made larger than that by its pixel shape is a broken header too
MOST_NAMED = 4  # of the sizes that a message lists


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

    def then(self, degrees: int) -> "Upright":
        """Return what makes a picture upright and then turns it clockwise by 0, 90, 180 or 270 degrees.

        >>> Upright(False, False, False).then(90), Upright(True, True, False).then(270).degrees
        (Upright(transpose=True, flip_x=True, flip_y=False), 0)
        """
        turned = self
        for _ in range(degrees // 90):
            turned = Upright(not turned.transpose, flip_x=not turned.flip_y, flip_y=turned.flip_x)
        return turned

    @property
    def degrees(self) -> int:
        """The clockwise turn; of a mirrored picture the turn that comes after the mirror."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0


AS_STORED = Upright(False, False, False)


@dataclass(frozen=True)
class Shape:
    """How one picture is stored.

    Attributes:
        width: stored pixels a row.
        height: stored rows.
        aspect: width of a stored pixel over its height, as the file says.
        upright: how it becomes upright.
    """

    width: int
    height: int
    aspect: float
    upright: Upright

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the picture upright and with square pixels."""
        width, height, _, _ = square_size(self.aspect, self.width, self.height)
        return (height, width) if self.upright.transpose else (width, height)


class ShapeReader:
    """Tells the shape of a stream's pictures; give it decoded ones in order, all or key frames alone.

    The shape of a pixel is the container's until the codec changes its own. A turn from the codec is valid until the
    next key frame; a turn from the container is valid for all pictures.

    Args:
        stream: the stream.
        turn_degrees: how far pictures are turned clockwise after the file's own rotation.
    """

    def __init__(self, stream: Any, turn_degrees: int = 0) -> None:
        self._stream = stream
        self._turn_degrees = turn_degrees
        self._context = stream.codec_context
        self._aspects: dict[Any, float] = {}
        self._aspect = 1.0
        self._upright = AS_STORED

    def read(self, picture: Any) -> Shape:
        """Tell the shape of the next picture."""
        if picture.key_frame or not self._aspects:  # between those the decoder may be ahead of the picture
            coded = self._context.sample_aspect_ratio
            if not self._aspects:
                self._aspects[coded] = float(self._stream.sample_aspect_ratio or 1)
            self._aspect = self._aspects.setdefault(coded, float(coded or 1))
        turn = orientation(picture)
        if turn is not None:
            self._upright = turn
        elif picture.key_frame:
            self._upright = AS_STORED
        return Shape(picture.width, picture.height, self._aspect, self._upright.then(self._turn_degrees))


def orientation(picture: Any) -> Upright | None:
    """Read the display matrix of a frame, the nearest quarter turn; None when it has none."""
    try:
        matrix = picture.side_data["DISPLAYMATRIX"]
    except KeyError:
        return None
    # A point (x, y) is shown at (a x + c y, b x + d y); rows are (a, b, u), (c, d, v), (x, y, w).
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Upright(False, flip_x=a < 0, flip_y=d < 0)
    return Upright(True, flip_x=c < 0, flip_y=b < 0)


def square_size(aspect: float, width: int, height: int) -> tuple[int, int, float, str]:
    """Return width and height with square pixels, the shape of a stored pixel, and a note when that shape is absurd."""
    if abs(aspect - 1) <= SQUARE_ENOUGH:
        return width, height, aspect, ""
    if not 1 / MOST_STRETCHED_PIXEL <= aspect <= MOST_STRETCHED_PIXEL:
        return width, height, 1.0, f"pixels of shape {aspect:g}:1 are taken for square"
    wide, high = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    if max(wide, high) > LARGEST_SIDE:
        return width, height, 1.0, f"pixels of shape {aspect:g}:1 are taken for square, not to make {wide} x {high}"
    return wide, high, aspect, ""


def fit_size(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of this shape that fits into a box, lying or standing.

    A shape that differs from the box's by 1 % at most is taken for it.

    Args:
        size: width and height of a picture, in pixels.
        box: width and height.

    >>> fit_size((320, 180), (1280, 720)), fit_size((640, 480), (1280, 720)), fit_size((360, 640), (640, 360))
    ((1280, 720), (960, 720), (360, 640))
    """
    lying, standing = (min(wide / size[0], high / size[1]) for wide, high in (box, box[::-1]))
    box, scale = (box, lying) if lying >= standing else (box[::-1], standing)
    fitted = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    is_of_the_box = all(abs(side - whole) <= SQUARE_ENOUGH * whole for side, whole in zip(fitted, box, strict=True))
    return box if is_of_the_box else fitted


def largest_size(shapes: Sequence[Shape]) -> tuple[int, int]:
    """Return the upright size of most pixels; of equal ones the first."""
    sizes = [shape.upright_size for shape in shapes]
    return max(sizes, key=lambda size: size[0] * size[1])


def describe_shapes(shapes: Sequence[Shape]) -> str:
    """Return "" or a sentence about pictures that differ in size or turn.

    Args:
        shapes: of the pictures looked at, in order, at least one.
    """
    sizes = list(dict.fromkeys(shape.upright_size for shape in shapes))
    turns = list(dict.fromkeys(shape.upright.degrees for shape in shapes))
    parts = []
    if len(sizes) > 1:
        named = ", ".join(f"{width} x {height}" for width, height in sizes[:MOST_NAMED])
        more = f" and {len(sizes) - MOST_NAMED} more" if len(sizes) > MOST_NAMED else ""
        parts.append(f"the pictures change their size ({named}{more}); each keeps its shape, scaled to the largest")
    if len(turns) > 1:
        named = ", ".join(map(str, turns))
        parts.append(f"the pictures change their turn ({named} degrees); each is made upright by its own")
    return "; ".join(parts)

"""A synthetic talking face for the demo, warped out of one public-domain photograph.

The photograph is NASA's portrait of the astronaut Eileen Collins, which scikit-image carries in its wheel
(`skimage.data.astronaut()`, no network). Smooth displacement fields move the corners of the mouth, the jaw, the brows
and the eyelids; a similarity transform moves the head before a plain background. `pipeline.demo.acting` decides
what each expression means; this module only knows pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

FRAME_WIDTH, FRAME_HEIGHT = 256, 192
"""Size of the frames in pixels: small, with a face of about 100 pixels in it."""

# The piece of the photograph that is used, and places in it, in pixels of that piece.
_LEFT, _TOP, _SIZE = 96, 0, 256
_MOUTH_X, _MOUTH_Y, _MOUTH_HALF_WIDTH = 224.0 - _LEFT, 145.0, 21.0
_CHIN_Y = 178.0
_EYES = ((203.0 - _LEFT, 100.5), (246.0 - _LEFT, 103.5))
_HEAD_CENTRE = (225.0 - _LEFT, 112.0)


@dataclass(frozen=True)
class Look:
    """What stays the same in every picture of one speaker.

    Args:
        tint: Factors on blue, green and red.
        contrast: Exponent of the brightness curve; 1 leaves it as it is.
        aspect: Width relative to height; 1 as photographed.
        zoom: Scale of the photograph; 1 makes a face of about 100 pixels.
        mirrored: Whether left and right are swapped.
        jaw: Pixels by which the cheeks are wider (or narrower, below 0) on each side.
        position: (x, y) of the head relative to the middle of the frame, in pixels.
        background: Colour (blue, green, red) behind the head, 0 to 255.
    """

    tint: tuple[float, float, float]
    contrast: float
    aspect: float
    zoom: float
    mirrored: bool
    jaw: float
    position: tuple[float, float]
    background: tuple[float, float, float]


@dataclass(frozen=True)
class Performance:
    """What the face does over F frames; every field is (F,) float64, in pixels of the photograph unless said otherwise.

    Args:
        smile: How far the corners of the mouth rise above the photograph's broad smile; about -9 is a frown.
        opening: How far the lower jaw drops; -5 closes the lips over the teeth.
        brows: How far the eyebrows rise.
        eyelids: Factor by which the eyes are squeezed shut: 0 as photographed, 2.5 closed, -0.3 wide open.
        shift_x: Movement of the head to the right.
        shift_y: Movement of the head downwards.
        roll_degrees: Turn of the head in the picture plane.
    """

    smile: np.ndarray
    opening: np.ndarray
    brows: np.ndarray
    eyelids: np.ndarray
    shift_x: np.ndarray
    shift_y: np.ndarray
    roll_degrees: np.ndarray


def render_frames(look: Look, performance: Performance, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw a performance frame by frame.

    Args:
        look: The speaker.
        performance: What the face does; its length is the number of frames.
        rng: Source of the camera's noise.

    Yields:
        (FRAME_HEIGHT, FRAME_WIDTH, 3) uint8 BGR.
    """
    portrait, mask = _dress(look)
    gaping = _gape(portrait)
    fields = _displacement_fields()
    rest = _grid() + look.jaw * fields["jaw"]
    backdrop = _backdrop(look)
    for i in range(len(performance.smile)):
        opening = float(performance.opening[i])
        places = rest + float(performance.smile[i]) * fields["smile"] + float(performance.brows[i]) * fields["brows"]
        places += opening * fields["drop" if opening > 0 else "close"]
        places += float(performance.eyelids[i]) * fields["eyelids"]
        gap = min(max(opening, 0.0) / 6, 1.0)
        texture = cv2.addWeighted(gaping, gap, portrait, 1 - gap, 0)
        face = cv2.remap(texture, places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        pose = _pose(look, performance, i)
        size = (FRAME_WIDTH, FRAME_HEIGHT)
        face = cv2.warpAffine(face, pose, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(mask, pose, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[..., None]
        noise = rng.normal(0, 2, size=(FRAME_HEIGHT // 2, FRAME_WIDTH // 2)).astype(np.float32)
        frame = backdrop + alpha * (face - backdrop) + cv2.resize(noise, size)[..., None]
        yield np.clip(frame, 0, 255).astype(np.uint8)


@cache
def _portrait() -> np.ndarray:
    """Return the head and shoulders of the photograph, (_SIZE, _SIZE, 3) float32 BGR."""
    from skimage.data import astronaut

    piece = astronaut()[_TOP : _TOP + _SIZE, _LEFT : _LEFT + _SIZE, ::-1]
    return np.ascontiguousarray(piece, dtype=np.float32)


@cache
def _grid() -> np.ndarray:
    """Return each pixel's own place, (2, _SIZE, _SIZE) float32: x, then y."""
    y, x = np.mgrid[:_SIZE, :_SIZE].astype(np.float32)
    return np.stack([x, y])


def _smooth_step(x: np.ndarray) -> np.ndarray:
    """Rise from 0 at x <= 0 to 1 at x >= 1 without a kink."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


@cache
def _displacement_fields() -> dict[str, np.ndarray]:
    """Return the fields, (2, _SIZE, _SIZE) float32 each: where a pixel of the result is taken from, relative to itself.

    A field is for one unit of its expression; a picture is sampled, so what moves up is taken from further down.
    """
    x, y = _grid()
    u = (x - _MOUTH_X) / _MOUTH_HALF_WIDTH
    near_mouth = np.exp(-0.5 * ((y - _MOUTH_Y) / 11) ** 2 - 0.5 * (np.maximum(np.abs(u) - 1, 0) / 0.35) ** 2)
    smile_y = (np.minimum(u**2, 1.2) - 0.3) * near_mouth
    smile_x = -0.25 * np.clip(u, -1, 1) * near_mouth  # a broad smile is also wide
    beside = np.exp(-0.5 * ((x - _MOUTH_X) / 24) ** 2)
    below = 1 - _smooth_step((y - _CHIN_Y) / 22)
    drop = -_smooth_step((y - 142) / 16) * beside * below
    close = -_smooth_step((y - 142) / 4) * beside * (1 - _smooth_step((y - 152) / 20))
    brows, eyelids = np.zeros_like(x), np.zeros_like(x)
    for eye_x, eye_y in _EYES:
        brows += np.exp(-0.5 * ((x - eye_x) / 12) ** 2 - 0.5 * ((y - (eye_y - 11)) / 5) ** 2)
        eyelids += (y - eye_y) * np.exp(-0.5 * ((x - eye_x) / 10) ** 2 - 0.5 * ((y - eye_y) / 4) ** 2)
    cheeks = -np.tanh((x - _MOUTH_X) / 20) * np.exp(-0.5 * ((np.abs(x - _MOUTH_X) - 42) / 16) ** 2)
    jaw = cheeks * np.exp(-0.5 * ((y - 150) / 35) ** 2)
    zero = np.zeros_like(x)
    pairs = {
        "smile": (smile_x, smile_y),
        "drop": (zero, drop),
        "close": (zero, close),
        "brows": (zero, brows),
        "eyelids": (zero, eyelids),
        "jaw": (jaw, zero),
    }
    return {name: np.stack(pair).astype(np.float32) for name, pair in pairs.items()}


@cache
def _silhouette() -> np.ndarray:
    """Return 1 on head and body and 0 on the photograph's background, (_SIZE, _SIZE) float32, soft-edged."""
    mask = np.zeros((_SIZE, _SIZE), np.uint8)
    for centre, axes in (((227, 82), (75, 70)), ((224, 130), (48, 52)), ((208, 225), (97, 78))):
        cv2.ellipse(mask, ((centre[0] - _LEFT, centre[1]), (2 * axes[0], 2 * axes[1]), 0), 255, -1)
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 2.5)


def _dress(look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Return the portrait in the speaker's colours, (_SIZE, _SIZE, 3) float32, and its mask."""
    portrait = 255 * (_portrait() / 255) ** look.contrast * np.array(look.tint, np.float32)
    return np.clip(portrait, 0, 255).astype(np.float32), _silhouette()


def _gape(portrait: np.ndarray) -> np.ndarray:
    """Return the portrait with a dark gap below the upper teeth, for an open mouth."""
    x, y = _grid()
    across, down = (x - _MOUTH_X) / 13, (y - 147.8) / 1.6
    gap = np.exp(-0.5 * (across**4 + down**2))[..., None]
    return (portrait * (1 - 0.85 * gap)).astype(np.float32)


def _backdrop(look: Look) -> np.ndarray:
    """Return the picture behind the head, (FRAME_HEIGHT, FRAME_WIDTH, 3) float32, a little lighter at its top."""
    light = np.linspace(1.15, 0.8, FRAME_HEIGHT, dtype=np.float32)[:, None, None]
    return np.broadcast_to(light * np.array(look.background, np.float32), (FRAME_HEIGHT, FRAME_WIDTH, 3)).copy()


def _pose(look: Look, performance: Performance, frame: int) -> np.ndarray:
    """Return the (2, 3) matrix from the portrait's pixels to the frame's."""
    angle = np.deg2rad(performance.roll_degrees[frame])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([look.zoom * look.aspect * (-1 if look.mirrored else 1), look.zoom])
    shift = np.array([performance.shift_x[frame], performance.shift_y[frame]])
    middle = np.array([FRAME_WIDTH, FRAME_HEIGHT]) / 2 + look.position + shift
    return np.column_stack([linear, middle - linear @ np.array(_HEAD_CENTRE)])

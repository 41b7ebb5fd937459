"""The arithmetic of MTCNN's boxes on arrays: pyramid, windows, corrections and suppression of overlaps.

Boxes are (x1, y1, x2, y2) float64 in pixels. N boxes, S side of a window.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

# P-Net looks at 12 x 12 pixels and moves by 2.
CELL_PX = 12
STRIDE_PX = 2
# R- and O-Net look at windows of these sides.
RNET_PX, ONET_PX = 24, 48
# Rows compared at a time when overlaps are suppressed: bounds the memory of the (rows, N) overlaps.
_BLOCK_ROWS = 512


def compute_pyramid_scales(height: int, width: int, *, smallest_face_px: float, factor: float) -> list[float]:
    """Return the scales at which P-Net's window covers faces from the smallest up to the whole image.

    The published package counts its levels without regard to the smallest face. From about 26 px on, it therefore asks
    for levels smaller than the window, fails inside and reports no face at all. Here the levels end when the shorter
    side becomes smaller than the window; at 20 px the two give the same levels.

    Returns:
        Descending scales, the first 12 / smallest_face_px; empty for an image smaller than that face.
    """
    scales = []
    scale = CELL_PX / smallest_face_px
    while int(min(height, width) * scale) >= CELL_PX:
        scales.append(scale)
        scale *= factor
    return scales


def compute_proposals(rows: np.ndarray, columns: np.ndarray, corrections: np.ndarray, *, scale: float) -> np.ndarray:
    """Turn cells of P-Net's output into boxes of the image.

    Args:
        rows: (N,) of the cells.
        columns: (N,) of the cells.
        corrections: (N, 4), in units of the window.
        scale: of the pyramid level.

    Returns:
        (N, 4) boxes.
    """
    corners = np.stack([columns, rows], axis=1) * float(STRIDE_PX)  # (N, 2)
    # As published: pixels are counted from one, so a window of 12 pixels runs from 1 to 12 and is 11 wide.
    windows = np.concatenate([corners + 1.0, corners + CELL_PX], axis=1)  # (N, 4)
    return (windows + corrections * (CELL_PX - 1.0)) / scale


def correct_boxes(boxes: np.ndarray, corrections: np.ndarray) -> np.ndarray:
    """Move the sides of boxes by R- or O-Net's corrections, in units of the box's sides plus one pixel."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1.0  # (N, 2)
    return boxes + corrections * np.concatenate([sides, sides], axis=1)


def place_landmarks(boxes: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Turn O-Net's landmarks (N, 10), five x and then five y in units of the box, into pixels (N, 5, 2).

    As published, pixels are counted from one, hence the difference of one.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1.0
    relative = positions.reshape(-1, 2, 5).transpose(0, 2, 1)  # (N, 5, 2)
    return relative * sides[:, None, :] + boxes[:, None, :2] - 1.0


def make_square(boxes: np.ndarray) -> np.ndarray:
    """Return square boxes with the same centres, as large as the longer sides."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2.0
    return np.concatenate([centre - half, centre + half], axis=1)


def compute_overlaps(
    boxes: np.ndarray, others: np.ndarray, *, kind: Literal["union", "smaller"] = "union"
) -> np.ndarray:
    """Return the overlaps (N, M) of boxes (N, 4) and others (M, 4): intersection over union or over the smaller box."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    opposite = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = np.prod(np.maximum(opposite - corner, 0.0), axis=2)  # (N, M)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None]
    other_areas = np.prod(others[:, 2:] - others[:, :2], axis=1)[None, :]
    whole = areas + other_areas - intersection if kind == "union" else np.minimum(areas, other_areas)
    return np.divide(intersection, whole, out=np.zeros_like(intersection), where=whole > 0)


def compute_overlap(box: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over the union of two boxes: faster than `compute_overlaps` for one pair."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    intersection = max(width, 0.0) * max(height, 0.0)
    areas = (box[2] - box[0]) * (box[3] - box[1]) + (other[2] - other[0]) * (other[3] - other[1])
    whole = areas - intersection
    return intersection / whole if whole > 0 else 0.0


def suppress_overlaps(
    boxes: np.ndarray, scores: np.ndarray, *, threshold: float, kind: Literal["union", "smaller"] = "union"
) -> np.ndarray:
    """Return the indices of the boxes that no better box overlaps by more than the threshold, best first.

    Unlike in greedy suppression, a suppressed box still suppresses worse ones: the published package does so.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = boxes[order]
    kept = np.ones(len(order), dtype=bool)
    for start in range(0, len(order), _BLOCK_ROWS):
        block = ordered[start : start + _BLOCK_ROWS]
        better = ordered[: start + len(block)]
        overlaps = compute_overlaps(block, better, kind=kind)  # (rows, better)
        is_better = np.arange(len(better))[None, :] < np.arange(start, start + len(block))[:, None]
        kept[start : start + len(block)] = ~((overlaps > threshold) & is_better).any(axis=1)
    return order[kept]


def sample_windows(image: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """Sample the image bilinearly on a grid of side x side points in each box; points outside of it are mid-grey.

    The grid's outer points lie on the box's sides. Coordinates are scaled by (length - 1) / length, as the published
    package does. A box that is larger than the window is not smoothed.

    Args:
        image: (H, W, 3) uint8.
        boxes: (N, 4).
        side: S.

    Returns:
        (N, S, S, 3) float32, (value - 127.5) / 128, channels in the image's order.
    """
    rows, row_weights = _sample_axis(boxes[:, 1], boxes[:, 3], image.shape[0], side)
    columns, column_weights = _sample_axis(boxes[:, 0], boxes[:, 2], image.shape[1], side)
    pixels = image[rows.reshape(len(boxes), -1, 1), columns.reshape(len(boxes), 1, -1)]  # (N, 2S, 2S, 3)
    values = pixels.astype(np.float32) - np.float32(127.5)
    values *= row_weights.reshape(len(boxes), -1, 1, 1)
    values = values[:, :side] + values[:, side:]  # (N, S, 2S, 3)
    values *= column_weights.reshape(len(boxes), 1, -1, 1)
    return (values[:, :, :side] + values[:, :, side:]) / np.float32(128.0)  # (N, S, S, 3)


def _sample_axis(low: np.ndarray, high: np.ndarray, length: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two neighbours (N, 2, S) of each grid position and their weights, zero outside [0, length - 1]."""
    steps = np.arange(side) / (side - 1)
    positions = (low[:, None] + (high - low)[:, None] * steps) * ((length - 1) / length)  # (N, S)
    inside = (positions >= 0) & (positions <= length - 1)
    positions = np.clip(positions, 0, length - 1)
    lower = np.floor(positions).astype(np.intp)
    upper = np.minimum(lower + 1, length - 1)
    fraction = positions - lower
    weights = np.stack([1.0 - fraction, fraction], axis=1) * inside[:, None, :]
    return np.stack([lower, upper], axis=1), weights.astype(np.float32)

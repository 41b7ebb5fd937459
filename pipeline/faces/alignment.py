"""Aligned crops: a similarity transform brings five landmarks to their places in a 112 x 96 crop (paper II-B)."""

import math

import numpy as np

from models.paper import CROP_HEIGHT, CROP_WIDTH
from pipeline.faces.images import reduce_region

# SphereFace's places (x, y) of left eye, right eye, nose, mouth left, mouth right.
TEMPLATE = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]],
    dtype=np.float64,
)
# Least spread of the landmarks, in pixels (standard deviation): closer ones do not determine scale and angle.
_LEAST_SPREAD_PX = 0.5


class DegenerateLandmarksError(ValueError):
    """The landmarks do not determine a transform."""


def estimate_similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the rotation, uniform scale and shift that bring points nearest to targets in least squares.

    The transform is never a reflection. In complex numbers the best factor is sum(conj(p) t) / sum(|p|^2) of the
    centred points, which is Umeyama's solution in the plane.

    Args:
        points: (N, 2) in pixels.
        targets: (N, 2) in pixels.

    Returns:
        (2, 3) float64, to be multiplied with (x, y, 1).

    Raises:
        DegenerateLandmarksError: the points (nearly) coincide, are not finite or would all map to a single point.
    """
    # Plain numbers: for five points NumPy's calls would take five times as long as the arithmetic.
    source, target = ([complex(x, y) for x, y in array.tolist()] for array in (points, targets))
    source_mean, target_mean = (sum(numbers) / len(numbers) for numbers in (source, target))
    centred = [number - source_mean for number in source]
    power = sum(number.real * number.real + number.imag * number.imag for number in centred)
    spread = math.sqrt(power / len(centred))
    if not spread >= _LEAST_SPREAD_PX:  # NaN as well
        raise DegenerateLandmarksError(
            f"landmarks spread over {spread:.3g} px; a transform needs {_LEAST_SPREAD_PX} px"
        )
    products = [one.conjugate() * (other - target_mean) for one, other in zip(centred, target, strict=True)]
    factor = sum(products) / power
    scale = math.hypot(factor.real, factor.imag)
    if not scale > 1e-6:
        raise DegenerateLandmarksError(f"landmarks fit the template only at scale {scale:.3g}")
    shift = target_mean - factor * source_mean
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def align_crop(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Cut the aligned crop of a face out of an image.

    Sampling is bilinear; pixels outside the image are black. A face that is at least twice the crop's size is first
    reduced by a whole factor (mean of the pixels). Bilinear sampling alone would skip pixels, and the crops would
    flicker from frame to frame.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (5, 2) in pixels: left eye, right eye, nose, mouth left, mouth right.

    Returns:
        (112, 96, 3) uint8, channels in the image's order.

    Raises:
        DegenerateLandmarksError: the landmarks do not determine a transform.
    """
    import cv2

    transform = estimate_similarity(landmarks, TEMPLATE)
    reduction = int(1.0 / float(np.hypot(transform[0, 0], transform[1, 0])))
    if reduction >= 2:
        image, transform = _reduce_region(image, transform, reduction)
    crop: np.ndarray = cv2.warpAffine(
        image, transform, (CROP_WIDTH, CROP_HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return crop


def _reduce_region(image: np.ndarray, transform: np.ndarray, reduction: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of the image that the crop shows, reduced by a whole factor, and the transform to the crop."""
    height, width = image.shape[:2]
    inverse = np.linalg.inv(transform[:, :2])
    corners = np.array([[0, 0], [CROP_WIDTH, 0], [0, CROP_HEIGHT], [CROP_WIDTH, CROP_HEIGHT]]) - transform[:, 2]
    seen = corners @ inverse.T  # (4, 2) in the image
    # Multiples of the factor, so that neighbouring frames are reduced on the same grid.
    low = np.maximum(np.floor(seen.min(axis=0) / reduction).astype(int) - 1, 0) * reduction
    high = np.minimum(np.ceil(seen.max(axis=0) / reduction).astype(int) + 1, [width // reduction, height // reduction])
    high = high * reduction
    if (high - low).min() < reduction:
        return image, transform
    reduced = reduce_region(image, low, high, reduction)
    # The centre of reduced pixel r lies at low + reduction * r + (reduction - 1) / 2 in the image.
    linear = transform[:, :2] * reduction
    shift = transform[:, :2] @ (low + (reduction - 1) / 2.0) + transform[:, 2]
    return reduced, np.concatenate([linear, shift[:, None]], axis=1)

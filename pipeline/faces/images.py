"""Parts of images reduced by a whole factor, and thumbnails: compiled (pipeline/faces/native/images.c), else by OpenCV.

The bytes are the same either way. Thumbnails of images with gaps, or of less than 128 pixels, are left to OpenCV.
"""

from typing import Any

import numpy as np

from models.compiled import load_compiled

THUMBNAIL_PX = 32
# A thumbnail's pixel is the mean of at most 4 x 4 pixels of the image, evenly spread: steady enough, and of a 4K frame
# all would take as long as following a face.
_SAMPLES = 4
# Where OpenCV is as fast: it has vector code for this factor alone.
_OPENCV_FACTOR = 2
_MOST_FACTOR = 256


# As in pipeline/faces/native/images.c: raised when what it takes or gives changes.
_LAYOUT = 2
_kernel: Any = load_compiled("pipeline.faces._images", _LAYOUT)


def reduce_region(image: np.ndarray, low: np.ndarray, high: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of every square of pixels in a part of an image.

    Args:
        image: (H, W, 3) uint8.
        low: (x, y) of the part's first pixel.
        high: (x, y) behind its last one; multiples of the factor away from `low`.
        factor: side of the squares, at least 1.

    Returns:
        (h, w, 3) uint8.
    """
    (left, top), (width, height) = low.tolist(), ((high - low) // factor).tolist()
    is_for_kernel = image.flags.c_contiguous and factor != _OPENCV_FACTOR and factor <= _MOST_FACTOR
    if _kernel is not None and is_for_kernel:
        reduced = np.empty((height, width, 3), dtype=np.uint8)
        _kernel.reduce(image, top, left, factor, reduced)
        return reduced
    import cv2

    region = image[top : high[1], left : high[0]]
    return np.asarray(cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA))


def sample_thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a small picture of an image, (32, 32, 3) uint8, by averaging an even sample of its pixels.

    Args:
        image: (H, W, 3) uint8.
    """
    side = _SAMPLES * THUMBNAIL_PX
    if _kernel is not None and image.flags.c_contiguous and min(image.shape[:2]) >= side:
        thumbnail = np.empty((THUMBNAIL_PX, THUMBNAIL_PX, 3), dtype=np.uint8)
        _kernel.thumbnail(image, thumbnail)
        return thumbnail
    import cv2

    height, width = (min(length, side) for length in image.shape[:2])
    sample = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(sample, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA))

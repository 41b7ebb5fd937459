"""Parts of images reduced by a whole factor, and thumbnails: by compiled code (native/images.c), else by OpenCV.

Both give the same bytes. OpenCV makes the thumbnails of images that are not contiguous or have a side below 128 pixels.
"""

from typing import Any

import numpy as np

from models.compiled import load_compiled

THUMBNAIL_PX = 32
# A thumbnail's pixel is the mean of at most 4 x 4 evenly spread pixels of the image. That is stable enough; reading all
# pixels of a 4K frame would take as long as following a face.
_SAMPLES = 4
# OpenCV is as fast for this factor, the only one for which it has vector code.
_OPENCV_FACTOR = 2
_MOST_FACTOR = 256


# The same number as in pipeline/faces/native/images.c; raised when the arguments or results of its functions change.
_LAYOUT = 2
_kernel: Any = load_compiled("pipeline.faces._images", _LAYOUT)


def reduce_region(image: np.ndarray, low: np.ndarray, high: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of every square of pixels in a part of an image.

    Args:
        image: (H, W, 3) uint8.
        low: (x, y) of the part's first pixel.
        high: (x, y) just after the part's last pixel; its distance from `low` is a multiple of the factor.
        factor: side of the squares in pixels, at least 1.

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

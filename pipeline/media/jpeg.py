"""Images as JPEG, the form in which frames and crops are kept."""

import cv2
import numpy as np


def encode_jpeg(image: np.ndarray, *, quality: int) -> bytes:
    """Compress an image (H, W, 3) uint8 BGR; `quality` is from 1 to 100."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV always has JPEG"
    return data.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decode a kept image to (H, W, 3) uint8 BGR.

    Raises:
        ValueError: The bytes are not an image.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{len(data)} bytes of a kept image are no JPEG; its shard is damaged")
    return image

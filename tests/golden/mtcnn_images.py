"""The images behind mtcnn.json, made from a public-domain photograph of NASA that scikit-image carries.

Nothing here interpolates, so the images are the same bytes under any version of any library.
"""

import hashlib

import numpy as np


def make_images() -> dict[str, np.ndarray]:
    """Return images (H, W, 3) uint8, RGB, by name."""
    from skimage import data

    photograph = data.astronaut()
    half, small, tiny = (reduce_image(photograph, factor) for factor in (2, 4, 7))
    darker = (photograph // 3).astype(np.uint8)
    coarse = enlarge_image(photograph[20:220, 130:320], 3)
    street = np.full((360, 640, 3), 90, dtype=np.uint8)
    street[100:356, 20:276] = half
    street[200:328, 300:428] = small
    street[220:293, 500:573] = tiny
    return {
        "photograph": photograph,
        "mirrored": photograph[:, ::-1],
        "half": half,
        "small": small,
        "dark": darker,
        "enlarged": coarse,
        "odd_size": photograph[:299, 51:428],
        "cut_by_the_right_edge": photograph[:, :250],
        "cut_by_the_upper_edge": photograph[95:],
        "pair": np.concatenate([half, half[:, ::-1]], axis=1),
        "tiled": np.tile(small, (3, 4, 1)),
        "street": street,
        "squeezed": photograph[:, ::2],
        "turned": np.rot90(photograph),
        "cat": data.chelsea(),
        "grey": np.full((120, 160, 3), 128, dtype=np.uint8),
    }


def reduce_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Replace each block of factor x factor pixels by its mean, rounded down."""
    height, width = (length // factor for length in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return (blocks.sum(axis=(1, 3), dtype=np.uint32) // factor**2).astype(np.uint8)


def enlarge_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Repeat each pixel factor x factor times."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def compute_image_digest(image: np.ndarray) -> str:
    """Return the sha256 of an image's shape and pixels."""
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()

import cv2
import numpy as np
import pytest

from pipeline.faces import images as native_images
from pipeline.faces.images import reduce_region, sample_thumbnail

needs_kernel = pytest.mark.skipif(native_images._kernel is None, reason="no compiled code: there was no compiler")


def make_noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(params=["compiled", "opencv"])
def engine(request, monkeypatch):
    if request.param == "opencv":
        monkeypatch.setattr(native_images, "_kernel", None)
    elif native_images._kernel is None:
        pytest.skip("no compiled code: there was no compiler")


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7, 31])
def test_a_region_is_reduced_to_the_bytes_that_opencv_gives(engine, factor):
    image = make_noise(200, 311)
    for left, top, columns, rows in ((0, 0, 1, 1), (factor, 2 * factor, 4, 3), (0, 0, 311 // factor, 200 // factor)):
        low = np.array([left, top])
        high = low + np.array([columns, rows]) * factor
        region = image[low[1] : high[1], low[0] : high[0]]
        expected = cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(reduce_region(image, low, high, factor), expected)


def test_an_image_with_gaps_is_reduced_too(engine):
    image = make_noise(60, 60)[:, ::-1]
    reduced = reduce_region(image, np.array([3, 6]), np.array([33, 51]), 3)
    np.testing.assert_array_equal(reduced, reduce_region(image.copy(), np.array([3, 6]), np.array([33, 51]), 3))


@pytest.mark.parametrize("size", [(1, 1), (40, 500), (128, 128), (129, 333), (719, 1281), (1920, 1080)])
def test_a_thumbnail_has_the_bytes_that_opencv_gives(engine, size):
    image = make_noise(*size)
    sample = cv2.resize(image, (min(size[1], 128), min(size[0], 128)), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(sample_thumbnail(image), cv2.resize(sample, (32, 32), interpolation=cv2.INTER_AREA))


@needs_kernel
def test_the_compiled_code_refuses_what_does_not_fit():
    kernel, image = native_images._kernel, make_noise(20, 10)
    with pytest.raises(ValueError, match=r"image has shape \(20, 30\): it must be \(N, N, 3\)"):
        kernel.thumbnail(image.reshape(20, 30), np.empty((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"small has shape \(33, 31, 3\): it must be \(32, 32, 3\)"):
        kernel.thumbnail(image, np.empty((33, 31, 3), np.uint8))
    with pytest.raises(ValueError, match="image has numbers of type H: they must be B"):
        kernel.thumbnail(image.astype(np.uint16), np.empty((32, 32, 3), np.uint8))
    reduced = np.empty((2, 3, 3), np.uint8)
    with pytest.raises(
        ValueError, match=r"2 x 3 squares of 4 pixels \(at most 256\) do not lie in 20 x 10 pixels from \(0, 3\)"
    ):
        kernel.reduce(image, 0, 3, 4, reduced)
    for top, left, factor in ((-1, 0, 1), (0, -1, 1), (2**31 - 1, 0, 1), (0, -(2**31), 1), (0, 0, 0), (0, 0, 257)):
        with pytest.raises(ValueError, match="do not lie in 20 x 10 pixels"):
            kernel.reduce(image, top, left, factor, reduced)
    with pytest.raises(ValueError, match="not C-contiguous"):
        kernel.reduce(image[:, ::-1], 0, 0, 1, reduced)


@needs_kernel
@pytest.mark.parametrize("offset", [1, 15])
def test_an_image_may_begin_at_any_byte(offset):
    image = make_noise(131, 140)
    moved = np.frombuffer(bytes(offset) + image.tobytes(), np.uint8, offset=offset).reshape(image.shape)
    np.testing.assert_array_equal(sample_thumbnail(moved), sample_thumbnail(image))
    for factor in (1, 3, 17, 131):
        low, high = np.array([1, 0]), np.array([1 + 139 // factor * factor, 131 // factor * factor])
        np.testing.assert_array_equal(reduce_region(moved, low, high, factor), reduce_region(image, low, high, factor))

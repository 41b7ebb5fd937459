import warnings

import cv2
import numpy as np
import pytest

from pipeline.faces.alignment import (
    CROP_HEIGHT,
    CROP_WIDTH,
    TEMPLATE,
    DegenerateLandmarksError,
    align_crop,
    estimate_similarity,
)


def transform_points(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def place_template(scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * TEMPLATE @ rotation.T + np.array(shift)


def paint_template(scale: float, angle: float, shift: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """White dots, in proportion to the face, where the five landmarks are."""
    image = np.zeros((*size, 3), np.uint8)
    rows, columns = np.mgrid[: size[0], : size[1]]
    for x, y in place_template(scale, angle, shift):
        image[(rows - y) ** 2 + (columns - x) ** 2 <= (4 * scale) ** 2] = 255
    return image


def find_dots(crop: np.ndarray) -> np.ndarray:
    """Centres (5, 2) of the white dots of a crop, ordered like the template."""
    count, _, _, centres = cv2.connectedComponentsWithStats((crop[:, :, 0] > 127).astype(np.uint8))
    assert count == 6  # the background and five dots
    nearest = np.linalg.norm(TEMPLATE[:, None] - centres[None, 1:], axis=2).argmin(axis=1)
    return centres[1:][nearest]


@pytest.mark.parametrize("seed", range(5))
def test_the_transform_is_that_of_scikit_image(seed):
    transform = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(seed)
    points = place_template(rng.uniform(0.3, 8), rng.uniform(-3, 3), (100, 50)) + rng.normal(0, 4, (5, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of it prefer another spelling of the same
        expected = transform.SimilarityTransform()
        assert expected.estimate(points, TEMPLATE)
    np.testing.assert_allclose(estimate_similarity(points, TEMPLATE), expected.params[:2], rtol=1e-9, atol=1e-9)


def test_a_mirrored_face_is_not_mirrored_back():
    mirrored = TEMPLATE * np.array([-1.0, 1.0])
    assert np.linalg.det(estimate_similarity(mirrored, TEMPLATE)[:, :2]) > 0


def test_the_template_itself_gives_the_identity():
    np.testing.assert_allclose(estimate_similarity(TEMPLATE, TEMPLATE), [[1, 0, 0], [0, 1, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("scale", "angle", "shift", "size"),
    [
        (1.0, 0.0, (40, 30), (220, 200)),
        (1.6, 0.4, (120, 20), (300, 300)),
        (2.4, -0.3, (40, 120), (420, 400)),
        (5.3, 0.2, (151, 33), (720, 700)),
        (9.0, -0.1, (77, 140), (1200, 1300)),
    ],
)
def test_landmarks_land_on_the_template_at_every_size(scale, angle, shift, size):
    crop = align_crop(paint_template(scale, angle, shift, size), place_template(scale, angle, shift))
    assert (crop.shape, crop.dtype) == ((CROP_HEIGHT, CROP_WIDTH, 3), np.uint8)
    np.testing.assert_allclose(find_dots(crop), TEMPLATE, atol=0.25)


def test_a_large_face_is_averaged_and_not_sampled():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1400, 1200, 3), dtype=np.uint8)
    crop = align_crop(noise, place_template(10.0, 0.0, (100, 100)))
    # The mean of 100 independent pixels scatters by a tenth of what one does (74).
    assert crop.std() < 12


def test_what_lies_outside_the_image_is_black():
    crop = align_crop(np.full((60, 50, 3), 200, np.uint8), TEMPLATE)
    assert crop[:58, :48].min() == 200
    assert crop[62:].max() == crop[:, 52:].max() == 0
    far = align_crop(np.full((300, 300, 3), 200, np.uint8), place_template(3.0, 0.0, (5000, 5000)))
    assert far.max() == 0


def test_no_transform_from_landmarks_that_coincide():
    with pytest.raises(DegenerateLandmarksError, match=r"spread over 0 px; a transform needs 0.5 px"):
        estimate_similarity(np.full((5, 2), 7.0), TEMPLATE)
    with pytest.raises(DegenerateLandmarksError, match="spread over nan px"):
        align_crop(np.zeros((20, 20, 3), np.uint8), np.full((5, 2), np.nan))
    with pytest.raises(DegenerateLandmarksError, match=r"only at scale 0"):
        estimate_similarity(TEMPLATE, np.full((5, 2), 7.0))

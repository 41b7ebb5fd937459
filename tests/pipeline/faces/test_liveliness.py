import cv2
import numpy as np

from pipeline.faces.liveliness import STILL_CHANGE, measure_liveliness
from tests.golden.mtcnn_images import make_images
from tests.pipeline.faces.talking import FRAME_RATE

FRAMES = 40
TIMES = np.arange(FRAMES) / FRAME_RATE


def real_face() -> np.ndarray:
    """A face about as large as in a crop, (112, 96, 3)."""
    head = make_images()["photograph"][10:200, 120:330, ::-1]
    return np.asarray(cv2.resize(head[30:170, 45:165], (96, 112), interpolation=cv2.INTER_AREA))


def measure(crops: list[np.ndarray]) -> float:
    rng = np.random.default_rng(0)
    noisy = [np.clip(crop + rng.normal(0, 2, crop.shape), 0, 255).astype(np.uint8) for crop in crops]
    return measure_liveliness(TIMES[: len(crops)], np.array(noisy), np.arange(len(crops)))


def test_a_photograph_is_still_whatever_the_camera_and_the_light_do():
    face = real_face()
    assert measure([face] * FRAMES) < STILL_CHANGE
    moved, lit = [], []
    for number in range(FRAMES):
        angle, size = 0.5 * np.sin(number / 4), 1 + 0.005 * np.cos(number / 5)
        turn = cv2.getRotationMatrix2D((48, 56), angle, size)
        turn[:, 2] += [0.5 * np.sin(number / 3), 0.5 * np.cos(number / 3)]  # as landmarks shiver
        moved.append(cv2.warpAffine(face, turn, (96, 112), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
        lit.append(np.clip(face * (1 + 0.1 * np.sin(number / 6)), 0, 255).astype(np.uint8))
    assert measure(moved) < STILL_CHANGE
    assert measure(lit) < STILL_CHANGE


def test_a_mouth_that_opens_lives():
    face = real_face()
    opened = face.copy()
    cv2.ellipse(opened, (48, 92), (13, 8), 0, 0, 360, (30, 30, 60), -1)
    talking = [opened if number // 6 % 2 else face for number in range(FRAMES)]
    assert measure(talking) > 2 * STILL_CHANGE


def test_of_a_moment_nothing_is_known():
    assert measure([real_face()] * 8) == float("inf")

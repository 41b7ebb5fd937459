from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from pipeline.faces.tracking import FaceTracker
from pipeline.faces.turned import TurnedLook
from tests.golden.mtcnn_images import make_images


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn(load_networks(), smallest_face_px=30)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    image = np.full((240, 320, 3), 60, np.uint8)
    image[10:200, 60:270] = make_images()["photograph"][10:200, 120:330, ::-1]
    return image


def look(images: list[np.ndarray], detector: Mtcnn) -> str:
    tracker, turned = FaceTracker(detector, 5), TurnedLook(detector)
    scores = []
    for image in images:
        faces = tracker.follow(image)
        turned.note(image, faces)
        scores += [face.score for face in faces]
    return turned.describe(np.array(scores))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_it_is_said_by_how_much_the_picture_is_turned(detector, picture, turn):
    stored = np.ascontiguousarray(np.rot90(picture, turn // 90))  # counter-clockwise: `turn` clockwise mends it
    text = look([stored] * 40, detector)
    assert text.startswith(
        "the picture seems to be turned: in 8 of 8 frames the face is clearer when the frame is turned clockwise by"
    )
    assert f"by {turn} degrees (mean score 1.00 against " in text
    assert text.endswith(f"rotation = {turn} in the overrides turns them")


def test_nothing_is_said_of_pictures_without_a_face(detector):
    assert look([np.full((200, 300, 3), 60, np.uint8)] * 20, detector) == ""
    noise = np.random.default_rng(0).integers(0, 256, (20, 120, 160, 3), np.uint8)
    assert look(list(noise), detector) == ""
    assert look([], detector) == ""


def test_an_upright_face_costs_no_second_look(picture, monkeypatch):
    networks = Mtcnn(load_networks(), smallest_face_px=30)
    tracker, turned = FaceTracker(networks, 5), TurnedLook(networks)
    scores = []
    for image in [np.full((240, 320, 3), 60, np.uint8)] * 3 + [picture] * 20:
        faces = tracker.follow(image)
        turned.note(image, faces)
        scores += [face.score for face in faces]
    monkeypatch.setattr(Mtcnn, "detect", lambda *given, **named: pytest.fail("looked again"))
    assert turned.describe(np.array(scores)) == ""


def test_few_small_copies_are_kept_however_long_the_clip_is(detector):
    turned = TurnedLook(detector)
    for _ in range(1000):
        turned.note(np.zeros((1080, 1920, 3), np.uint8), [])
    assert 8 <= len(turned._samples) <= 16
    assert turned._samples[0].shape == (360, 640, 3)

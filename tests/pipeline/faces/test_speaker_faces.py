import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from pipeline.faces.speaker import Wish
from pipeline.faces.speaker_faces import find_speaker
from tests.golden.mtcnn_images import make_images, reduce_image


@dataclass(frozen=True)
class Frame:
    index: int
    image: np.ndarray


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are too small to gain from threads, which wait for each other on a busy machine."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn(load_networks(), smallest_face_px=30)


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """A head of about 100 px in an image of 190 x 210, BGR."""
    return make_images()["photograph"][10:200, 120:330, ::-1]


def paste(head: np.ndarray, x: int, y: int, *, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    image = np.full((*size, 3), 60, np.uint8)
    image[y : y + head.shape[0], x : x + head.shape[1]] = head
    return image


def empty(size: tuple[int, int] = (240, 320)) -> np.ndarray:
    return np.full((*size, 3), 60, np.uint8)


def frames_of(images: list[np.ndarray]) -> Iterator[Frame]:
    return (Frame(index, image) for index, image in enumerate(images))


def test_a_moving_face_has_a_steady_crop_in_every_frame(detector, head, tmp_path):
    found = find_speaker(
        frames_of([paste(head, 2 * step, step // 2) for step in range(40)]), detector, detect_every=10, scratch=tmp_path
    )
    assert (found.num_frames, found.num_faces, found.num_tracks, found.num_cuts) == (40, 40, 1, 0)
    assert found.frame_indices.tolist() == list(range(40))
    assert (found.frame_indices.dtype, found.boxes.dtype, found.landmarks.dtype, found.scores.dtype) == (
        np.int32,
        np.float32,
        np.float32,
        np.float32,
    )
    assert (found.boxes.shape, found.landmarks.shape) == ((40, 4), (40, 5, 2))
    assert (found.crops.shape, found.crops.dtype) == ((40, 112, 96, 3), np.uint8)
    # The landmarks go with the head, to 3 % of the eye distance (44 px).
    moved = found.landmarks - np.array([[2 * step, step // 2] for step in range(40)])[:, None]
    assert np.linalg.norm(moved - moved.mean(axis=0), axis=2).mean() < 0.03 * 44


def test_frames_without_a_face_are_absent(detector, head, tmp_path):
    images = [paste(head, 50, 20)] * 10 + [empty()] * 6 + [paste(head, 54, 20)] * 10
    found = find_speaker(frames_of(images), detector, detect_every=8, scratch=tmp_path)
    assert found.frame_indices.tolist() == [*range(10), *range(16, 26)]
    assert found.num_tracks == 2


def test_the_larger_of_two_faces_is_the_speaker(detector, head, tmp_path):
    small = reduce_image(head, 2)
    image = paste(head, 0, 20, size=(240, 420))
    image[20 : 20 + small.shape[0], 300 : 300 + small.shape[1]] = small
    found = find_speaker(frames_of([image] * 12), detector, detect_every=5, scratch=tmp_path)
    assert (found.num_faces, found.num_tracks) == (24, 2)
    assert len(found.crops) == 12
    assert (found.boxes[:, 2] < 220).all()
    assert [path.name for path in tmp_path.iterdir()] == ["speaker.raw"]


def test_nobody_in_sight(detector, tmp_path):
    found = find_speaker(frames_of([empty()] * 5), detector, detect_every=5, scratch=tmp_path)
    assert (found.num_frames, found.num_faces, found.num_tracks) == (5, 0, 0)
    assert found.crops.shape == (0, 112, 96, 3)
    assert (found.boxes.shape, found.landmarks.shape) == ((0, 4), (0, 5, 2))
    assert find_speaker(iter(()), detector, detect_every=5, scratch=tmp_path).num_frames == 0


def test_it_is_told_how_many_frames_were_looked_at_in_vain(detector, tmp_path):
    # Every frame at first, after 8 without a face every second one, and so on to every fifth.
    found = find_speaker(frames_of([empty()] * 60), detector, detect_every=5, scratch=tmp_path)
    looked_at = [*range(8), 9, 11, 13, 15, 18, 21, 25, 29, 34, 39, 44, 49, 54, 59]
    assert found.num_skipped == 60 - len(looked_at)
    assert found.looked_at == "the 22 frames looked at of 60"
    every = find_speaker(frames_of([empty()] * 60), detector, detect_every=1, scratch=tmp_path)
    assert (every.num_skipped, every.looked_at) == (0, "60 frames")


def test_the_same_frames_give_the_same_bytes(detector, head, tmp_path):
    images = [paste(head, 3 * step, 10) for step in range(15)]
    results = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        found = find_speaker(frames_of(images), detector, detect_every=6, scratch=tmp_path / run)
        results.append(
            (found.crops.tobytes(), found.boxes.tobytes(), found.landmarks.tobytes(), found.scores.tobytes())
        )
    assert results[0] == results[1]


def test_indices_are_those_of_the_frames(detector, head, tmp_path):
    frames = (Frame(index, paste(head, 50, 20)) for index in (3, 4, 9))
    found = find_speaker(frames, detector, detect_every=5, scratch=tmp_path)
    assert found.frame_indices.tolist() == [3, 4, 9]


def test_crops_are_copied_in_blocks_when_there_are_others(detector, head, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.faces.speaker_faces._COPY_ROWS", 3)
    small = reduce_image(head, 2)
    image = paste(head, 0, 20, size=(240, 420))
    alone = find_speaker(frames_of([image] * 7), detector, detect_every=5, scratch=tmp_path)
    alone_crops = np.array(alone.crops)
    image = image.copy()
    image[20 : 20 + small.shape[0], 300 : 300 + small.shape[1]] = small
    both = find_speaker(frames_of([image] * 7), detector, detect_every=5, scratch=tmp_path)
    assert np.abs(both.crops.astype(int) - alone_crops).max() <= 2


def test_memory_does_not_grow_with_the_clip(detector, head, tmp_path):
    image = paste(head, 50, 20)
    peaks = []
    for num_frames in (20, 80):
        tracemalloc.start()
        find_speaker((Frame(index, image) for index in range(num_frames)), detector, detect_every=50, scratch=tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 60 more crops are 1.9 MB.
    assert peaks[1] - peaks[0] < 0.3e6


def test_scratch_must_exist(detector, head, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_speaker(frames_of([head]), detector, detect_every=5, scratch=tmp_path / "nowhere")


def read_images(path: Path) -> list[np.ndarray]:
    import cv2

    capture = cv2.VideoCapture(str(path))
    images = []
    while (answer := capture.read())[0]:
        images.append(answer[1])
    return images


def test_following_agrees_with_detecting_in_every_frame_of_a_real_clip(detector, media, tmp_path):
    images = read_images(media / "speech" / "GRID_bbaf2n.mpg")[:26]
    assert len(images) == 26
    followed = find_speaker(frames_of(images), detector, detect_every=12, scratch=tmp_path)
    detected = [detector.detect(image) for image in images]
    assert [len(faces) for faces in detected] == [1] * 26
    assert followed.frame_indices.tolist() == list(range(26))
    truth = np.concatenate([faces.landmarks for faces in detected])
    eyes = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1)
    distance = np.linalg.norm(followed.landmarks - truth, axis=2).mean(axis=1) / eyes
    assert distance.mean() < 0.03


def test_the_user_chooses_between_two_real_faces(detector, media, tmp_path):
    images = read_images(media / "odd" / "two_faces_same_size.mp4")[:12]
    for x, is_left in ((180, True), (540, False)):
        found = find_speaker(
            frames_of(images), detector, detect_every=12, scratch=tmp_path, wish=Wish((x, 170.0), frame_index=3)
        )
        assert len(found.crops) == 12
        assert (found.boxes[:, 2] < 360).all() == is_left
    nobody = find_speaker(frames_of(images), detector, detect_every=12, scratch=tmp_path, wish=Wish((2.0, 2.0), None))
    assert (nobody.num_faces, len(nobody.crops)) == (24, 0)

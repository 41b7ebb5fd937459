import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.mtcnn.boxes import (
    compute_overlaps,
    compute_pyramid_scales,
    make_square,
    sample_windows,
    suppress_overlaps,
)
from models.mtcnn.detector import Detections, Mtcnn
from models.mtcnn.networks import MtcnnNetworks, ONet, PNet, RNet, load_networks, read_published_arrays
from models.networks.precision import computing_exactly
from models.weights.table import WrongDigestError, find_carried_weights
from tests.golden.mtcnn_images import compute_image_digest, make_images

GOLDENS = json.loads((Path(__file__).parent.parent.parent / "golden" / "mtcnn.json").read_text(encoding="utf-8"))[
    "images"
]


@pytest.fixture(scope="module")
def networks() -> MtcnnNetworks:
    return load_networks(channel_order="rgb")


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(image) for name, image in make_images().items()}


def bgr(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, :, ::-1])


def assert_same_faces(found: Detections, golden: dict) -> None:
    """The number of faces is equal, and each golden face agrees with the face that overlaps it most."""
    boxes = np.array(golden["boxes"]).reshape(-1, 4)
    landmarks = np.array(golden["landmarks"]).reshape(-1, 5, 2)
    scores = np.array(golden["scores"])
    assert len(found) == len(boxes)
    overlaps = compute_overlaps(boxes, found.boxes.astype(np.float64))
    for row, match in enumerate(overlaps.argmax(axis=1) if len(boxes) else []):
        eyes = np.linalg.norm(landmarks[row, 1] - landmarks[row, 0])
        assert overlaps[row, match] > 0.98
        assert np.linalg.norm(found.landmarks[match] - landmarks[row], axis=1).mean() < 0.01 * eyes
        assert found.scores[match] == pytest.approx(scores[row], abs=2e-3)


@pytest.mark.parametrize("engine", [None, "pytorch"])
@pytest.mark.parametrize("name", sorted(GOLDENS))
def test_the_faces_are_those_of_the_package(name, engine, networks, images):
    assert compute_image_digest(images[name]) == GOLDENS[name]["sha256"], "not the image that the golden was made from"
    for run in GOLDENS[name]["runs"]:
        if run["smallest_face_px"] > 26:
            continue  # the package reports nothing there; see the test below
        found = Mtcnn(networks, smallest_face_px=run["smallest_face_px"], engine=engine).detect(images[name])
        assert_same_faces(found, run)


def test_the_goldens_hold_faces_of_every_kind():
    counts = {name: len(golden["runs"][0]["scores"]) for name, golden in GOLDENS.items()}
    assert len(counts) == 16
    assert (counts["photograph"], counts["pair"], counts["tiled"], counts["street"]) == (1, 2, 12, 3)
    assert (counts["cat"], counts["grey"]) == (0, 0)


def test_a_large_smallest_face_is_found_although_the_package_fails_there(networks, images):
    runs = {run["smallest_face_px"]: run for run in GOLDENS["photograph"]["runs"]}
    assert (len(runs[20]["scores"]), len(runs[40]["scores"])) == (1, 0)
    assert len(Mtcnn(networks, smallest_face_px=40).detect(images["photograph"])) == 1


def test_bgr_images_give_the_same_faces_as_rgb_ones(networks, images):
    rgb = Mtcnn(networks).detect(images["pair"])
    found = Mtcnn(load_networks()).detect(bgr(images["pair"]))
    np.testing.assert_allclose(found.boxes, rgb.boxes, atol=1e-2)
    np.testing.assert_allclose(found.landmarks, rgb.landmarks, atol=1e-2)


def test_detecting_twice_gives_the_same_bytes(networks, images):
    detector = Mtcnn(networks)
    first, second = detector.detect(images["street"]), detector.detect(images["street"])
    assert first.boxes.tobytes() == second.boxes.tobytes()
    assert first.landmarks.tobytes() == second.landmarks.tobytes()


def test_results_are_float32_best_first_and_inside_the_image(networks, images):
    found = Mtcnn(networks).detect(images["cut_by_the_upper_edge"])
    assert (found.boxes.dtype, found.landmarks.dtype, found.scores.dtype) == (np.float32,) * 3
    assert found.boxes.min() >= 0
    tiled = Mtcnn(networks).detect(images["tiled"])
    assert (np.diff(tiled.scores) <= 0).all()
    assert len(tiled) == 12


@pytest.mark.parametrize("name", ["tiled", "photograph", "grey"])
def test_threads_change_nothing(networks, images, name):
    alone, together = (Mtcnn(networks, num_threads=count).detect(images[name]) for count in (1, 3))
    np.testing.assert_array_equal(alone.boxes, together.boxes)
    np.testing.assert_array_equal(alone.landmarks, together.landmarks)
    np.testing.assert_array_equal(alone.scores, together.scores)


def test_in_a_region_its_faces_are_found_where_they_are_in_the_image(networks, images):
    detector = Mtcnn(networks)
    every = detector.detect(images["pair"])
    assert len(every) == 2
    for box, landmarks in zip(every.boxes.astype(float), every.landmarks, strict=True):
        side = (box[2:] - box[:2]).max()
        region = np.concatenate([box[:2] - 0.4 * side, box[2:] + 0.4 * side])
        found = detector.detect(images["pair"], smallest_face_px=side / 2, region=region)
        eyes = np.linalg.norm(landmarks[1] - landmarks[0])
        assert len(found) == 1
        assert np.linalg.norm(found.landmarks[0] - landmarks, axis=1).mean() < 0.05 * eyes
    assert len(detector.detect(images["pair"], region=np.array([-900, -900, -800, -800]))) == 0
    assert len(detector.detect(images["pair"], region=np.array([50, 50, 50, 50]))) == 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (11, 300, 3), (12, 12, 3), (19, 64, 3)])
def test_an_image_too_small_for_a_face_has_none(networks, shape):
    assert len(Mtcnn(networks).detect(np.zeros(shape, np.uint8))) == 0


def test_refining_a_detected_box_keeps_the_face(networks, images):
    detector = Mtcnn(networks)
    found = detector.detect(images["pair"])
    refined = detector.refine(images["pair"], found.boxes)
    eyes = np.linalg.norm(found.landmarks[:, 1] - found.landmarks[:, 0], axis=1)
    assert len(refined) == 2
    assert np.diagonal(compute_overlaps(found.boxes, refined.boxes)).min() > 0.8
    assert (np.linalg.norm(refined.landmarks - found.landmarks, axis=2).mean(axis=1) < 0.05 * eyes).all()


def test_refining_recovers_a_face_that_moved_by_a_tenth_of_its_width(networks, images):
    detector = Mtcnn(networks)
    found = detector.detect(images["photograph"])
    moved = found.boxes + 0.1 * (found.boxes[:, 2] - found.boxes[:, 0])
    refined = detector.refine(images["photograph"], moved)
    eyes = np.linalg.norm(found.landmarks[0, 1] - found.landmarks[0, 0])
    assert refined.scores[0] > 0.9
    assert np.linalg.norm(refined.landmarks - found.landmarks, axis=2).mean() < 0.05 * eyes


def test_refining_keeps_the_order_and_says_where_no_face_is(networks, images):
    face = Mtcnn(networks).detect(images["photograph"]).boxes[0]
    nothing = np.array([380, 400, 480, 500], np.float32)
    refined = Mtcnn(networks).refine(images["photograph"], np.stack([nothing, face]))
    assert refined.scores[0] < 0.5 < 0.99 < refined.scores[1]


def test_refining_no_boxes_gives_none(networks, images):
    assert len(Mtcnn(networks).refine(images["grey"], np.empty((0, 4)))) == 0


def test_a_box_outside_the_image_does_no_harm(networks, images):
    refined = Mtcnn(networks).refine(images["grey"], np.array([[-500.0, -500, -400, -400]]))
    assert np.isfinite(refined.boxes).all()
    assert refined.scores[0] < 0.8


def test_the_detector_refuses_what_it_cannot_use(networks):
    with pytest.raises(ValueError, match=r"smallest_face_px \(11 px\) must be at least 12"):
        Mtcnn(networks, smallest_face_px=11)
    with pytest.raises(ValueError, match=r"pyramid_factor \(1.0\) must lie between 0 and 1"):
        Mtcnn(networks, pyramid_factor=1.0)
    with pytest.raises(ValueError, match=r"thresholds \(\(0.6, 0.7, 1.5\)\)"):
        Mtcnn(networks, thresholds=(0.6, 0.7, 1.5))
    with pytest.raises(ValueError, match=r"num_threads \(0\) must be at least 1"):
        Mtcnn(networks, num_threads=0)
    with pytest.raises(ValueError, match=r"shape \(4, 4\), uint8"):
        Mtcnn(networks).detect(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"shape \(4, 4, 3\), float32"):
        Mtcnn(networks).detect(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"boxes \(shape \(4,\)\) must be \(K, 4\)"):
        Mtcnn(networks).refine(np.zeros((4, 4, 3), np.uint8), np.zeros(4))
    with pytest.raises(ValueError, match=r"channel_order \('gbr'\)"):
        load_networks(channel_order="gbr")  # type: ignore[arg-type]


def test_networks_give_the_published_sizes():
    probabilities, corrections = PNet()(torch.zeros(2, 3, 31, 44))
    assert (probabilities.shape, corrections.shape) == ((2, 11, 17), (2, 4, 11, 17))
    assert [output.shape for output in RNet()(torch.zeros(5, 3, 24, 24))] == [(5,), (5, 4)]
    assert [output.shape for output in ONet()(torch.zeros(5, 3, 48, 48))] == [(5,), (5, 4), (5, 10)]


def test_weights_of_another_digest_are_not_unpickled(tmp_path):
    carried = find_carried_weights("mtcnn-pnet")
    changed = tmp_path / "pnet.lz4"
    changed.write_bytes(carried.path.read_bytes() + b"x")
    with pytest.raises(WrongDigestError, match=f"it must be {carried.sha256}; install mtcnn==1.0.0 again"):
        read_published_arrays(changed, sha256=carried.sha256)


def test_loading_the_networks_does_not_import_the_package(networks):
    assert "mtcnn" not in sys.modules
    assert "tensorflow" not in sys.modules


def test_pyramid_scales_cover_the_image():
    # 100 px: 0.6 gives 60, then 42, 30, 21, 15, and 10 would be less than the window of 12.
    scales = compute_pyramid_scales(100, 200, smallest_face_px=20, factor=0.7)
    np.testing.assert_allclose(scales, [0.6, 0.42, 0.294, 0.2058, 0.14406])
    assert compute_pyramid_scales(19, 200, smallest_face_px=20, factor=0.7) == []


def test_overlaps_by_hand():
    boxes = np.array([[0.0, 0, 10, 10]])
    others = np.array([[5.0, 0, 15, 10], [2, 2, 4, 4], [20, 20, 30, 30], [3, 3, 3, 3]])
    np.testing.assert_allclose(compute_overlaps(boxes, others), [[50 / 150, 4 / 100, 0, 0]])
    np.testing.assert_allclose(compute_overlaps(boxes, others, kind="smaller"), [[0.5, 1, 0, 0]])


def test_a_suppressed_box_still_suppresses():
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])  # each overlaps the next by 60 / 140
    kept = suppress_overlaps(boxes, np.array([0.7, 0.9, 0.8]), threshold=0.4)
    assert kept.tolist() == [1]
    assert suppress_overlaps(boxes, np.array([0.9, 0.8, 0.7]), threshold=0.4).tolist() == [0]
    assert suppress_overlaps(boxes, np.array([0.9, 0.8, 0.7]), threshold=0.5).tolist() == [0, 1, 2]


def test_suppression_in_blocks_equals_suppression_at_once(monkeypatch):
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 100, (300, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 30, (300, 2))], axis=1)
    scores = rng.random(300)
    whole = suppress_overlaps(boxes, scores, threshold=0.3)
    monkeypatch.setattr("models.mtcnn.boxes._BLOCK_ROWS", 7)
    assert suppress_overlaps(boxes, scores, threshold=0.3).tolist() == whole.tolist()
    assert 1 < len(whole) < 300


def test_squares_keep_their_centre():
    np.testing.assert_allclose(make_square(np.array([[10.0, 20, 30, 60]])), [[0, 20, 40, 60]])


def test_windows_sample_bilinearly_and_are_grey_outside():
    image = np.zeros((5, 5, 3), np.uint8)
    image[:, :, 0] = np.arange(5) * 10  # a ramp along x in the first channel
    # Coordinates are scaled by (5 - 1) / 5: from x = -1.25 to 3.75 the grid stands at -1, 0, 1, 2, 3.
    window = sample_windows(image, np.array([[-1.25, 0, 3.75, 5]]), 5)[0]
    np.testing.assert_allclose(window[2, :, 0] * 128 + 127.5, [127.5, 0, 10, 20, 30], atol=1e-4)
    between = sample_windows(image, np.array([[0.625, 0, 3.125, 5]]), 3)[0]
    np.testing.assert_allclose(between[0, :, 0] * 128 + 127.5, [5, 15, 25], atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_finds_the_same_faces(images):
    on_cpu = Mtcnn(load_networks()).detect(bgr(images["street"]))
    with computing_exactly():
        on_gpu = Mtcnn(load_networks(), device="cuda").detect(bgr(images["street"]))
    assert len(on_cpu) == len(on_gpu) == 3
    assert np.diagonal(compute_overlaps(on_cpu.boxes, on_gpu.boxes)).min() > 0.99

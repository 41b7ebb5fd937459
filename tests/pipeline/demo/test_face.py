import socket

import numpy as np
import pytest

from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from pipeline.demo import face as demo_face
from pipeline.demo.acting import direct_performance, invent_speaker
from pipeline.demo.face import Look, Performance, render_frames

PLAIN = Look(
    tint=(1.0, 1.0, 1.0),
    contrast=1.0,
    aspect=1.0,
    zoom=1.0,
    mirrored=False,
    jaw=0.0,
    position=(0.0, 0.0),
    background=(120.0, 120.0, 120.0),
)


def perform(num_frames: int = 1, **values: float) -> Performance:
    fields = Performance.__dataclass_fields__
    return Performance(**{name: np.full(num_frames, float(values.get(name, 0))) for name in fields})


def draw(look: Look = PLAIN, **values: float) -> np.ndarray:
    return next(render_frames(look, perform(**values), np.random.default_rng(0)))


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn(load_networks(), smallest_face_px=60)


def only_face(detector: Mtcnn, image: np.ndarray):
    found = detector.detect(image)
    assert len(found.boxes) == 1
    return found.boxes[0], found.landmarks[0]


def test_frames_are_small_colour_images():
    frames = list(render_frames(PLAIN, perform(3), np.random.default_rng(0)))
    assert [frame.shape for frame in frames] == [(192, 256, 3)] * 3
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}


def test_photograph_is_loaded_without_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("the demo must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert demo_face._portrait.__wrapped__().shape == (256, 256, 3)


def test_every_speaker_has_one_face_of_at_least_90_pixels(detector):
    for number in range(10):
        speaker = invent_speaker(np.random.default_rng([0, number]))
        box, _ = only_face(detector, draw(speaker.look, smile=-5, opening=-2))
        assert box[3] - box[1] >= 90


def test_speakers_differ():
    looks = {invent_speaker(np.random.default_rng([0, number])).look for number in range(30)}
    voices = {invent_speaker(np.random.default_rng([0, number])).voice for number in range(30)}
    assert len(looks) == len(voices) == 30


def test_a_smile_lifts_and_widens_the_mouth(detector):
    heights, widths = [], []
    for smile in (-9.0, -4.5, 0.5):
        _, landmarks = only_face(detector, draw(smile=smile))
        heights.append(landmarks[3:, 1].mean() - landmarks[:2, 1].mean())  # from the eyes down to the corners
        widths.append(landmarks[4, 0] - landmarks[3, 0])
    assert heights[0] > heights[1] > heights[2]
    assert widths[0] < widths[2]


def test_the_head_moves_as_told(detector):
    _, still = only_face(detector, draw())
    _, moved = only_face(detector, draw(shift_x=6, shift_y=-4))
    np.testing.assert_allclose((moved - still).mean(axis=0), [6, -4], atol=0.7)
    _, turned = only_face(detector, draw(roll_degrees=8))
    angles = [np.degrees(np.arctan2(*(mark[1] - mark[0])[::-1])) for mark in (still, turned)]
    assert angles[1] - angles[0] == pytest.approx(8, abs=1.5)


def test_an_opened_mouth_changes_the_mouth_and_not_the_brow():
    closed, opened = draw(opening=-4).astype(int), draw(opening=4).astype(int)
    change = np.abs(opened - closed).mean(axis=2)
    top, left = 96 - 112, 128 - (225 - 96)  # of the photograph's piece in the frame
    mouth = change[135 + top : 165 + top, 108 + left : 150 + left]
    brow = change[80 + top : 100 + top, 100 + left : 155 + left]
    assert mouth.mean() > 10 * max(brow.mean(), 0.1)


def test_noise_depends_on_the_generator_alone():
    first = list(render_frames(PLAIN, perform(2), np.random.default_rng(7)))
    second = list(render_frames(PLAIN, perform(2), np.random.default_rng(7)))
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).any()


def test_valence_is_seen_in_the_mouth_and_arousal_in_movement():
    rng = np.random.default_rng(0)
    opening = np.abs(np.sin(np.arange(40000) / 1500)).astype(np.float32)
    arousal, valence = rng.uniform(0, 1, 300), rng.uniform(-1, 1, 300)
    plays = [direct_performance(a, v, opening, rng) for a, v in zip(arousal, valence, strict=True)]
    assert {len(play.smile) for play in plays} == {38}  # 2.5 s at 15 frames/s, rounded
    assert np.corrcoef([play.smile.mean() for play in plays], valence)[0, 1] > 0.9
    assert np.corrcoef([play.brows.mean() for play in plays], arousal)[0, 1] > 0.7
    assert np.corrcoef([np.abs(np.diff(play.shift_x)).mean() for play in plays], arousal)[0, 1] > 0.6
    assert abs(np.corrcoef([play.smile.mean() for play in plays], arousal)[0, 1]) < 0.15

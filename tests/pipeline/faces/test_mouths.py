import numpy as np
import pytest

from models.features.speech import SpeechListener
from pipeline.faces.mouths import (
    SoundChange,
    measure_agreement,
    measure_mouth_motion,
    measure_sound_change,
    solve_least_squares,
)
from tests.models.features.test_coming_along import make_voice as make_vowel
from tests.models.features.test_coming_along import skip_without_packages
from tests.pipeline.faces.talking import FRAME_RATE, make_faces, make_opening, make_voice

FRAMES = 75
TIMES = np.arange(FRAMES) / FRAME_RATE


def agree(mouth: int, voice: int, delay_seconds: float = 0.0) -> float:
    crops = make_faces(make_opening(mouth, FRAMES), seed=mouth)
    samples = make_voice(make_opening(voice, FRAMES))
    delayed = np.concatenate([np.zeros(round(delay_seconds * 16000), np.float32), samples])
    motion = measure_mouth_motion(crops, np.arange(FRAMES))
    return measure_agreement(TIMES[1:], motion, measure_sound_change([delayed]))


def test_a_mouth_agrees_with_its_own_voice_and_not_with_others():
    for seed in range(6):
        assert agree(seed, seed) > 0.4
        assert agree(seed, seed) > agree(seed, (seed + 1) % 6) + 0.15


def test_sound_may_come_a_little_later_than_the_picture():
    assert agree(3, 3, delay_seconds=0.06) > 0.4
    assert agree(3, 3, delay_seconds=0.3) < 0.3


def test_what_the_whole_face_does_is_no_motion_of_the_mouth():
    closed = make_faces(np.zeros(1), seed=5)[0]
    brighter = np.clip(closed * 1.1 + 5, 0, 255).astype(np.uint8)
    smooth = np.stack([np.repeat(np.linspace(40, 200, 96)[None], 112, 0)] * 3, axis=2).astype(np.uint8)
    shifted = np.roll(smooth, 1, axis=1)
    opened = make_faces(np.ones(1), seed=5)[0]
    motions = [
        measure_mouth_motion(np.stack(pair), np.arange(2)).item()
        for pair in ((closed, closed), (closed, brighter), (smooth, shifted), (closed, opened))
    ]
    assert motions[0] == 0
    assert motions[1] < 1
    assert motions[2] < 0.5
    assert motions[3] > 5


def test_motion_is_measured_between_the_rows_asked_for_also_in_blocks(monkeypatch):
    crops = make_faces(make_opening(1, 20), seed=1)
    rows = np.array([0, 1, 2, 5, 6, 9, 12, 19])
    whole = measure_mouth_motion(crops, rows)
    assert whole.shape == (7,)
    monkeypatch.setattr("pipeline.faces.mouths._CROPS_AT_ONCE", 3)
    assert measure_mouth_motion(crops, rows).tolist() == whole.tolist()
    assert measure_mouth_motion(crops, rows[:1]).shape == (0,)


def test_the_sound_changes_where_it_begins_and_ends():
    sound = np.zeros(32000, np.float32)
    sound[8000:24000] = np.random.default_rng(0).normal(0, 0.1, 16000)
    change = measure_sound_change([sound])
    assert change.values.shape == (200,)
    peaks = np.sort(np.argsort(change.values)[-8:])
    assert ((np.abs(peaks - 50) < 6) | (np.abs(peaks - 150) < 6)).all()
    assert change.sample(np.array([0.5])) > 10 * change.sample(np.array([1.9]))


def test_a_sound_read_in_blocks_is_the_same():
    sound = make_voice(make_opening(2, 50))
    whole = measure_sound_change([sound]).values
    blocks = measure_sound_change([sound[:1600], sound[1600:16000], np.empty(0, np.float32), sound[16000:]]).values
    assert blocks == pytest.approx(whole)


def test_only_speech_counts_where_it_is_asked_for():
    skip_without_packages()
    rng = np.random.default_rng(0)
    speech, bangs = make_vowel(2), np.zeros(2 * 16000, np.float32)
    for start in range(2000, len(bangs) - 1280, 8000):
        bangs[start : start + 1280] = rng.normal(0, 0.3, 1280) * np.hanning(1280)
    sound = np.concatenate([speech, bangs])
    plain, heard = measure_sound_change([sound]), measure_sound_change([sound], speech=SpeechListener())
    assert heard.values.shape == plain.values.shape
    (of_speech, of_bangs), (masked_speech, masked_bangs) = (
        (change.values[20:180].max(), change.values[230:].max()) for change in (plain, heard)
    )
    assert of_bangs > of_speech, "the bangs are what changes most"
    assert masked_speech > 1.5 * masked_bangs, "and speech is, for who listens to it"
    assert measure_sound_change([], speech=SpeechListener()).values.shape == (0,)


def test_nothing_to_go_by_agrees_with_nothing():
    assert measure_sound_change([]).values.shape == (0,)
    assert not measure_sound_change([np.zeros(4000, np.float32)]).values.any()
    sound = measure_sound_change([make_voice(make_opening(0, FRAMES))])
    motion = np.random.default_rng(0).random(FRAMES)
    assert measure_agreement(TIMES[:11], motion[:11], sound) == 0
    assert measure_agreement(TIMES, np.ones(FRAMES), sound) == 0
    assert measure_agreement(TIMES, motion, SoundChange(np.empty(0))) == 0


def test_least_squares():
    causes = np.random.default_rng(1).normal(0, 5, (50, 3))
    assert solve_least_squares(causes, causes @ [1.0, -2.0, 0.5]) == pytest.approx([1, -2, 0.5], abs=1e-4)
    assert solve_least_squares(np.zeros((5, 2)), np.ones(5)).tolist() == [0, 0]

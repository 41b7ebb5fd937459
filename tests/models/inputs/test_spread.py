"""Mean and deviation of frequencies, compared with NumPy over all frames at once."""

from dataclasses import replace

import numpy as np
import pytest

from models.inputs.clips import Clips
from models.inputs.plan import InputPlan
from models.inputs.spread import measure_frequencies, measure_rows
from tests.models.data import make_clips


@pytest.mark.parametrize("sound", ["stft", "log_magnitude"])
def test_mean_and_deviation_over_all_frames_of_labelled_clips(sound):
    clips = make_clips(20, stft_frames=30)
    rng = np.random.default_rng(0)
    tilt = 10.0 ** -np.linspace(0, 3, 257)[:, None]
    arrays = [(rng.normal(size=(10 + i, 257, 2)) * tilt).astype(np.float32) for i in range(20)]
    labels = clips.labels.copy()
    labels[4] = np.nan  # not learnt from
    plan = InputPlan(num_maps=1, num_frames=0, sound=sound)
    mean, scale = measure_frequencies(replace(clips, stft=[*arrays[:-1], None], labels=labels), plan)
    parts = []
    for array in [*arrays[:4], *arrays[5:-1]]:
        x = array.astype(np.float64)
        if sound == "log_magnitude":
            x = np.hypot(x[..., :1], x[..., 1:])
            x = 1 + np.log10(np.maximum(x / x.max(), 1e-4)) / 4
        parts.append((x - x.mean()) / np.abs(x).max())
    rows = np.concatenate(parts)  # (frames, 257, C)
    np.testing.assert_allclose(mean.numpy(), rows.mean(0).T, rtol=1e-4, atol=1e-6)
    deviation = rows.std(0).T
    np.testing.assert_allclose(scale.numpy(), 1 / np.maximum(deviation, 0.01 * deviation.mean()), rtol=1e-4)


def test_a_frequency_that_never_varies_is_not_blown_up():
    clips = make_clips(4, stft_frames=30)
    arrays = [array.copy() for array in clips.stft]
    for array in arrays:
        array[:, 200:] = 0
    _, scale = measure_frequencies(replace(clips, stft=arrays), InputPlan(1, 0, sound="log_magnitude"))
    assert (scale[:, 200:] <= 100.0001 * scale[:, :20].mean()).all()


def test_rows_of_another_feature():
    rng = np.random.default_rng(0)
    arrays = [np.tile([[0.3, 1.0, 0.0]], (n, 1)) + rng.normal(size=(n, 3)) * [0, 5, 1e-3] for n in (4, 9, 2)]
    clips = make_clips(3)
    labels = clips.labels.copy()
    labels[2] = np.nan
    made = replace(clips, stft=[array.astype(np.float32) for array in arrays], labels=labels)
    mean, scale = measure_rows(made)
    rows = np.concatenate(made.stft[:2]).astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), rows.mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(scale.numpy(), [1, *1 / rows.std(0)[1:]], rtol=1e-4)


def test_of_nothing_it_changes_nothing():
    clips = make_clips(2, stft_frames=30)
    for nothing in (replace(clips, stft=[None, None]), replace(clips, stft=[np.zeros((9, 257, 2), np.float32)] * 2)):
        mean, scale = measure_frequencies(nothing, InputPlan(1, 0))
        assert (mean == 0).all()
        assert (scale == 1).all()


def test_mapped_rows_are_sliced_and_then_leave_memory():
    done = []

    class Mapped(np.ndarray):
        def __getitem__(self, key):
            done.append("sliced")
            return np.array(super().__getitem__(key))

        def release_pages(self):
            done.append("released")

    rows = np.arange(8, dtype=np.float32).reshape(4, 2).view(Mapped)
    clips = Clips(["v/a"], np.zeros((1, 2), np.float32), [rows], [None], [None], 1.0)
    mean, _ = measure_rows(clips)
    assert (mean.tolist(), done) == ([3.0, 4.0], ["sliced", "released"])

from dataclasses import replace

import numpy as np
import pytest

from models.inputs.clips import Clips, count_rows, measure_embeddings
from tests.models.data import make_clips


def test_labelled_needs_both_labels():
    clips = make_clips(4)
    labels = clips.labels.copy()
    labels[1, 0], labels[2] = np.nan, np.nan
    assert replace(clips, labels=labels).find_labelled().tolist() == [True, False, False, True]
    assert make_clips(2, labelled=False).find_labelled().tolist() == [False, False]


def test_rows_are_counted():
    assert count_rows([None, np.zeros((0, 3)), np.zeros((7, 3))]).tolist() == [0, 0, 7]
    assert count_rows([]).tolist() == []


def test_empty_split():
    assert len(Clips([], None, [], [], [])) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros((2, 2))}, r"labels are \(2, 2\): 3 utterances need \(3, 2\)"),
        ({"stft": [None]}, r"stft has 1 entries for 3 utterances"),
        (
            {"stft": [None, np.zeros((257, 300, 2), np.float32), None]},
            r"stft of video1/utterance_1 are \(257, 300, 2\) float32: they must be \(N, 257, 2\) float32",
        ),
        ({"embeddings": [np.zeros((4, 512))] * 3}, r"embeddings of video0/utterance_0 are \(4, 512\) float64"),
        ({"crops": [np.zeros((4, 96, 112, 3), np.uint8)] * 3}, r"\(4, 96, 112, 3\) uint8: .* \(N, 112, 96, 3\) uint8"),
    ],
)
def test_wrong_arrays_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(make_clips(3), **change)


def test_embeddings_are_measured():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(3, 2, size=(n, 512)).astype(np.float32) for n in (4, 9)]
    mean, scale = measure_embeddings([arrays[0], None, arrays[1]])
    together = np.concatenate(arrays).astype(float)
    np.testing.assert_allclose(mean, together.mean(axis=0), rtol=1e-5)
    assert scale == pytest.approx(1 / together.std(axis=0).mean())


@pytest.mark.parametrize("arrays", [[], [None], [np.ones((3, 512), np.float32)]])
def test_embeddings_without_spread_are_not_scaled(arrays):
    mean, scale = measure_embeddings(arrays)
    assert scale == 1
    assert mean.dtype == np.float32

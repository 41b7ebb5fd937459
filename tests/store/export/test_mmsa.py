"""MMSA's pickle, number by number: averaged sound, thinned rows, padding, splits and labels."""

import math
import pickle

import numpy as np
import pytest

from store import FeatureStore
from store.errors import StoreError
from store.export.mmsa import export_mmsa
from store.labels import Label
from tests.store.stores import make_store

LENGTHS = {"v/a": (4000, 605), "v/b": (25, 2), "v/c": (10, 0), "w/d": (1, 1)}
LABELS = {
    "v/a": Label("train", 0.5, -0.25),
    "v/b": Label("train", -1.0, 0.75),
    "v/c": Label("validation", 0.0, 0.0),
    "w/d": Label("test", math.nan, math.nan),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmsa") / "store"
    make_store(folder, {"one": LENGTHS})
    return FeatureStore(folder)


def export(store, folder, **options):
    folder.mkdir(exist_ok=True)
    written = export_mmsa(store, folder, LABELS, **options)
    return written, pickle.loads((folder / "features.pkl").read_bytes())


def test_a_last_row_of_sound_is_the_mean_of_the_frames_that_are_left(store, tmp_path):
    train = export(store, tmp_path / "out")[1]["train"]
    assert train["audio_lengths"] == [300, 3]
    heard, level = train["audio"][1], np.log(1 + np.linalg.norm(store["v/b"].stft.astype(np.float64), axis=2))
    for row, frames in enumerate((level[:10], level[10:20], level[20:25])):
        np.testing.assert_allclose(heard[row], frames.mean(axis=0), rtol=1e-5)
    assert not heard[3:].any()


def test_a_long_utterance_is_thinned_evenly_from_its_first_row_to_its_last(store, tmp_path):
    """Of 605 rows, 300 are kept: the k-th is row 604 k / 299, to the nearest."""
    train = export(store, tmp_path / "out")[1]["train"]
    assert train["vision_lengths"] == [300, 2]
    kept = [math.floor(604 * k / 299 + 0.5) for k in range(300)]
    assert (kept[0], kept[1], kept[-1]) == (0, 2, 604)
    np.testing.assert_array_equal(train["vision"][0], store["v/a"].embeddings[kept])


def test_all_splits_have_one_length_and_only_labelled_utterances(store, tmp_path):
    written, content = export(store, tmp_path / "out")
    assert (written.count, written.empty) == (3, {"vision": 1})
    assert {split: part["id"] for split, part in content.items()} == {"train": ["v$_$a", "v$_$b"], "valid": ["v$_$c"]}
    assert {(part["audio"].shape[1:], part["vision"].shape[1:]) for part in content.values()} == {
        ((300, 257), (300, 512))
    }
    assert content["valid"]["vision_lengths"] == [1], "MMSA divides by lengths"


@pytest.mark.parametrize(
    ("label", "values", "classes", "words"),
    [
        ("valence", [-0.25, 0.75], [0, 2], ["Negative", "Positive"]),
        ("arousal", [0.5, -1.0], [2, 0], ["Positive", "Negative"]),
    ],
)
def test_the_label_that_is_asked_for_is_the_one_to_learn(store, tmp_path, label, values, classes, words):
    content = export(store, tmp_path / "out", label=label)[1]
    train, valid = content["train"], content["valid"]
    assert train["regression_labels"].tolist() == values
    assert train["classification_labels"].tolist() == classes
    assert train["annotations"] == words
    assert (train["arousal"].tolist(), train["valence"].tolist()) == ([0.5, -1.0], [-0.25, 0.75])
    assert (valid["classification_labels"].tolist(), valid["annotations"]) == ([1], ["Neutral"])


def test_without_labels_or_with_an_unknown_feature_nothing_is_written(store, tmp_path):
    with pytest.raises(StoreError, match="MMSA needs splits and labels, but no utterance of"):
        export_mmsa(store, tmp_path, dict.fromkeys(LABELS, Label("test", math.nan, math.nan)))
    with pytest.raises(StoreError, match="--vision stft must be one of sphereface20"):
        export_mmsa(store, tmp_path, LABELS, vision=("stft",))
    with pytest.raises(StoreError, match="--audio sphereface20 must be one of stft"):
        export_mmsa(store, tmp_path, LABELS, audio="sphereface20")
    assert list(tmp_path.iterdir()) == []

"""What the exports share: splits and labels beside the rows."""

import csv
import math

import pytest

from store.catalog.feature_store import FeatureStore
from store.export.rows import label_cells, list_label_columns, read_rows, write_csv, write_labels
from store.labels import Label

LABELS = {
    "v/a": Label("train", 0.5, -0.25, {"speaker": "Anna"}),
    "v/b": Label("test", math.nan, math.nan, {"room": "=1+1"}),
}


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_columns_are_those_of_all_labels_and_what_is_not_known_is_empty():
    columns = list_label_columns(LABELS)
    assert columns == ["split", "arousal", "valence", "speaker", "room"]
    assert label_cells(LABELS["v/a"], columns) == ["train", 0.5, -0.25, "Anna", ""]
    assert label_cells(LABELS["v/b"], columns) == ["test", "", "", "", "=1+1"]
    assert label_cells(Label(), ["split", "arousal"]) == ["", ""]


def test_labels_are_written_without_a_formula_and_with_keys_where_asked_for(tmp_path):
    write_labels(tmp_path / "labels.csv", LABELS, ["v/b", "w/a"])
    assert read(tmp_path / "labels.csv") == [
        ["utterance", "split", "arousal", "valence", "speaker", "room"],
        ["v/b", "test", "", "", "", "'=1+1"],
        ["w/a", "", "", "", "", ""],
    ]
    write_labels(tmp_path / "keys.csv", {"v/a": Label("train", 1.0, 0.0)}, ["v/a"], {"v/a": "v:a:"})
    assert read(tmp_path / "keys.csv") == [
        ["utterance", "key", "split", "arousal", "valence"],
        ["v/a", "v:a:", "train", "1.0", "0.0"],
    ]


def test_a_file_that_cannot_be_finished_is_not_there(tmp_path):
    def rows():
        yield ["one"]
        raise KeyError("gone")

    with pytest.raises(KeyError):
        write_csv(tmp_path / "a.csv", ["head"], rows())
    assert list(tmp_path.iterdir()) == []


def test_rows_are_those_of_the_store_and_none_where_there_are_none(store):
    clips = FeatureStore(store[0])
    assert read_rows(clips["v/a"], "embeddings", "embedding").shape == (5, 512)
    assert read_rows(clips["v/b"], "embeddings", "embedding") is None, "a clip without a face"
    assert read_rows(clips["v/a"], "pixels", "start") is None, "a stage that is not there"

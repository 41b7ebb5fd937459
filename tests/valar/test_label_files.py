"""Labels of CSV files for the store's commands, read as a run reads them."""

import math

import pytest

from store.errors import StoreError
from store.labels import Label
from valar.label_files import read_label_files


def test_labels_are_read_with_their_split_and_rows_left_out_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("video,utterance,arousal,valence\nv,1.mp4,0.5,-0.5\nv,2.mp4,,\n,,1,\n")
    (tmp_path / "b.csv").write_text("video,utterance\nw,1.mp4\n")
    labels, told = read_label_files({"train": tmp_path / "a.csv", "test": tmp_path / "b.csv"})
    assert labels["v/1"] == Label("train", 0.5, -0.5)
    assert labels["w/1"].split == "test"
    assert math.isnan(labels["w/1"].arousal)
    assert any("a.csv:4: row left out" in line for line in told)


def test_a_file_of_no_use_is_the_store_s_own_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("video,arousal\nv,0.5\n")
    with pytest.raises(StoreError, match=r"a\.csv:1: column utterance is missing"):
        read_label_files({"train": tmp_path / "a.csv"})

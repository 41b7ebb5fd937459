"""A store's clips as a PyTorch data set."""

import csv
import os
import re

import numpy as np
import pytest
import torch

import valar
from store import StoreError
from store.layout import shard_path
from store.records.listings import Listing
from tests.store.shard.test_reader import write_stft


@pytest.fixture
def folder(tmp_path):
    """A store of three clips, in two splits; one of them has no label, and none has a face."""
    store = tmp_path / "store"
    lengths = {"v/a": 5, "v/b": 2, "v/c": 0}
    write_stft(shard_path(store, "stft", "f1", "51"), lengths)
    shards = dict.fromkeys(lengths, "51")
    Listing("runs-1", {"stft": "f1"}, shards, dict.fromkeys(shards, (1, 2)), runs=str(tmp_path)).write(store)
    rows = [("v/a", "train", 0.25, -0.5), ("v/b", "train", "", ""), ("v/c", "validation", 0, 1)]
    with (tmp_path / "ledger.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("utterance", "split", "arousal", "valence"), *rows])
    return store


def test_a_batch_is_padded_and_says_what_is_real(folder):
    clips = valar.dataset(folder, split="train")
    (batch,) = torch.utils.data.DataLoader(clips, batch_size=2, collate_fn=clips.collate)
    assert batch["names"] == ["v/a", "v/b"]
    assert batch["stft"].shape == (2, 5, 257, 2)
    assert batch["stft_mask"].tolist() == [[True] * 5, [True] * 2 + [False] * 3]
    np.testing.assert_array_equal(batch["stft"][1, :2], valar.open(folder)["v/b"].stft)
    assert not batch["stft"][1, 2:].any()
    assert batch["embeddings"].shape == (2, 0, 512)
    assert batch["labels"][0].tolist() == [0.25, -0.5]
    assert batch["labels_mask"].tolist() == [True, False]


def test_splits_are_those_of_the_run(folder):
    assert len(valar.dataset(folder)) == 3
    clips = valar.dataset(valar.open(folder), split="validation")
    assert clips.names == ["v/c"]
    assert clips[0]["stft"].shape == (0, 257, 2)
    assert repr(clips) == f"<ClipDataset of {folder}, split validation: 1 clip, 1 with labels>"
    with pytest.raises(StoreError, match="no clip in the split 'test'; it must be one of train, validation"):
        valar.dataset(folder, split="test")


def test_labels_that_are_lost_with_the_folder_of_runs_are_told(folder, tmp_path):
    (tmp_path / "ledger.csv").rename(tmp_path / "moved.csv")
    sentence = re.escape(f"splits and labels are in {tmp_path / 'ledger.csv'}, which does not exist; put the folder")
    with pytest.raises(StoreError, match=f"no clip in the split 'train'; {sentence}"):
        valar.dataset(folder, split="train")
    with pytest.warns(UserWarning, match=sentence):
        clips = valar.dataset(folder)
    assert len(clips) == 3


def test_a_ledger_counts_only_where_its_run_says_something_of_a_clip(folder, tmp_path):
    shards = dict.fromkeys(("v/a", "v/b"), "51")
    older = Listing("runs-0", {"stft": "f1"}, shards, dict.fromkeys(shards, (1, 2)), runs=str(tmp_path / "gone"))
    os.utime(older.write(folder), (1, 1))
    assert valar.open(folder).find_missing_ledgers() == []
    assert len(valar.dataset(folder, split="train")) == 2

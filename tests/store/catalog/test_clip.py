"""One utterance of a store: what it says of itself, and of stages and features that are not there."""

import numpy as np
import pytest

from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.errors import StoreError, UtteranceNotFoundError
from store.records.listings import Listing


def test_it_says_what_is_there_and_what_is_not_ok(store):
    clip = FeatureStore(store[0])["v/b"]
    assert repr(clip) == (
        "<Clip v/b: rows of wav 3200, stft 20, frames 20, faces 0, crops 0, embeddings 0; faces: no_face; "
        "crops: no_face; embeddings: no_face>"
    )
    assert clip.messages["faces"] == "no face of 40 pixels or more in 20 frames"
    assert clip.source_sha256 == b"v/b".hex().rjust(64, "0")


def test_a_row_is_the_same_face_in_each_stage(store):
    clip = FeatureStore(store[0])["v/a"]
    assert {len(rows) for rows in (clip.embeddings, clip.crops, clip.boxes, clip.landmarks, clip.face_times)} == {5}
    np.testing.assert_array_equal(clip.face_times, np.arange(5) / 25)


def test_a_stage_that_has_not_been_there_is_named(store):
    listing = Listing("runs-1", {"stft": "b1", "faces": "d1"}, {"v/a": "5a"}, {"v/a": (1, 1)})
    asked = []

    def open_shard(stage, shard, of):
        asked.append((stage, shard, of))

    clip = Clip(open_shard, "v/a", listing)
    with pytest.raises(UtteranceNotFoundError, match="v/a has no rows of the stage stft in this store"):
        _ = clip.stft
    assert asked == [("stft", "5a", listing)]
    assert clip.status == {}
    assert clip.source_sha256 == ""
    with pytest.raises(StoreError, match="the run runs-1 has no feature 'mini'; it has none"):
        clip.feature("mini")

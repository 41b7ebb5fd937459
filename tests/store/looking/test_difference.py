"""What differs between two stores."""

import shutil

from store.catalog.feature_store import FeatureStore
from store.layout import shard_path
from store.looking.difference import Difference, compare_stores, render_differences
from tests.store.stores import FINGERPRINTS, make_store, write_shard


def test_equal_stores_differ_in_nothing(store, tmp_path):
    shutil.copytree(store[0], tmp_path / "other")
    found = compare_stores(FeatureStore(store[0]), FeatureStore(tmp_path / "other"))
    assert found == []
    assert render_differences(found, 1) == "no difference; 1 utterance in both"


def test_clips_of_one_store_alone_and_other_lengths_are_named(store, tmp_path):
    make_store(tmp_path / "other", {"one": {"v/a": (30, 5), "v/b": (20, 0)}, "three": {"x/a": (10, 3)}})
    shard = FeatureStore(tmp_path / "other")["v/a"].shard
    path = shard_path(tmp_path / "other", "faces", FINGERPRINTS["faces"], shard)
    for part in path.parent.glob(f"{shard}.h5*"):
        part.unlink()
    write_shard(tmp_path / "other", "faces", shard, {"v/a": (30, 4), "v/b": (20, 0)})
    found = compare_stores(FeatureStore(store[0]), FeatureStore(tmp_path / "other"))
    assert found == [
        Difference("", "w/a", "missing", "it is there", "it is missing"),
        Difference("", "x/a", "missing", "it is missing", "it is there"),
        Difference("faces", "v/a", "length", "5", "4"),
    ]
    assert render_differences(found, 2).splitlines() == [
        "w/a: missing: it is there / it is missing",
        "x/a: missing: it is missing / it is there",
        "faces: v/a: length: 5 / 4",
        "3 differences (2 in the listing, 1 in faces); 2 utterances in both",
    ]
    assert found[2].as_dict() == {"stage": "faces", "utterance": "v/a", "what": "length", "first": "5", "second": "4"}


def test_names_steer_no_terminal():
    assert str(Difference("faces", "v/\x1b[2J", "length", "5", "4")) == "faces: v/\\x1b[2J: length: 5 / 4"

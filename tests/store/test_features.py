"""Declared features in a store: their schema, and what is made of their rows when shards are merged or set aside."""

import numpy as np
import pytest

from store import FeatureStore
from store.errors import StoreError
from store.features import find_schema, is_feature, order_stages
from store.layout import find_stage_sets, shard_path
from store.records.listings import Listing
from store.schema import SCHEMAS
from store.shard.reader import Shard
from store.shard.writer import ShardWriter
from store.tending.compact import compact_store, plan_merges
from store.tending.repair import is_made_from, set_aside
from store.tending.verify import verify_store
from tests.store.stores import SHARDS, digest, make_store


def write_feature(root, stage, shard, clips, width, fingerprint="fe01"):
    path = shard_path(root, stage, fingerprint, shard)
    with ShardWriter(path, stage=stage, shard=shard, fingerprint=fingerprint, provenance={}, width=width) as writer:
        for name, (_, length) in clips.items():
            with writer.utterance(name, source_sha256=digest(name)) as rows:
                rows.append(time=np.arange(length) / 25, value=np.full((length, width), sum(name.encode())))
    return path


@pytest.fixture
def store(tmp_path):
    """A store whose run also lists a feature of 7 numbers a face."""
    assigned = make_store(tmp_path)
    for clips in SHARDS.values():
        write_feature(tmp_path, "face_mini", assigned[next(iter(clips))], clips, 7)
    path = tmp_path / "roots" / "runs-1.json"
    listing = Listing.read(path)
    Listing(**{**vars(listing), "fingerprints": {**listing.fingerprints, "face_mini": "fe01"}}).write(tmp_path, path)
    return tmp_path


def test_only_names_of_the_two_kinds_are_features():
    assert [stage for stage in SCHEMAS if is_feature(stage)] == []
    for name in ("face_", "face_A", "face_a-b", "sound_../x", "face_" + "a" * 41, "sounds_a", "xface_a", "face_1"):
        assert not is_feature(name), name
        assert find_schema(name) is None
    assert order_stages(["sound_b", "embeddings", "face_a", "wav", "gait"]) == [
        "wav",
        "embeddings",
        "face_a",
        "sound_b",
    ]


def test_rows_come_back_and_a_feature_that_is_not_there_is_named(store):
    opened = FeatureStore(store)
    np.testing.assert_array_equal(opened["v/a"].feature("mini"), np.full((5, 7), sum(b"v/a"), np.float32))
    np.testing.assert_array_equal(opened["v/a"].feature_times("mini"), np.arange(5) / 25)
    with pytest.raises(StoreError, match="has no feature 'other'; it has mini"):
        opened["v/a"].feature("other")
    assert list(verify_store(store)) == []


def test_a_width_is_needed_to_write_and_one_of_no_numbers_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs the width of its rows"):
        write_feature(tmp_path, "face_mini", "aa", {"v/a": (1, 2)}, 0)
    path = write_feature(tmp_path, "face_mini", "aa", {"v/a": (1, 0)}, 3)
    assert Shard(path).schema.rows[1].shape == (3,)
    with pytest.raises(ValueError, match="no stage is called"):
        write_feature(tmp_path, "face_Mini", "aa", {"v/a": (1, 2)}, 3)


def test_a_file_under_another_features_name_is_told(store):
    path = next((store / "face_mini").glob("*/*.h5"))
    target = store / "sound_mini" / "fe01" / path.name
    target.parent.mkdir(parents=True)
    for end in ("", ".sums"):
        (target.parent / (path.name + end)).write_bytes((path.parent / (path.name + end)).read_bytes())
    (fault,) = verify_store(store)
    assert "it says that it is face_mini/fe01" in fault.message


def test_merging_keeps_the_width(store):
    before = {name: FeatureStore(store)[name].feature("mini").copy() for name in ("v/a", "w/a")}
    compact_store(store, plan_merges(store, 10))
    opened = FeatureStore(store)
    assert len(set(opened.listing.shards.values())) == 1
    for name, rows in before.items():
        np.testing.assert_array_equal(opened[name].feature("mini"), rows)
    assert list(verify_store(store)) == []


def test_damage_sets_a_feature_aside_with_what_it_is_made_from(store):
    path = next((store / "faces").glob("*/*.h5"))
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    moved = {item.split("/")[0] for item in set_aside(store, list(verify_store(store))).moved}
    assert {"faces", "embeddings", "face_mini"} <= moved
    assert any(found.stage == "face_mini" and found.shards for found in find_stage_sets(store))  # the other shard's
    assert is_made_from("sound_x", "wav")
    assert not is_made_from("sound_x", "faces")
    assert not is_made_from("face_x", "embeddings")

"""A whole store by utterance."""

import importlib.util
import os

import numpy as np
import pytest

from store import FeatureStore, StoreError, UtteranceNotFoundError
from store.layout import shard_path
from store.looking.description import describe_utterance, explain_utterance
from store.records.listings import Listing
from tests.store.shard.test_reader import write_stft
from tests.store.stores import write_shard


def make_store(folder):
    write_stft(shard_path(folder, "stft", "f1", "51"), {"v/a": 5, "v/b": 2})
    write_stft(shard_path(folder, "stft", "f1", "52"), {"w/a": 3}, shard="52")
    shards = {"v/a": "51", "v/b": "51", "w/a": "52"}
    root = Listing(
        "runs-1", {"stft": "f1", "embeddings": "e1"}, shards, dict.fromkeys(shards, (10, 20)), frozenset({"w/a"})
    )
    root.write(folder)
    return root


def test_a_root_comes_back(tmp_path):
    root = make_store(tmp_path)
    assert Listing.read(tmp_path / "roots" / "runs-1.json") == root


def test_a_clip_by_name(tmp_path):
    make_store(tmp_path)
    store = FeatureStore(tmp_path)
    assert len(store) == 3
    assert list(store) == ["v/a", "v/b", "w/a"]
    np.testing.assert_array_equal(store["v/b"].stft[:, 0, 0], [1000, 1001])
    assert store["w/a"].status == {"stft": "ok"}
    assert store["w/a"].source_sha256 == "a" * 64


def test_a_stage_that_is_not_there_is_named(tmp_path):
    make_store(tmp_path)
    with pytest.raises(UtteranceNotFoundError, match="v/a has no rows of the stage embeddings"):
        _ = FeatureStore(tmp_path)["v/a"].embeddings


def test_a_missing_name_gets_the_nearest(tmp_path):
    make_store(tmp_path)
    with pytest.raises(KeyError, match=r"'v/c' is not among the 3 utterances .* the nearest names are v/") as caught:
        FeatureStore(tmp_path)["v/c"]
    assert isinstance(caught.value, StoreError)


def test_a_name_without_its_video_or_with_its_file_s_ending_is_found_where_it_is_clear(tmp_path):
    make_store(tmp_path)
    store = FeatureStore(tmp_path)
    for name in ("b", "b.mp4", "v/b", "v/b.flv"):
        assert store[name].name == "v/b", name
    assert "in the shard 51" in explain_utterance(tmp_path, "b.mp4")[0]
    with pytest.raises(KeyError, match=r"'a.mp4' is not among .*; the nearest names are v/a, w/a"):
        _ = store["a.mp4"]
    with pytest.raises(TypeError, match=r"a clip is found by its name, .*; 3 is not a name"):
        _ = store[3]
    with pytest.raises(KeyError, match=r"'' is not among the 3 utterances of [^;]*$"):
        _ = store[""]


def test_the_newest_run_counts_unless_one_is_named(tmp_path):
    make_store(tmp_path)
    path = Listing("runs-2", {"stft": "f1"}, {"v/a": "51"}, {"v/a": (1, 2)}).write(tmp_path)
    os.utime(path, (2**31, 2**31))
    assert list(FeatureStore(tmp_path, run="runs-2")) == ["v/a"]
    assert FeatureStore(tmp_path)["v/a"].listing.run == "runs-2"
    assert len(FeatureStore(tmp_path, run="runs-1")) == 3


def test_what_any_run_lists_is_found_each_clip_under_its_own_run_and_settings(tmp_path):
    make_store(tmp_path)
    write_shard(tmp_path, "stft", "53", {"folder/c": (4, 0)}, fingerprint="f2")
    (tmp_path / "runs").mkdir()
    ledger = "utterance,split,sound,picture,arousal,valence\nv/a,train,ok,ok,0.5,-0.25\n"
    (tmp_path / "runs" / "ledger.csv").write_text(ledger)
    path = Listing("runs-2", {"stft": "f1"}, {"v/a": "51"}, {"v/a": (1, 2)}, runs=str(tmp_path / "runs")).write(
        tmp_path
    )
    os.utime(path, (2**31, 2**31))
    Listing("predict-folder-1", {"stft": "f2"}, {"folder/c": "53"}, {"folder/c": (7, 8)}).write(tmp_path)
    store = FeatureStore(tmp_path)
    assert list(store) == ["folder/c", "v/a", "v/b", "w/a"]
    assert [store[name].listing.run for name in store] == ["predict-folder-1", "runs-2", "runs-1", "runs-1"]
    assert store["folder/c.mp4"].stft.shape == (4, 257, 2)
    assert {name: label.split for name, label in store.list_labels().items()} == {
        "folder/c": "unlabelled",
        "v/a": "train",
        "v/b": "",
        "w/a": "",
    }
    assert [row["stft_length"] for row in store.list_utterances()] == [4, 5, 2, 3]
    assert "4 utterances of the run runs-2 and 2 more" in repr(store)
    (description := describe_utterance(store, "folder/c"))
    assert (description["run"], description["source"]["bytes"]) == ("predict-folder-1", 7)
    assert explain_utterance(tmp_path, "folder/c")[0] == "folder/c is in the shard 53 of the run predict-folder-1"


def test_a_prediction_does_not_hide_the_data_set(tmp_path):
    make_store(tmp_path)
    path = Listing("predict-1", {"stft": "f1"}, {"v/a": "51"}, {"v/a": (1, 2)}).write(tmp_path)
    os.utime(path, (2**31, 2**31))
    assert len(FeatureStore(tmp_path)) == 3
    assert len(FeatureStore(tmp_path, run="predict-1")) == 1


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds no listing; check the path"):
        FeatureStore(tmp_path)


def test_a_damaged_root_is_named(tmp_path):
    make_store(tmp_path)
    (tmp_path / "roots" / "runs-1.json").write_text('{"format_version": 1, "utterances": [')
    with pytest.raises(StoreError, match=r"runs-1\.json is damaged"):
        FeatureStore(tmp_path)


def test_the_table_of_utterances(tmp_path):
    make_store(tmp_path)
    store = FeatureStore(tmp_path)
    table = store.list_utterances()
    assert table[1] == {
        "utterance": "v/b",
        "shard": "51",
        "source_sha256": "a" * 64,
        "stft_status": "ok",
        "stft_length": 2,
        "stft_message": "",
    }
    if importlib.util.find_spec("pandas"):
        assert store.utterances().to_dict("records") == table
    else:
        assert store.utterances() == table


def test_finding_a_clip_opens_no_file(tmp_path, monkeypatch):
    make_store(tmp_path)
    store = FeatureStore(tmp_path)
    monkeypatch.setattr("store.catalog.feature_store.Shard", None)
    assert store["v/a"].shard == "51"


def test_a_store_of_copies_reads_the_same(tmp_path):
    make_store(tmp_path)
    rows = FeatureStore(tmp_path, mapped=False)["v/b"].stft
    np.testing.assert_array_equal(rows[:, 0, 0], [1000, 1001])
    assert not isinstance(rows.base, np.memmap)


def test_a_bounded_number_of_shards_stays_open_and_views_stay_valid(tmp_path, monkeypatch):
    make_store(tmp_path)
    monkeypatch.setattr("store.catalog.feature_store._MOST_OPEN", 1)
    store = FeatureStore(tmp_path)
    first = store["v/b"].stft
    assert len(store["w/a"].stft) == 3
    assert list(store._shards) == [("stft", "f1", "52")]
    np.testing.assert_array_equal(first[:, 0, 0], [1000, 1001])
    np.testing.assert_array_equal(store["v/b"].stft, first)

"""A clip by the name of its file; splits and labels beside the features; what a store says of itself."""

import importlib.util
import math
import sys
from dataclasses import replace

import pytest

from store import FeatureStore, StoreError
from store.looking.description import describe_utterance, explain_utterance
from store.records.listings import Listing
from tests.store.catalog.test_feature_store import make_store

LEDGER = "utterance,split,sound,picture,arousal,valence\nv/a,train,ok,ok,0.5,-1.0\nv/b,test,ok,ok,,\n"


@pytest.fixture
def store(tmp_path):
    """Three clips; the ledger of their run tells of two."""
    listing = make_store(tmp_path / "store")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ledger.csv").write_text(LEDGER, encoding="utf-8")
    replace(listing, runs=str(tmp_path / "runs")).write(tmp_path / "store")
    return FeatureStore(tmp_path / "store")


def test_a_clip_is_found_by_the_name_of_its_file(store):
    assert store["v/a.flv"].name == store["v/a"].name == "v/a"
    assert describe_utterance(store, "v/a.flv") == describe_utterance(store, "v/a")
    assert explain_utterance(store.folder, "v/a.flv") == explain_utterance(store.folder, "v/a")
    assert "does not list" not in explain_utterance(store.folder, "v/a.flv")[0]
    with pytest.raises(KeyError, match=r"'v/c\.flv' is not among the 3 utterances"):
        store["v/c.flv"]


def test_a_name_with_a_dot_is_not_taken_for_another(tmp_path):
    listing = make_store(tmp_path)
    shards = {"v/take_1": "51", "v/take_1.5": "52"}
    Listing(listing.run, {"stft": "f1"}, shards, dict.fromkeys(shards, (1, 2))).write(tmp_path)
    assert FeatureStore(tmp_path)["v/take_1.5"].shard == "52"
    assert FeatureStore(tmp_path)["v/take_1.5.mp4"].shard == "52"


def test_the_table_joins_features_with_split_and_labels(store):
    table = store.to_frame().set_index("clip")
    assert list(table.index) == ["v/a", "v/b", "w/a"]
    assert list(table.split) == ["train", "test", ""]
    assert table.loc["v/a", ["arousal", "valence", "stft_status", "stft_length"]].tolist() == [0.5, -1.0, "ok", 5]
    assert table.arousal.isna().tolist() == [False, True, True]


def test_further_columns_of_the_csv_never_replace_the_tables_own(store, tmp_path):
    head = "utterance,split,arousal,valence,clip,speaker,stft_status"
    (tmp_path / "runs" / "ledger.csv").write_text(f"{head}\nv/a,train,0.5,-1,other,anna,none\n", encoding="utf-8")
    row = store.to_frame().iloc[0]
    assert row[["clip", "speaker", "stft_status"]].tolist() == ["v/a", "anna", "ok"]


def test_a_ledger_of_an_earlier_release_has_splits_and_no_labels(store, tmp_path):
    (tmp_path / "runs" / "ledger.csv").write_text("utterance,split\nv/a,train\n", encoding="utf-8")
    label = store.list_labels()["v/a"]
    assert label.split == "train"
    assert math.isnan(label.arousal)


HEAD = "utterance,split,arousal,valence\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has no columns called utterance; it must have one"),
        (b"a,b\n1,2\n", "it has no columns called utterance"),
        (b"utterance,arousal\nv/a,0\n", "it has no columns called split"),
        (b"utterance,split,split\nv/a,train,test\n", "it has 2 columns called split"),
        (bytes(range(256)), "its byte 128 is not UTF-8"),
        ((HEAD + "v/a,train,0,0\n").encode("utf-16"), "its byte 0 is not UTF-8"),
        (HEAD + "v/a,tr\0ain,0,0\n", "the split in line 2 is 'tr\\x00ain'"),
        (HEAD + f"v/a,{'x' * 101},0,0\n", "it must be text of at most 100 characters"),
        (HEAD + f"v/a,{'x' * 200_000},0,0\n", "field larger than field limit"),
        (HEAD + "v/b,train,0,0\nv/a\n", "line 3 does not have 4 cells, as the first line has"),
        (HEAD + "v/a,train,0,0,5,6\n", "line 2 does not have 4 cells"),
        (HEAD + "v/a,train,0,0\nv/a,test,0,0\n", "line 3 lists v/a a second time"),
        *(
            (HEAD + f"v/a,train,0,{cell}\n", f"the valence in line 2 is '{cell}'; it must be a number from -1 to 1")
            for cell in ("nan", "inf", "-1.01", "high", "=1+1", "1e999")
        ),
    ],
)
def test_a_damaged_ledger_is_one_sentence(store, tmp_path, content, said):
    ledger = tmp_path / "runs" / "ledger.csv"
    ledger.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StoreError) as caught:
        store.list_labels()
    assert str(caught.value).startswith(f"{ledger} is damaged (")
    assert said in str(caught.value)
    assert str(caught.value).endswith("); remove it; the next run writes it again")


def test_what_a_spreadsheet_makes_of_a_ledger_is_read(store, tmp_path):
    """It puts a mark first; Valar's own guard before a formula is taken away again."""
    text = "\ufeffutterance,split,arousal,valence,who\r\nv/a,'=1+1,1,-1,'@me\r\n"
    (tmp_path / "runs" / "ledger.csv").write_bytes(text.encode())
    label = store.list_labels()["v/a"]
    assert (label.split, label.arousal, label.valence, label.more) == ("=1+1", 1, -1, {"who": "@me"})


def test_without_pandas_the_table_says_what_to_do(store, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    with pytest.raises(StoreError, match="to_frame needs pandas: pip install pandas"):
        store.to_frame()


def test_store_and_clip_say_what_they_are(store):
    assert repr(store) == f"<FeatureStore {store.folder}: 3 utterances of the run runs-1; embeddings, stft>"
    assert repr(store["v/a"]) == "<Clip v/a: rows of stft 5>"

import json

import pytest

from store import overview
from store.json_files import parse_json
from store.layout import shard_path
from store.overview import list_stage_sets
from store.shard.reader import Shard
from store.tables import Counts, Table, counts_path, find_remembered, read_counts, read_tables, remember, tables_path
from store.tending.erase import erase
from store.tending.garbage import find_garbage, remove_garbage
from store.tending.verify import verify_store
from tests.store.stores import FINGERPRINTS, SHARDS, digest, write_shard


@pytest.fixture
def root(store):
    return store[0]


@pytest.fixture
def one(store):
    return store[1]["v/a"]


@pytest.fixture
def two(store):
    return store[1]["w/a"]


def remember_all(root):
    for stage in ("wav", "stft", "faces", "embeddings"):
        remember(root, stage, FINGERPRINTS[stage], with_tables=stage in ("stft", "embeddings"))


def test_what_is_remembered_is_what_the_shards_say(root, one, two):
    remember_all(root)
    counts = read_counts(root, "stft", FINGERPRINTS["stft"])
    assert {shard: found for shard, (_, found) in counts.items()} == {
        one: Counts(2, 0, 50, 0),
        two: Counts(1, 0, 10, 0),
    }
    tables = read_tables(root, "stft", FINGERPRINTS["stft"])
    assert tables[one][1].names == ("v/a", "v/b")
    assert tables[one][1].fact("v/b", "length") == 20
    assert tables[one][1].fact("v/b", "source_sha256") == digest("v/b")
    assert "w/a" not in tables[one][1]
    assert tables[two][1] == Table.of(Shard(shard_path(root, "stft", FINGERPRINTS["stft"], two)))
    assert not list(verify_store(root)), "it is no stranger in the store"


def test_ls_says_the_same_and_opens_one_file_a_set(root, monkeypatch):
    before = list_stage_sets(root)
    remember_all(root)
    opened = []
    monkeypatch.setattr(overview, "Shard", lambda path: opened.append(path) or Shard(path))
    assert list_stage_sets(root) == before
    sets = [path.parent for path in opened]
    assert sets.count(root / "stft" / FINGERPRINTS["stft"]) == 1, "for its settings"


def test_a_shard_that_was_made_anew_is_seen(root, one, two):
    remember_all(root)
    path = shard_path(root, "stft", FINGERPRINTS["stft"], two)
    path.unlink()
    write_shard(root, "stft", two, {"w/a": (77, 3)})
    (stft,) = [found for found in list_stage_sets(root) if found.stage == "stft"]
    assert stft.rows == 50 + 77
    remember_all(root)
    assert read_tables(root, "stft", FINGERPRINTS["stft"])[two][1].fact("w/a", "length") == 77
    path.unlink()
    remember_all(root)
    assert list(read_counts(root, "stft", FINGERPRINTS["stft"])) == [one]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format_version":2,"shards":{}}',
        '{"format_version":1,"shards":{"one":[1,2,3]}}',
        '{"format_version":1,"shards":{"one":{"stamp":[1,2],"id":["a"],"status":[],"message":[],"length":[]}}}',
    ],
)
def test_what_is_damaged_counts_as_missing(root, one, two, text):
    before = list_stage_sets(root)
    fingerprint = FINGERPRINTS["stft"]
    counts_path(root, "stft", fingerprint).write_text(text, encoding="utf-8")
    tables_path(root, "stft", fingerprint).write_text(text, encoding="utf-8")
    assert read_counts(root, "stft", fingerprint) == {}
    assert read_tables(root, "stft", fingerprint) == {}
    assert list_stage_sets(root) == before
    remember(root, "stft", fingerprint, with_tables=True)
    assert read_counts(root, "stft", fingerprint).keys() == {one, two}


@pytest.mark.parametrize(("column", "value"), [("length", "20"), ("status", "fine"), ("id", 3), ("message", None)])
def test_a_table_with_strange_values_counts_as_missing(root, one, column, value):
    fingerprint = FINGERPRINTS["stft"]
    remember(root, "stft", fingerprint, with_tables=True)
    path = tables_path(root, "stft", fingerprint)
    said = parse_json(path.read_bytes())
    said["shards"][one][column][0] = value
    path.write_text(json.dumps(said), encoding="utf-8")
    assert read_tables(root, "stft", fingerprint) == {}


def test_erase_leaves_no_name_behind(root):
    remember_all(root)
    assert b"v/a" in tables_path(root, "stft", FINGERPRINTS["stft"]).read_bytes()
    erase(root, ["v/a"])
    assert not find_remembered(root)


def test_gc_removes_what_is_remembered_of_a_set_that_goes(root, one):
    write_shard(root, "stft", one, SHARDS["one"], "dead")
    remember(root, "stft", "dead", with_tables=True)
    remember_all(root)
    remove_garbage(root, find_garbage(root))
    assert not (root / "stft" / "dead").exists()
    assert {path.name.split(".")[1] for path in find_remembered(root) if path.parent.name == "stft"} == {
        FINGERPRINTS["stft"]
    }

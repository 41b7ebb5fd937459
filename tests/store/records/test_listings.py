"""A run's listing: read as written, and refused in words where it says what no listing may say."""

import json

import pytest

from store import FeatureStore
from store.errors import LaterFormatError, StoreError
from store.records.listings import Listing, read_listings

LISTING = Listing(
    "runs-1", {"stft": "b1"}, {"v/a": "51", "v/b": "51", "w/a": "52"}, dict.fromkeys(("v/a", "v/b", "w/a"), (10, -20))
)


def change(tmp_path, **changes):
    path = LISTING.write(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def test_a_listing_comes_back(tmp_path):
    for name in ("b", "a"):
        Listing(name, {}, {}, {}, runs="/runs/ü").write(tmp_path)
    assert Listing.read(LISTING.write(tmp_path)) == LISTING
    assert [listing.run for listing in read_listings(tmp_path)] == ["a", "b", "runs-1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": "/etc/passwd"}, "'/etc/passwd' is not a valid name of a run: it must be a plain file name"),
        ({"run": "../x"}, "is not a valid name of a run"),
        ({"run": ".hidden"}, "is not a valid name of a run"),
        ({"run": "a\nb"}, r"'a\\nb' is not a valid name of a run"),
        ({"run": 5}, "a int is not a valid name of a run"),
        ({"utterances": ["../../x", "v/b", "w/a"]}, r"'\.\./\.\./x' is not a valid name of an utterance"),
        ({"utterances": ["v/a", "v/a", "w/a"]}, "it lists an utterance twice"),
        ({"utterances": "abc"}, "utterances is 'abc', it must be a list"),
        (
            {"shards": ["../../x", "52"]},
            r"'\.\./\.\./x' is not a valid name of an id: it must be 1 to 64 of the digits",
        ),
        ({"shard": [0, 0, 2]}, "it names shard number 2 of 2, counted from 0"),
        ({"shard": [0, 0, -1]}, "the number of a shard is -1"),
        ({"shard": [0, 0]}, "its columns have different lengths"),
        ({"size": [1, 2, 10**30]}, "a size is 10+, it must be a whole number"),
        ({"mtime_ns": [1, 2, "3"]}, "a time is '3'"),
        ({"fingerprints": {"stft": "../../x"}}, "is not a valid name of an id"),
        ({"fingerprints": ["stft"]}, "fingerprints is a list, it must be an object"),
        ({"vanished": ["x/y"]}, "'x/y' is in vanished but not in utterances"),
        ({"vanished": None}, "vanished is None, it must be a list"),
        ({"runs": "a\0b"}, r"runs is 'a\\x00b', it must be text"),
    ],
)
def test_what_no_listing_may_say_is_refused_before_anything_uses_it(tmp_path, changes, message):
    path = change(tmp_path, **changes)
    with pytest.raises(StoreError, match=rf"runs-1\.json is damaged \(.*{message}.*the next run writes it again"):
        Listing.read(path)
    with pytest.raises(StoreError, match=r"runs-1\.json is damaged"):
        FeatureStore(tmp_path)


def test_a_later_listing_is_named_as_one(tmp_path):
    with pytest.raises(LaterFormatError, match="update Valar"):
        Listing.read(change(tmp_path, format_version=2, utterances="in another form"))


def test_a_listing_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Listing.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (Listing("a/b", {}, {}, {}), "'a/b' is not a valid name of a run"),
        (Listing("a", {"stft": "x"}, {}, {}), "'x' is not a valid name of an id"),
        (Listing("a", {}, {"v/a\r": "51"}, {"v/a\r": (1, 2)}), r"'v/a\\r' is not a valid name of an utterance"),
    ],
)
def test_what_would_be_refused_is_not_written(tmp_path, listing, message):
    with pytest.raises(StoreError, match=f"cannot be listed in .*{message}"):
        listing.write(tmp_path)
    assert list(tmp_path.iterdir()) == []

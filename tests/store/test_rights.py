"""A store of another user's: what may be read is read without the right to write, what may not is never passed over."""

import contextlib

import pytest

from store import FeatureStore
from store.__main__ import main
from store.errors import StoreError, StoreReadOnlyError
from store.layout import find_stage_sets
from store.lock import locked
from tests.modes import modes_obeyed

READING = [
    ["ls"],
    ["show", "NAME"],
    ["why", "NAME"],
    ["verify"],
    ["export", "OUT", "--to", "npz"],
    ["browse", "-o", "OUT"],
    ["gc", "--dry-run"],
    ["compact", "--dry-run"],
    ["erase", "--dry-run", "NAME"],
]


@pytest.fixture
def store(store):
    """The small store's folder alone."""
    return store[0]


@contextlib.contextmanager
def without(folder, rights, *, below=False):
    """Take rights away from a folder, with `below` also from all in it."""
    paths = [folder, *(folder.rglob("*") if below else ())]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths[::-1]:
        path.chmod(modes[path] & ~rights)
    try:
        with modes_obeyed():
            yield
    finally:
        for path in paths:
            path.chmod(modes[path])


def run(words, store, tmp_path):
    name = next(iter(FeatureStore(store)))
    given = {"NAME": name, "OUT": str(tmp_path / "out")}
    return [words[0], str(store), *(given.get(word, word) for word in words[1:])]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_what_only_reads_needs_no_right_to_write(store, tmp_path, words):
    words = run(words, store, tmp_path)
    with without(store, 0o222, below=True):
        assert main(words) == 0


@pytest.mark.parametrize("words", [["gc"], ["compact"], ["erase", "NAME"]], ids=" ".join)
def test_what_changes_a_store_of_anothers_is_refused_in_one_sentence(store, tmp_path, capsys, words):
    words = run(words, store, tmp_path)
    with without(store, 0o222, below=True):
        assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert ".lock cannot be opened for writing (Permission denied); check who may write there" in told


def test_a_lock_of_anothers_says_that_the_store_is_read_only(store):
    with locked(store):
        pass
    (store / ".lock").chmod(0o444)
    with modes_obeyed(), pytest.raises(StoreReadOnlyError, match="Commands that only read need no"), locked(store):
        pass


@pytest.mark.parametrize("part", ["", "roots", "shards", "stft", "a stage set"])
@pytest.mark.parametrize("words", [*READING[:4], ["gc"]], ids=" ".join)
def test_a_folder_that_may_not_be_read_is_never_taken_for_an_empty_one(store, tmp_path, capsys, words, part):
    words = run(words, store, tmp_path)
    folder = next(find_stage_sets(store)).folder if part == "a stage set" else store / part
    with without(folder, 0o777):
        assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "Permission denied" in told
    assert str(folder) in told


def test_a_folder_whose_files_may_not_be_looked_at_is_refused(store):
    with (
        without(store / "roots", 0o111),
        pytest.raises(StoreError, match=r"roots cannot be read \(Permission denied\)"),
    ):
        FeatureStore(store)

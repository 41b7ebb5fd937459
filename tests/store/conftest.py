"""Fixtures of the store's tests."""

import shutil

import pytest

from tests.store.stores import make_store


@pytest.fixture(scope="session")
def made_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "store"
    return folder, make_store(folder)


@pytest.fixture
def store(made_store, tmp_path):
    """A whole small store of one's own, and each utterance's shard."""
    shutil.copytree(made_store[0], tmp_path / "store")
    return tmp_path / "store", made_store[1]

"""Removing a store's files: all of those asked for or none, and never one through a link or from another place."""

import re

import pytest

from store.errors import StoreError
from store.layout import shard_path
from store.shard.sidecar import sidecar_path
from store.tending.removal import check_inside, measure, parts_of_shard, remove, remove_empty
from tests.store.stores import FINGERPRINTS


def find_shard(store, stage="stft"):
    return shard_path(store[0], stage, FINGERPRINTS[stage], store[1]["v/a"])


def list_all(folder):
    return sorted(folder.rglob("*"))


def test_a_shard_goes_with_its_sidecar_and_sounds_and_nothing_else_does(store):
    parts = parts_of_shard(find_shard(store, "wav"))
    assert all(path.exists() for path in parts)
    gone = {inner for path in parts for inner in [path, *path.rglob("*")]}
    left = [path for path in list_all(store[0]) if path not in gone]
    remove(store[0], [*parts, store[0] / "stft" / "missing.h5"])
    assert list_all(store[0]) == left


@pytest.mark.parametrize("place", ["notes.txt", "stft/b1/notes.txt", "roots/runs-1.json", "wav", "stft/b1", "shards"])
def test_one_path_that_is_none_of_the_stores_keeps_all(store, place):
    root = store[0]
    (root / place).exists() or (root / place).write_text("mine")
    before = list_all(root)
    with pytest.raises(StoreError, match=f"{re.escape(str(root / place))} is not removed: it is not a file of a store"):
        remove(root, [find_shard(store), root / place])
    assert list_all(root) == before


def test_a_folder_of_sounds_with_something_else_in_it_stays(store):
    sounds = find_shard(store, "wav").with_suffix("")
    (sounds / "v" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="it is not a file of a store"):
        remove(store[0], [sounds])
    assert (sounds / "v" / "a.wav").exists()


def test_a_shard_is_known_by_its_first_bytes_or_by_its_sidecar(store):
    path = find_shard(store)
    path.write_bytes(b"damaged")
    sidecar = sidecar_path(path)
    kept = sidecar.read_bytes()
    sidecar.unlink()
    with pytest.raises(StoreError, match="it is not a file of a store"):
        remove(store[0], [path])
    sidecar.write_bytes(kept)
    remove(store[0], [path])
    assert not path.exists()


def test_a_caller_may_know_other_paths(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match="b is not removed: it has files that no run wrote"):
        remove(tmp_path, [tmp_path / "a", tmp_path / "b"], is_known=lambda root, path: path.name == "a")
    remove(tmp_path, [tmp_path / "a"], is_known=lambda root, path: path.name == "a")
    assert list_all(tmp_path) == [tmp_path / "b"]


def test_a_path_outside_is_refused(tmp_path):
    root = tmp_path / "store"
    (root / "in").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    check_inside(root, root / "in" / "new")
    for path in (root, tmp_path / "other", root / ".." / "other", tmp_path / "store2"):
        with pytest.raises(StoreError, match="it is not inside the store"):
            check_inside(root, path)
    (root / "link").symlink_to(tmp_path / "other")
    for path in (root / "link", root / "link" / "file"):
        with pytest.raises(StoreError, match="link is a link; remove the link yourself"):
            check_inside(root, path)


def test_only_an_empty_folder_is_removed_and_no_link(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("empty", "full", "link", "none"):
        remove_empty(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "link", "target"]


def test_measuring_adds_up_files_and_follows_no_link(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "a").write_bytes(bytes(10))
    (tmp_path / "folder" / "inner" / "b").write_bytes(bytes(5))
    (tmp_path / "large").write_bytes(bytes(1000))
    (tmp_path / "link").symlink_to(tmp_path / "large")
    assert measure(tmp_path / "folder") == 15
    assert measure(tmp_path / "folder" / "a") == 10
    assert measure(tmp_path / "link") == (tmp_path / "link").lstat().st_size < 1000
    assert measure(tmp_path / "none") == 0

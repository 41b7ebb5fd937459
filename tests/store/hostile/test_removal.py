"""What may be removed from a store from elsewhere: its own files, where they lie, and nothing else."""

import shutil
from pathlib import Path

import pytest

from store import FeatureStore
from store.layout import shard_path
from store.shard.sidecar import sidecar_path
from tests.store.hostile.attacks import run, snapshot
from tests.store.stores import FINGERPRINTS, write_shard

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("place", ["", "stft", "stft/b1", "shards", "damaged/old"])
def test_a_mark_of_pages_in_the_store_itself_removes_nothing(store, capsys, place):
    root = store[0]
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / place / "valar-pages.json").write_text('{"run": "x"}')
    before = snapshot(root)
    code, _, err = run(capsys, "erase", root, "v/a")
    assert code == 2
    assert "valar-pages.json is in the store itself" in err or place == "shards"
    assert {name: data for name, data in snapshot(root).items() if name != ".lock"} == before


def test_erase_removes_pages_and_leaves_what_is_none(store, outside, capsys):
    root = store[0]
    (root / "pages" / "clips").mkdir(parents=True)
    for name in ("index.html", "clips/0.html", "notes.txt"):
        (root / "pages" / name).touch()
    (root / "pages" / "valar-pages.json").write_text('{"run": "x"}')
    (root / "pages" / "data.js").symlink_to(outside / "victim.json")
    (root / "linked").mkdir()
    (root / "linked" / "valar-pages.json").write_text('{"run": "x"}')
    (root / "linked" / "clips").symlink_to(outside)
    assert run(capsys, "erase", root, "v/a")[0] == 0
    assert sorted(path.name for path in (root / "pages").iterdir()) == ["data.js", "notes.txt"]


@pytest.mark.parametrize("place", ["stft", "stft/b1", "damaged", "shards", "roots"])
@pytest.mark.parametrize("command", [("gc",), ("compact",), ("erase", "v/a"), ("verify", "--repair")])
def test_a_store_with_a_linked_folder_is_not_changed(store, outside, capsys, place, command):
    root = store[0]
    target = outside.parent / "elsewhere"
    if (root / place).exists():
        shutil.move(root / place, target)
    else:
        target.mkdir()
    (root / place).symlink_to(target)
    if command[0] == "gc":
        write_shard(root, "stft", "0" * 16, {"x/a": (3, 0)}, fingerprint="00")
    if "--repair" in command:
        path = shard_path(root, "faces", FINGERPRINTS["faces"], store[1]["v/a"])
        path.write_bytes(path.read_bytes()[:-1])
    before = snapshot(root), snapshot(target)
    code, _, err = run(capsys, command[0], root, *command[1:])
    assert code == 2
    assert f"{root / place} is a link to {target}; a store is not changed through a link" in err
    (root / ".lock").unlink(missing_ok=True)
    assert (snapshot(root), snapshot(target)) == before


def test_linked_folders_are_read_and_told(store, outside, capsys):
    root = store[0]
    shutil.move(root / "stft", root.parent / "elsewhere")
    (root / "stft").symlink_to(root.parent / "elsewhere")
    assert FeatureStore(root)["v/a"].stft.shape == (30, 257, 2)
    code, out, _ = run(capsys, "verify", root)
    assert code == 1
    assert out.startswith("stft: link: it is a link to ")


@pytest.mark.parametrize("kind", ["shard", "sidecar", "sounds", "sound"])
def test_a_linked_file_is_not_removed(store, outside, capsys, kind):
    root, assigned = store
    path = shard_path(root, "wav", FINGERPRINTS["wav"], assigned["v/a"])
    path = {
        "shard": path,
        "sidecar": sidecar_path(path),
        "sounds": path.with_suffix(""),
        "sound": path.with_suffix("") / "v" / "c.wav",
    }[kind]
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(outside if kind == "sounds" else outside / "victim.json")
    code, _, err = run(capsys, "erase", root, "v/a")
    assert code == 2
    assert "is a link; remove the link yourself" in err or "is not a file of a store" in err
    assert path.is_symlink()
    assert list(FeatureStore(root)) == ["v/a", "v/b", "w/a"]
    assert not (root / "erased.json").exists()


def test_gc_removes_only_what_a_store_calls_so(store, outside, capsys):
    root = store[0]
    dead = root / "stft" / "00"
    dead.mkdir()
    (dead / "00.h5").write_bytes(b"someone's file with this name")
    (dead / "notes.h5").write_bytes(b"no id")
    code, _, err = run(capsys, "gc", root)
    assert code == 2
    assert "00.h5 is not removed: it is not a file of a store; move it away" in err
    (dead / "00.h5").unlink()
    assert run(capsys, "gc", root)[:2] == (0, "nothing to remove: a run needs every file\n")
    assert (dead / "notes.h5").exists()


def test_the_lock_of_a_store_from_elsewhere_empties_no_file(store, outside, capsys):
    (store[0] / ".lock").symlink_to(outside / "victim.json")
    code, _, err = run(capsys, "gc", store[0])
    assert code == 2
    assert ".lock cannot be opened for writing" in err


@pytest.mark.parametrize(
    "command",
    [
        ("gc",),
        ("gc", "--dry-run"),
        ("compact",),
        ("compact", "--dry-run"),
        ("erase", "v/a"),
        ("erase", "v/a", "--dry-run"),
        ("verify",),
        ("verify", "--repair"),
    ],
)
def test_a_folder_that_is_no_store_is_left_as_it_is(tmp_path, capsys, command):
    (tmp_path / "folder").mkdir()
    for folder in (tmp_path / "folder", tmp_path / "none"):
        code, _, err = run(capsys, command[0], folder, *command[1:])
        assert code == 2
        assert f"{folder} is not a feature store: it has none of the folders shards, roots and wav" in err
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "folder"]


def test_pages_are_written_beside_a_store_or_in_a_folder_of_their_own(store, outside, capsys):
    root = store[0]
    (root / "valar-pages.json").write_text('{"run": "x"}')
    for folder in (root, root / "stft", root / "damaged" / "pages"):
        code, _, err = run(capsys, "browse", root, "-o", folder)
        assert code == 2
        assert "is the store's own; name a new folder for the pages" in err
    (root / "pages").mkdir()
    (root / "pages" / "valar-pages.json").write_text('{"run": "x"}')
    (root / "pages" / "clips").symlink_to(outside)
    assert run(capsys, "browse", root, "-o", root / "pages")[0] == 2

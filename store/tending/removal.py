"""Removing from a store: whatever `gc`, `compact` and `erase` remove goes through here, and nothing else can.

So do old checkpoints from a folder of runs, whose places and names the caller tells (`is_known`).

A store may come from elsewhere, so what its files say decides nothing: a path is removed only where it lies, without
any link on the way, in a place and under a name that a store gives to such a file.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from store import files
from store.errors import StoreError
from store.features import find_schema
from store.layout import find_links
from store.names import is_id
from store.pages_mark import list_pages
from store.shard.sidecar import sidecar_path

_HDF5 = b"\x89HDF\r\n\x1a\n"


def check_no_links(root: Path) -> None:
    """Refuse to change a store whose folders are links: what is removed or written would be elsewhere.

    Raises:
        StoreError: One is; names it.
    """
    for link in find_links(root):
        raise StoreError(
            f"{link} is a link to {link.readlink()}; a store is not changed through a link: put the files in the "
            "link's place"
        )


def remove(root: Path, paths: Iterable[Path], *, is_known: Callable[[Path, Path], bool] | None = None) -> None:
    """Remove files and folders of a store: all of them, or none where one must not be.

    Args:
        root: The store's folder.
        paths: Shards' files, sidecars and folders of WAV files; plans; what was half-written; files that were set
            aside; files of pages. What is not there is passed by.
        is_known: Tells of a root and a path whether it may be removed; by default, whether it is one of a store's.

    Raises:
        StoreError: One of them is none of these, or is reached through a link.
    """
    found = [path for path in paths if os.path.lexists(path)]
    for path in found:
        check_removable(root, path, is_known or _is_known)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def check_removable(root: Path, path: Path, is_known: Callable[[Path, Path], bool] | None = None) -> None:
    """Refuse to remove what is not one of a store's own files, or of those that `is_known` tells.

    Raises:
        StoreError: It is not; says why.
    """
    check_inside(root, path)
    if not (is_known or _is_known)(root, path):
        kind = "not a file of a store" if is_known in (None, _is_known) else "it has files that no run wrote"
        raise StoreError(f"{path} is not removed: it is {kind}; move it away, then try again")


def check_inside(root: Path, path: Path) -> None:
    """Refuse a path that is not really below a store's folder.

    Raises:
        StoreError: It is the folder itself, outside of it, or reached through a link.
    """
    relative = path.relative_to(root) if path.is_relative_to(root) else Path()
    if not relative.parts or ".." in relative.parts:
        raise StoreError(f"{path} is not changed: it is not inside the store {root}")
    steps = [root.joinpath(*relative.parts[: count + 1]) for count in range(len(relative.parts))]
    link = next((step for step in steps if step.is_symlink()), None)
    if link is not None:
        raise StoreError(f"{path} is not changed: {link} is a link; remove the link yourself")
    if path.resolve() != root.resolve() / relative:
        raise StoreError(f"{path} is not changed: it is really {path.resolve()}")


def _is_known(root: Path, path: Path) -> bool:
    """Tell whether a path has the place, the name and the content of something that a store can lose."""
    parts = path.relative_to(root).parts
    if files.is_leftover(path):
        return True
    if parts[0] == "damaged":
        return len(parts) > 1 and path.is_file()
    if parts[0] == "shards":
        return len(parts) == 2 and path.suffix == ".json" and is_id(path.stem) and path.is_file()
    if find_schema(parts[0]) is not None:
        in_set = len(parts) == 3 and is_id(parts[1]) and is_id(parts[2].partition(".")[0])
        return in_set and (_is_wavs(path) if path.suffix == "" else _is_shard(path))
    return path in list_pages(path.parent.parent if path.parent.name == "clips" else path.parent)


def _is_shard(path: Path) -> bool:
    if path.name.endswith(".h5.sums"):
        return path.is_file()
    if path.suffix != ".h5" or not path.is_file():
        return False
    with path.open("rb") as file:
        # A damaged shard is known by its digests.
        return file.read(len(_HDF5)) == _HDF5 or sidecar_path(path).is_file()


def _is_wavs(path: Path) -> bool:
    if path.parent.parent.name != "wav" or not path.is_dir():
        return False
    for folder, folders, names in os.walk(path):
        here = Path(folder)
        if any((here / name).is_symlink() for name in (*folders, *names)):
            return False
        if any(not name.endswith(".wav") and not name.startswith(".") for name in names):
            return False
    return True


def parts_of_shard(path: Path) -> list[Path]:
    """List what belongs to a shard's file in one stage set: itself, its sidecar, its folder of WAV files."""
    return [path, sidecar_path(path), path.with_suffix("")]


def remove_empty(folder: Path) -> None:
    """Remove a folder if nothing is in it; a link is never followed."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def measure(path: Path) -> int:
    """Add up the bytes of a file, or of all files in a folder, following no link."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)

"""Removing files of a store: `gc`, `compact` and `erase` remove everything through this module.

Old checkpoints in a folder of runs are removed through it, too: the caller says which paths are known (`is_known`).

A store may come from someone else, so its files' content is not trusted. A path is removed only if no link is on the
way to it, and if a store gives such a place and name to such a file.
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
    """Refuse to change a store whose folders are links: files in another place would be removed or written.

    Raises:
        StoreError: A folder is a link; the message names it.
    """
    for link in find_links(root):
        raise StoreError(
            f"{link} is a link to {link.readlink()}; a store is not changed through a link: put the files in the "
            "link's place"
        )


def remove(root: Path, paths: Iterable[Path], *, is_known: Callable[[Path, Path], bool] | None = None) -> None:
    """Remove files and folders of a store: all of them, or none if one of them must not be removed.

    Args:
        root: The store's folder.
        paths: Shards' files, sidecars and folders of WAV files; plans; what was half-written; files that were set
            aside; files of pages. Missing paths are skipped.
        is_known: Called with root and path, tells whether the path may be removed; by default, a store's own may.

    Raises:
        StoreError: One of them is not one of these, or is reached through a link.
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
    """Refuse to remove a path that is not one of a store's own files, or not one that `is_known` allows.

    Raises:
        StoreError: It must not be removed; the message says why.
    """
    check_inside(root, path)
    if not (is_known or _is_known)(root, path):
        fault = "it is not a file of a store" if is_known in (None, _is_known) else "it has files that no run wrote"
        raise StoreError(f"{path} is not removed: {fault}; move it away, then try again")


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
    """Tell whether a path has the place, the name and the content of a file or folder that a store may remove."""
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
        # A damaged shard is recognised by its sidecar.
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

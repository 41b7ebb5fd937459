"""Whole files or none: written beside their place, flushed to the disk, renamed."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MARK = ".partial-"


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write to; on success it is flushed and renamed, on failure removed.

    The name tells host and process, so that `remove_leftovers` can see whose it was after a crash.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}{_MARK}{socket.gethostname()}-{os.getpid()}")
    try:
        yield partial
        flush_file(partial)
        partial.replace(target)
        flush_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def point_link(link: Path, target: Path) -> None:
    """Let a symbolic link point to `target`, relative to the link's folder; it is replaced, never absent."""
    if link.is_symlink() and link.readlink() == target:
        return
    beside = link.with_name(f".{link.name}{_MARK}{socket.gethostname()}-{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder for scratch and remove it afterwards; named as `replacing` names files, for the same reason."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".{name}{_MARK}{socket.gethostname()}-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def flush_file(path: Path) -> None:
    """Return when the file's bytes have reached the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Return when the folder's names have reached the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write a small file whole."""
    with replacing(target) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write a value as JSON, keys sorted, so that equal values give equal bytes."""
    write_text(target, json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")


def remove_leftovers(folder: Path, *, below: bool = False) -> list[Path]:
    """Remove what killed processes of this host left half-written in `folder`, with `below` also in its folders.

    What is at work is let alone.
    """
    removed = []
    pattern = f".*{_MARK}*"
    for path in list(folder.rglob(pattern) if below else folder.glob(pattern)):
        if is_leftover(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def is_leftover(path: Path) -> bool:
    """Tell whether a file is what a process of this host had half-written when it was killed."""
    owner, _, process = path.name.rpartition(_MARK)[2].rpartition("-")
    ours = path.name.startswith(".") and _MARK in path.name and owner == socket.gethostname()
    return ours and process.isdigit() and not _is_running(int(process))


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

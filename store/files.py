"""Whole files or none: written beside their place, flushed to the disk, renamed."""

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Errors of a disk that takes no more: it is full, a quota is, or the file is longer than its file system or
#: `ulimit -f` allows.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_MARK = ".partial-"
#: A process that is at work on a file changes it more often than once in so long.
_ABANDONED_SECONDS = 7 * 24 * 3600


@contextlib.contextmanager
def naming_full_disk(path: Path, num_bytes: int | None = None) -> Iterator[None]:
    """Let the error of a full disk name the file, which the system leaves out, and how many bytes it needs.

    Args:
        path: What is written, as its user knows it.
        num_bytes: Of it, where they are known.

    Raises:
        OSError: Of the same number, with the path as its `filename`, in place of one that names none.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        needed = "" if num_bytes is None else f", {num_bytes:,} bytes needed"
        raise OSError(error.errno, os.strerror(error.errno) + needed, str(path)) from error


@contextlib.contextmanager
def _naming_target(partial: Path, target: Path) -> Iterator[None]:
    """Let an error that names an unfinished file name the one that its user knows."""
    try:
        yield
    except OSError as error:
        if error.filename != str(partial):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


@contextlib.contextmanager
def replacing(target: Path, *, is_flushed: bool = False) -> Iterator[Path]:
    """Give a path beside `target` to write to; on success it is flushed and renamed, on failure removed.

    With `is_flushed` the caller has flushed it already: even with nothing to write a disk takes a while to say so.
    The name tells host and process, so that `remove_leftovers` can see whose it was after a crash.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(_unfinished_name(target.name))
    try:
        with naming_full_disk(target), _naming_target(partial, target):
            yield partial
            if not is_flushed:
                flush_file(partial)
            partial.replace(target)
            flush_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def point_link(link: Path, target: Path) -> None:
    """Let a symbolic link point to `target`, relative to the link's folder; it is replaced, never absent."""
    if link.is_symlink() and link.readlink() == target:
        return
    beside = link.with_name(_unfinished_name(link.name))
    beside.symlink_to(target)
    beside.replace(link)


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder for scratch and remove it afterwards; named as `replacing` names files, for the same reason."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / _unfinished_name(name)
    folder.mkdir()
    try:
        with naming_full_disk(folder):
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
    content = text.encode()
    with replacing(target) as partial, naming_full_disk(target, len(content)):
        partial.write_bytes(content)


def write_soon(target: Path | str, data: bytes) -> None:
    """Write a small file whole, without waiting for the disk: for what is made again where a crash takes it.

    By the system's own calls: through `Path` they take three times as long, and there are very many pages.
    """
    name = os.fspath(target)
    folder, slash, last = name.rpartition("/")
    partial = f"{folder}{slash}{_unfinished_name(last)}"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
        os.rename(partial, name)  # noqa: PTH104
    except BaseException:
        with naming_full_disk(Path(name), len(data)), _naming_target(Path(partial), Path(name)):
            Path(partial).unlink(missing_ok=True)
            raise


def write_json(target: Path, value: Any) -> None:
    """Write a value as JSON, keys sorted, so that equal values give equal bytes."""
    write_text(target, json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")


def remove_leftovers(folder: Path, *, below: bool = False) -> list[Path]:
    """Remove what killed processes left half-written in `folder`, with `below` also in its folders.

    What is at work is let alone; see `is_leftover`.
    """
    removed = []
    pattern = f".*{_MARK}*"
    for path in list(folder.rglob(pattern) if below else folder.glob(pattern)):
        if is_leftover(path):
            if path.is_dir() and not path.is_symlink():  # of a link to a folder only the link goes
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def is_leftover(path: Path) -> bool:
    """Tell whether a file or a folder is what a process had half-written when it was killed.

    The processes of another host are not seen from here, and containers may share a host's name and see none of each
    other's: what they write counts only when nothing of it has been changed for a week.
    """
    owner, _, process = path.name.rpartition(_MARK)[2].rpartition("-")
    number, start, _, namespace = [*process.split("."), "", "", ""][:4]
    if not path.name.startswith(".") or _MARK not in path.name or not number.isdigit():
        return False
    if owner == socket.gethostname() and namespace in ("", _find_namespace()):
        return not _is_running(int(number), start)
    return time.time() - _last_change(path) > _ABANDONED_SECONDS


def _last_change(path: Path) -> float:
    """Return when a file, or anything in a folder, was last changed; the time to come where it is gone by now."""
    try:
        inside = path.iterdir() if path.is_dir() and not path.is_symlink() else ()
        return max([path.lstat().st_mtime, *map(_last_change, inside)])
    except FileNotFoundError:
        return math.inf


def _unfinished_name(name: str) -> str:
    """Return a name that nobody else uses, of a length that any file system takes however long `name` is.

    It ends in the host, and the process with its start and its namespace: in a container every run may be process 1,
    and any number is used again some day.
    """
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    process = f"{os.getpid()}.{_own_start(os.getpid())}.{secrets.token_hex(4)}.{_find_namespace()}"
    return f".{digest}{_MARK}{socket.gethostname()}-{process}"


@functools.cache
def _find_namespace() -> str:
    """Return the number of the namespace in which this process's number counts; "" where there are none."""
    try:
        return "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))
    except OSError:
        return ""


@functools.cache
def _own_start(process: int) -> str:
    """Return when this process started; asked once, and again in a process that was forked."""
    return _start_of(process)


def _start_of(process: int) -> str:
    """Return when a process started, in the system's ticks since it booted; "" where that cannot be told."""
    try:
        # /proc may be another namespace's, whose numbers are of other processes; "self" is right in any.
        if process == os.getpid():
            status = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        elif Path("/proc/self").readlink() == Path(str(os.getpid())):
            status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        else:
            return ""
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[19]  # field 22; the second is the program's name in parentheses


def _is_running(process: int, start: str) -> bool:
    """Tell whether a process is at work that has this number and, where both are known, this start."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _start_of(process)
    return not (start and now) or start == now

"""Files that are whole or absent: written under another name beside their place, flushed to the disk, then renamed."""

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

#: Errors of a full disk: the disk or a quota is full, or the file is longer than its file system or `ulimit -f` allows.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_MARK = ".partial-"
#: If a file has not changed for so long, no process is writing it any more.
_ABANDONED_SECONDS = 7 * 24 * 3600


@contextlib.contextmanager
def naming_full_disk(path: Path, num_bytes: int | None = None) -> Iterator[None]:
    """Add to the error of a full disk what the system leaves out: the file's name, and how many bytes it needs.

    Args:
        path: The file that is written, under its final name.
        num_bytes: Its size in bytes, if it is known.

    Raises:
        OSError: With the same number, and the path as its `filename`, in place of an error that names no file.
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
    """Replace the name of the unfinished file in an error by its final name."""
    try:
        yield
    except OSError as error:
        if error.filename != str(partial):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


@contextlib.contextmanager
def replacing(target: Path, *, is_flushed: bool = False) -> Iterator[Path]:
    """Give a path beside `target` to write to; on success it is flushed and renamed, on failure removed.

    With `is_flushed`, the caller has flushed the file already; to flush it again would take time for nothing.
    The unfinished file's name has host and process, so that `remove_leftovers` knows after a crash who wrote it.
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
    """Let a symbolic link point to `target`, relative to the link's folder; an earlier link is replaced in one step."""
    if link.is_symlink() and link.readlink() == target:
        return
    beside = link.with_name(_unfinished_name(link.name))
    beside.symlink_to(target)
    beside.replace(link)


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder for scratch and remove it afterwards; it is named as `replacing` names unfinished files."""
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
    """Write a small file whole, without waiting for the disk: for files that can be made again after a crash.

    It uses the functions of `os`: `Path` takes three times as long, and there are very many pages.
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
    """Remove what killed processes left half-written in `folder`; with `below`, also in the folders in it.

    Files that a running process is writing stay; see `is_leftover`.
    """
    removed = []
    pattern = f".*{_MARK}*"
    for path in list(folder.rglob(pattern) if below else folder.glob(pattern)):
        if is_leftover(path):
            if path.is_dir() and not path.is_symlink():  # of a link to a folder, only the link is removed
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def is_leftover(path: Path) -> bool:
    """Tell whether a file or a folder was left half-written by a process that was killed.

    Processes of another host, or of another container with the same host name, cannot be seen from here. What they
    wrote counts as left over only if nothing in it has changed for a week.
    """
    owner, _, process = path.name.rpartition(_MARK)[2].rpartition("-")
    number, start, _, namespace = [*process.split("."), "", "", ""][:4]
    if not path.name.startswith(".") or _MARK not in path.name or not number.isdigit():
        return False
    if owner == socket.gethostname() and namespace in ("", _find_namespace()):
        return not _is_running(int(number), start)
    return time.time() - _last_change(path) > _ABANDONED_SECONDS


def _last_change(path: Path) -> float:
    """Return when a file, or anything in a folder, was last changed (s since 1970); infinity if it no longer exists."""
    try:
        inside = path.iterdir() if path.is_dir() and not path.is_symlink() else ()
        return max([path.lstat().st_mtime, *map(_last_change, inside)])
    except FileNotFoundError:
        return math.inf


def _unfinished_name(name: str) -> str:
    """Return a unique name, which is short enough for any file system however long `name` is.

    It ends with the host, and the process's number, start and namespace: in a container, every run may be process 1,
    and the system reuses numbers.
    """
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    process = f"{os.getpid()}.{_own_start(os.getpid())}.{secrets.token_hex(4)}.{_find_namespace()}"
    return f".{digest}{_MARK}{socket.gethostname()}-{process}"


@functools.cache
def _find_namespace() -> str:
    """Return the number of this process's PID namespace; "" if the system has none."""
    try:
        return "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))
    except OSError:
        return ""


@functools.cache
def _own_start(process: int) -> str:
    """Return when this process started; asked once, and again in a process that was forked."""
    return _start_of(process)


def _start_of(process: int) -> str:
    """Return when a process started, in the system's ticks since it booted; "" if that is not known."""
    try:
        # /proc may belong to another namespace, whose numbers mean other processes; "self" is always right.
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
    """Tell whether a process with this number is running and, if both starts are known, has this start."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _start_of(process)
    return not (start and now) or start == now

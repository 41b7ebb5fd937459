"""Files that appear only when they are whole. Without torch: the digests of weights are read before torch is needed."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UNFINISHED = ".tmp"
#: Errors of a disk that accepts no more data: the disk or a quota is full, or the file exceeds the largest file size.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def writing_whole(path: Path, num_bytes: int) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; on success it is renamed to `path`, on failure removed.

    Args:
        path: the final file.
        num_bytes: its approximate size, for the error.

    Raises:
        OSError: if the disk is full, the error names the file (the system's own error does not) and its bytes.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with naming_full_disk(path, num_bytes):
            yield beside
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def naming_full_disk(path: Path, num_bytes: int) -> Iterator[None]:
    """Make the error of a full disk name the file and its bytes; the errors of torch and of the system do not."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = _find_full_disk(error)
        if full is None or full.filename is not None:
            raise
        words = f"{os.strerror(full.errno)}, {num_bytes:,} bytes needed"
        raise OSError(full.errno, words, str(path)) from error


def _find_full_disk(error: BaseException | None) -> Any:
    """Find the system's error of a full disk among an error and its causes; None if there is none."""
    while error is not None and not (isinstance(error, OSError) and error.errno in FULL):
        error = error.__cause__ or error.__context__
    return error


def remove_unfinished(folder: Path) -> None:
    """Remove the unfinished files of a killed process."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)

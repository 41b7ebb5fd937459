"""Files of tensors and plain data: written whole, and read as what they are, something that anyone may have made.

Unpickling is torch's restricted one (`weights_only`), which runs no code. What it does not look at is looked at here:
how much memory a file asks for, how deep its plain data is, and whether its numbers are numbers.
"""

import contextlib
import errno
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

UNFINISHED = ".tmp"
#: Errors of a disk that takes no more: it is full, a quota is, or the file is longer than it may be.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PLAIN = (str, int, float, bool, type(None))
#: Plain data is settings and provenance, some hundred values and five levels, and 15 values for each epoch.
MOST_VALUES, DEEPEST = 200_000, 20
LONGEST_REASON = 200


class TensorFileError(ValueError):
    """A file is none of tensors and plain data, or is damaged; the message is the reason without the file's name."""


@contextlib.contextmanager
def writing_whole(path: Path, num_bytes: int) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it is renamed, on failure removed.

    Args:
        path: the file to be.
        num_bytes: about as many as it will have, for the error.

    Raises:
        OSError: where the disk is full it names the file, which the system leaves out, and its bytes.
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
    """Let the error of a full disk name the file and its bytes: torch speaks of positions, the system of no file."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = _find_full_disk(error)
        if full is None or full.filename is not None:
            raise
        words = f"{os.strerror(full.errno)}, {num_bytes:,} bytes needed"
        raise OSError(full.errno, words, str(path)) from error


def _find_full_disk(error: BaseException | None) -> Any:
    """Find the system's own error, which torch was told by the file that it writes to."""
    while error is not None and not (isinstance(error, OSError) and error.errno in FULL):
        error = error.__cause__ or error.__context__
    return error


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain data to a file whole: beside its place, flushed to the disk, then renamed."""
    with writing_whole(path, _count_bytes(content)) as beside, beside.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _count_bytes(value: object) -> int:
    """Count the bytes of all tensors in nested mappings and lists."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return sum(map(_count_bytes, inner))


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def read_tensors(path: Path) -> Any:
    """Read such a file; only tensors and plain data are unpickled, and the tensors are on the CPU.

    Raises:
        TensorFileError: it holds something else, is damaged, or asks for more memory than it has bytes.
        OSError: it cannot be opened.
    """
    with path.open("rb"):  # that it is missing or forbidden is the system's to say
        pass
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except TensorFileError:
        raise
    except Exception as error:  # torch raises whatever a damaged pickle leads to: KeyError, AttributeError, ...
        raise TensorFileError(make_printable(str(error).partition("\n")[0] or type(error).__name__)) from error


def _check_archive(path: Path) -> None:
    """Refuse an archive whose parts are larger than the file: torch packs nothing, and would unpack without limit."""
    if not zipfile.is_zipfile(path):
        return  # the format before 2020, which published weights have; it holds its bytes one after another
    with zipfile.ZipFile(path) as archive:
        claimed, there = sum(part.file_size for part in archive.infolist()), path.stat().st_size
    if claimed > there:
        raise TensorFileError(f"its parts claim {claimed} bytes, more than the {there} of the file")


def check_plain(value: object, *, where: str) -> None:
    """Refuse what is not plain data: texts, numbers, truth values and None, in mappings, lists and tuples.

    Args:
        value: from a file, or on its way into one.
        where: its name, for the error.

    Raises:
        TypeError: names the first other value; or there are too many, or they lie too deep.
    """
    waiting, seen = [(where, value, 0)], 0
    while waiting:
        name, found, depth = waiting.pop()
        seen += 1
        if isinstance(found, Mapping):
            inner = [(f"{name}.{key}", each, depth + 1) for key, each in found.items()]
            inner += [(f"a key of {name}", key, depth + 1) for key in found if type(key) not in PLAIN]
        elif isinstance(found, list | tuple):
            inner = [(f"{name}[{position}]", each, depth + 1) for position, each in enumerate(found)]
        elif type(found) in PLAIN:
            continue
        else:
            what = make_printable(f"{name} ({found!r}) is {type(found).__name__}")
            raise TypeError(f"{what}: a checkpoint holds tensors and plain data only")
        # The same list may be there many times, so that a small file names more values than fit in memory.
        if seen + len(waiting) + len(inner) > MOST_VALUES or depth >= DEEPEST:
            raise TypeError(f"{where} holds more than {MOST_VALUES} values, or more than {DEEPEST} levels of them")
        waiting += reversed(inner)


def make_printable(text: str) -> str:
    """Cut a text from elsewhere to a sentence's length, without what would move a terminal's cursor."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: LONGEST_REASON + 1])
    return shown if len(text) <= LONGEST_REASON else f"{shown[:LONGEST_REASON]} ..."


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

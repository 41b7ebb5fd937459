"""Files of tensors and plain data: written whole, and read with care, since anyone may have made them.

torch unpickles them in its restricted mode (`weights_only`), which runs no code. This module checks what torch does
not: how much memory a file asks for, how deep its plain data is nested, and whether the data is plain.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.whole_files import writing_whole

PLAIN = (str, int, float, bool, type(None))
#: Limits of plain data. Settings and provenance have some hundred values in five levels; each epoch adds 18 values.
MOST_VALUES, DEEPEST = 500_000, 20
LONGEST_REASON = 200


class TensorFileError(ValueError):
    """A file holds other things than tensors and plain data, or is damaged; the message does not name the file."""


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


def read_tensors(path: Path) -> Any:
    """Read a file of tensors and plain data; nothing else is unpickled, and the tensors are on the CPU.

    Raises:
        TensorFileError: it holds something else, is damaged, or asks for more memory than it has bytes.
        OSError: it cannot be opened.
    """
    with path.open("rb"):  # raises the system's own error if the file is missing or forbidden
        pass
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except TensorFileError:
        raise
    except Exception as error:  # a damaged pickle can raise any error: KeyError, AttributeError, ...
        raise TensorFileError(make_printable(str(error).partition("\n")[0] or type(error).__name__)) from error


def _check_archive(path: Path) -> None:
    """Refuse an archive with parts larger than the file: torch never compresses, but decompresses without limit."""
    if not zipfile.is_zipfile(path):
        return  # the format before 2020, which published weights have: it is never compressed
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
        TypeError: a value is not plain data (the first such value is named), or there are too many values or levels.
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
        # A small file can refer to one list many times, and so describe more values than fit in memory.
        if seen + len(waiting) + len(inner) > MOST_VALUES or depth >= DEEPEST:
            raise TypeError(f"{where} holds more than {MOST_VALUES} values, or more than {DEEPEST} levels of them")
        waiting += reversed(inner)


def make_printable(text: str) -> str:
    """Shorten an untrusted text to 200 letters, with "?" for each letter that could move a terminal's cursor."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: LONGEST_REASON + 1])
    return shown if len(text) <= LONGEST_REASON else f"{shown[:LONGEST_REASON]} ..."


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

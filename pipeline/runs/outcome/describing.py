"""Describes a failed task for people: one sentence with the next step."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.settings import config
from store.explaining import count_free
from store.files import FULL

#: What torch's errors say when memory is short; other libraries raise MemoryError.
_NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|MemoryError|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED"
)
#: The place in torch's sources where an allocation failed: it does not help a user.
_PLACE_IN_SOURCES = re.compile(r"^\[enforce fail at [^]]*\] [^.]*\. ")
_LONGEST_REASON = 200
#: Error numbers of actions for which this user has no rights.
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def name_folders() -> dict[str, Path]:
    """Give the folders into which a run writes, each by the setting that chooses it."""
    folders = {"[store] root": config.store().root, "[run] root": config.run().root}
    folders |= {"[run] scratch": config.run().scratch} if config.run().scratch else {}
    return {setting: Path(folder) for setting, folder in folders.items()}


def describe_failure(error: BaseException, folders: Mapping[str, Path], *, network: str = "") -> str:
    """Say why a task failed, and add the next step where the error itself does not name one.

    Args:
        error: The exception that the task raised. Its causes are examined, too.
        folders: The folders into which a run writes, each by the setting that chooses it.
        network: The network that was trained, "" for a stage of the features.
    """
    for found in _walk(error):
        if isinstance(found, OSError) and found.errno in FULL:
            return _describe_full_disk(found, folders)
        if isinstance(found, OSError) and found.errno in FORBIDDEN and found.filename is not None:
            return _describe_forbidden(found, folders)
        if isinstance(found, MemoryError) or _is_out_of_memory(found):
            return _describe_no_memory(found, network)
    return str(error) or type(error).__name__


def _walk(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error, its cause, the cause of that, and so on."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _describe_full_disk(error: OSError, folders: Mapping[str, Path]) -> str:
    """Name the file, the number of free bytes, and the setting that chose the file's disk."""
    if error.filename is None:  # the file is not known: the fullest disk is named
        what = os.strerror(error.errno or 0)
        name, where = min(folders.items(), key=lambda item: count_free(item[1]))
    else:
        what = f"{os.fsdecode(error.filename)} cannot be written ({error.strerror})"
        name, where = _find_place(error.filename, folders)
    shown = f"{name} = {where}" if name else str(where)
    if error.errno == errno.EFBIG:
        limit = "a file there may not be as long; see `ulimit -f`, or give"
        return f"{what}: {limit} another place ({shown}), and the same command again"
    again = "make room there or give another place, and give the same command again"
    full = "is full" if error.errno == errno.ENOSPC else "has no room left for you"
    return f"{what}: the disk of {shown} {full}, {count_free(where):,} bytes are free; {again}"


def _describe_forbidden(error: OSError, folders: Mapping[str, Path]) -> str:
    """Name the file and the setting that chose its folder."""
    name, where = _find_place(error.filename, folders)
    other = f", or give another {name} (now {where})" if name else ""
    path = os.fsdecode(error.filename)
    return f"{path} cannot be used ({error.strerror}); check who may read and write there{other}"


def _find_place(filename: str | bytes, folders: Mapping[str, Path]) -> tuple[str, Path]:
    """Give the setting that chose a file's folder, and that folder; "" and the file's own folder if none did."""
    path = Path(os.path.abspath(os.fsdecode(filename)))  # noqa: PTH100 (links stay as their user knows them)
    places = {**folders, "TMPDIR": Path(tempfile.gettempdir())}
    above = [item for item in places.items() if path.is_relative_to(item[1].absolute())]
    return max(above, key=lambda item: len(item[1].absolute().parts), default=("", path.parent))


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory was short.

    torch's own error class is recognised by its name, because modules that import this one may not import torch.
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    is_torchs = type(error).__name__ in ("OutOfMemoryError", "AcceleratorError", "TrainingProcessError")
    return (is_torchs or isinstance(error, RuntimeError)) and bool(_NO_MEMORY.search(str(error)))


def _describe_no_memory(error: BaseException, network: str) -> str:
    text = _PLACE_IN_SOURCES.sub("", str(error).strip().partition("\n")[0]) or type(error).__name__
    text = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."
    remedy = (
        f"close other programs; if that is not enough, lower [run] threads or [{network}] batch_size (which makes "
        "another training)"
        if network
        else "set [embeddings] batch_size = 8 or lower, or lower [run] threads"
    )
    return f"out of memory ({text}); {remedy}, and give the same command again"

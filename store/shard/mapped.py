"""Rows of a mapped file that look at its size before they are touched: what was cut off is an error, no signal."""

import ctypes
import math
import mmap
import os
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from store.errors import ShardError

_get = np.ndarray.__getitem__
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class MappedRows(np.ndarray):
    """A read-only view of a mapped file.

    Touching what was cut off a mapped file ends a process (SIGBUS). Slicing, NumPy's functions and copying therefore
    compare the file's size first, which takes as long as one `stat`: from 3 to 17 microseconds where it was measured.
    What NumPy does not see is not guarded: code that takes the memory itself (`np.asarray`, `torch.from_numpy`), and a
    file that is cut between the look and the touch.
    Copies and results are plain arrays.
    """

    _check: Callable[[], None] | None = None

    def __array_finalize__(self, source: Any) -> None:
        """Hand the guard on to views, whose base is what is guarded; copies need none."""
        base = self.base
        if type(base) is MappedRows:
            self._check = base._check

    def _look(self) -> None:
        if self._check is not None:
            self._check()

    def release_pages(self) -> None:
        """Let what has been read of the whole mapping leave this process's memory; it is read again when needed.

        Pages of a mapped file count as the process's until something else wants them: a training that has seen every
        clip would look as large as the store. They stay in the system's cache of the file.
        """
        base: object = self
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, _Mapping):
            base.release_pages()

    def __getitem__(self, key: Any) -> Any:
        if self._check is not None:
            self._check()
        return _plain(_get(self, key))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute on plain arrays; into these rows NumPy refuses to, since nobody may write to them."""
        _look_at((*inputs, *kwargs.values()))
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_as_plain, kwargs["out"]))
        if "where" in kwargs:
            kwargs["where"] = _as_plain(kwargs["where"])
        return getattr(ufunc, method)(*map(_as_plain, inputs), **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Look at the files of all arguments first."""
        _look_at((*args, *kwargs.values()))
        return _plain(super().__array_function__(func, types, args, kwargs))

    def __reduce__(self) -> Any:
        """Pickle as a plain array: a copy needs no file."""
        return self.copy().__reduce__()

    def __deepcopy__(self, memo: Any) -> np.ndarray:  # type: ignore[override]
        """Copy into memory."""
        return self.copy()

    def copy(self, order: Any = "C") -> np.ndarray:  # type: ignore[override]
        """Copy into memory."""
        self._look()
        return np.array(self, order=order)

    def astype(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Convert into memory."""
        self._look()
        return np.asarray(self).astype(*args, **kwargs)

    def tobytes(self, order: Any = "C") -> bytes:
        """Copy as bytes."""
        self._look()
        return super().tobytes(order)

    def tolist(self) -> Any:
        """Convert to Python's numbers."""
        self._look()
        return super().tolist()


def map_rows(path: Path, dtype: np.dtype, offset: int, shape: tuple[int, ...]) -> MappedRows:
    """Map rows of a file.

    Args:
        path: The file; it is open only while it is mapped.
        dtype: Of the rows.
        offset: Their first byte.
        shape: Theirs.

    """
    status = path.stat()
    expected = (status.st_dev, status.st_ino, status.st_size)

    name = str(path)  # os.stat of a string is three times as fast as Path.stat, and this is done for every slice

    def check() -> None:
        try:
            now = os.stat(name)  # noqa: PTH116
        except FileNotFoundError:
            return  # removed: what is mapped stays whole
        # Another file under the same name leaves the mapped one whole, too.
        if now.st_size != expected[2] and (now.st_dev, now.st_ino) == expected[:2]:
            raise ShardError(
                f"{path} has {now.st_size} bytes, it had {expected[2]} when it was mapped; restore it, or remove it "
                "and run again"
            )

    mapping = _Mapping(path, offset, math.prod(shape) * dtype.itemsize)
    rows = np.asarray(mapping).view(dtype).reshape(shape).view(MappedRows)
    rows._check = check
    return rows


class _Mapping:
    """A part of a file in memory, read-only, as long as an array of it is held.

    By the system's own call: Python's `mmap`, and NumPy's `memmap` with it, keep a descriptor of the file open, and a
    training that maps a thousand shards would meet the limit of open files.
    """

    def __init__(self, path: Path, offset: int, size: int) -> None:
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        length = offset + size - start
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < offset + size:
                raise ShardError(f"{path} ends before byte {offset + size}; restore it, or remove it and run again")
            address = _LIBC.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), start)
        if address in (None, ctypes.c_void_p(-1).value):
            code = ctypes.get_errno()
            raise OSError(code, f"{length} bytes cannot be mapped: {os.strerror(code)}", str(path))
        self._place = address, length
        weakref.finalize(self, _LIBC.munmap, address, length).atexit = False
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size,),
            "data": (address + offset - start, True),
        }

    def release_pages(self) -> None:
        """See `MappedRows.release_pages`; where the system knows no such advice nothing happens."""
        if hasattr(mmap, "MADV_DONTNEED"):
            _LIBC.madvise(*self._place, mmap.MADV_DONTNEED)


def _as_plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, MappedRows) else value


def _plain(value: Any) -> Any:
    return np.asarray(value) if type(value) is MappedRows and value._check is None else value


def _look_at(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, MappedRows):
            value._look()
        elif isinstance(value, list | tuple):
            _look_at(value)

"""Rows of a mapped file. Each use checks the file's size first, so a shortened file gives an error, not a signal."""

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

    Reading behind the end of a shortened file that is mapped ends a process (SIGBUS). Slicing, NumPy's functions and
    copying therefore compare the file's size first. That takes as long as one `stat`, 3 to 17 microseconds in
    measurements. Two cases are not guarded: code that uses the memory directly (`np.asarray`, `torch.from_numpy`), and
    a file that is shortened between the check and the use.
    Copies and results are plain arrays.
    """

    _check: Callable[[], None] | None = None

    def __array_finalize__(self, source: Any) -> None:
        """Pass the check on to views, whose base is a guarded array; copies need none."""
        base = self.base
        if type(base) is MappedRows:
            self._check = base._check

    def _look(self) -> None:
        if self._check is not None:
            self._check()

    def release_pages(self) -> None:
        """Release the pages of the whole mapping from this process's memory; they are read again when needed.

        Pages of a mapped file count as the process's memory until the system needs the room: a training that has read
        every clip would look as large as the store. The pages stay in the system's cache of the file.
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
        """Compute on plain arrays; NumPy refuses these rows as output, since they are read-only."""
        _look_at((*inputs, *kwargs.values()))
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_as_plain, kwargs["out"]))
        if "where" in kwargs:
            kwargs["where"] = _as_plain(kwargs["where"])
        return getattr(ufunc, method)(*map(_as_plain, inputs), **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Check the files of all arguments first."""
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
        dtype: Type of the rows.
        offset: Their first byte in the file.
        shape: (rows, *shape of a row).

    """
    status = path.stat()
    expected = (status.st_dev, status.st_ino, status.st_size)

    name = str(path)  # os.stat of a string is three times as fast as Path.stat, and this is done for every slice

    def check() -> None:
        try:
            now = os.stat(name)  # noqa: PTH116
        except FileNotFoundError:
            return  # removed: the mapped content stays whole
        # If another file has got the same name, the mapped one stays whole, too.
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
    """A part of a file, mapped read-only as long as an array of it exists.

    It uses the system's own call: Python's `mmap`, and so NumPy's `memmap`, keeps a descriptor of the file open, and a
    training that maps a thousand shards would reach the limit of open files.
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
        """See `MappedRows.release_pages`; does nothing on a system without MADV_DONTNEED."""
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

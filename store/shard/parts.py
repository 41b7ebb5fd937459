"""Parts of an HDF5 file that anyone may have made: opened only where they lie in it, and as large as they say."""

import contextlib
import functools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5o, h5p

from store.errors import ShardError
from store.features import ANY_WIDTH
from store.schema import Column

#: Bytes; a table of utterances is read whole, and one of 4096 clips with long messages has 2 MB.
_LARGEST_COLUMN = 256 << 20


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file, without a lock; whatever of it is open is closed with it."""
    file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _make_access())
    try:
        yield file
    finally:
        file.close()


@functools.cache
def _make_access() -> Any:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_file_locking(False, False)
    return access


class Parts:
    """Reads groups, datasets and attributes of one open file by HDF5's own calls.

    By few of them: each thing of HDF5's that h5py opens takes it some 20 microseconds, and there are very many shards.

    Args:
        path: The file, for messages.
        size: Its bytes; nothing in it may reach beyond.
        descriptor: Of the open file.

    Attributes:
        stage: What the file is of, as soon as that is known.

    Raises:
        ShardError: Each of its methods, where a part is missing, lies elsewhere, or is not what it must be.
    """

    def __init__(self, path: Path, size: int, descriptor: int) -> None:
        self.path = path
        self.size = size
        self.descriptor = descriptor
        self.stage = ""

    def open_part(self, group: Any, name: str) -> Any:
        """Open a part of a group, unless it is somewhere else."""
        key = name.rpartition("/")[2].encode()
        if not group.links.exists(key):
            raise ShardError(f"{self.path} has no dataset {name}, which the stage {self.stage} must have")
        kind = group.links.get_info(key).type
        if kind != h5l.TYPE_HARD:
            target = f" to {os.fsdecode(group.links.get_val(key)[0])}" if kind == h5l.TYPE_EXTERNAL else ""
            raise ShardError(f"{self.path}: {name} is a link{target}; a shard must contain its own data")
        return h5o.open(group, key)

    def open_dataset(self, group: Any, name: str) -> Any:
        """Open a dataset, unless it or its data are somewhere else."""
        dataset = self.open_part(group, name)
        if not isinstance(dataset, h5d.DatasetID):
            raise ShardError(f"{self.path}: {name} is not a dataset")
        if dataset.get_offset() is None:  # else it is one piece of this file: HDF5 gives no place to anything else
            layout = dataset.get_create_plist()
            if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
                raise ShardError(
                    f"{self.path}: the data of {name} are in another file; a shard must contain its own data"
                )
        return dataset

    def read_attribute(self, place: Any, name: str, kinds: str) -> Any:
        """Read an attribute that is one value of one of some kinds (NumPy's letters)."""
        attribute = h5a.open(place, name.encode())
        shape, kind = attribute.shape, attribute.get_type()
        dtype = kind.dtype
        if shape != () or dtype.kind not in kinds or dtype.itemsize > self.size:
            raise ShardError(f"{self.path}: the attribute {name} is {shape} {dtype}")
        value = np.empty((), dtype)
        attribute.read(value, kind)
        return value[()]

    def read_text(self, place: Any, name: str) -> str:
        """Read an attribute that is a text."""
        return decode_text(self.read_attribute(place, name, "S"))

    def read_column(self, utterances: Any, column: Column) -> np.ndarray:
        """Read a column of the table of utterances, which must lie in the file as it is: nothing is unpacked."""
        dataset = self.open_dataset(utterances, f"utterances/{column.name}")
        shape, dtype = dataset.shape, dataset.dtype
        kind = np.dtype(column.dtype).kind
        if len(shape) != 1 or dtype.kind != kind or (kind != "S" and dtype.itemsize > 8):
            raise ShardError(f"{self.path}: utterances/{column.name} is {shape} {dtype}, it must be ({kind}) a column")
        size = shape[0] * dtype.itemsize
        if size > _LARGEST_COLUMN:
            raise ShardError(
                f"{self.path}: utterances/{column.name} has {size} bytes; at most {_LARGEST_COLUMN} are read"
            )
        offset = self.check_contiguous(dataset, f"utterances/{column.name}", size)
        values = np.empty(shape, dtype)
        if size and os.preadv(self.descriptor, [values.view(np.uint8).data], offset or 0) != size:
            raise ShardError(f"{self.path} ends in utterances/{column.name}; restore or remove it")
        return values

    def check_contiguous(self, dataset: Any, name: str, size: int) -> int | None:
        """Give a dataset's place in the file, and refuse one that is packed, in pieces, or larger than the file."""
        offset = dataset.get_offset()
        if size and (offset is None or offset + size > self.size):
            raise ShardError(f"{self.path}: {name} is not one piece of this file; it must be contiguous")
        return offset

    def place(self, root: Any, column: Column) -> tuple[int | None, tuple[int, ...], np.dtype]:
        """Give first byte, shape and type of a dataset of rows, and refuse one of another shape or type."""
        dataset = self.open_dataset(root, column.name)
        shape, dtype = dataset.shape, dataset.dtype
        if len(shape) < 1 or not _fits(shape[1:], column.shape) or dtype != np.dtype(column.dtype):
            raise ShardError(
                f"{self.path}: {column.name} has rows {shape[1:]} {dtype}, they must be {column.shape} "
                f"{np.dtype(column.dtype)}"
            )
        return self.check_contiguous(dataset, column.name, math.prod(shape) * dtype.itemsize), shape, dtype


def _fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    """Tell whether a row's shape is the declared one; where that leaves the width open, whether there is one."""
    return len(shape) == len(declared) and all(
        size == wanted or (wanted == ANY_WIDTH and size > 0) for size, wanted in zip(shape, declared, strict=True)
    )


def decode_text(value: Any) -> str:
    """Give a text of fixed length, which HDF5 fills up with zero bytes."""
    return bytes(value).rstrip(b"\0").decode()

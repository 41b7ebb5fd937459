"""Parts of an HDF5 file that may come from anyone: one outside of the file, or of another size or type, is refused."""

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
    """Open an HDF5 file, without a lock; all of its parts are closed with it."""
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

    It makes few calls: h5py takes some 20 microseconds for each object that it opens, and there are very many shards.

    Args:
        path: The file, for messages.
        size: Its size in bytes; nothing in it may reach beyond.
        descriptor: File descriptor of the open file.

    Attributes:
        stage: The file's stage, once it has been read; for messages.

    Raises:
        ShardError: Every method raises it if a part is missing, is in another file, or has another type or size.
    """

    def __init__(self, path: Path, size: int, descriptor: int) -> None:
        self.path = path
        self.size = size
        self.descriptor = descriptor
        self.stage = ""

    def open_part(self, group: Any, name: str) -> Any:
        """Open a part of a group; a link to somewhere else is refused."""
        key = name.rpartition("/")[2].encode()
        if not group.links.exists(key):
            raise ShardError(f"{self.path} has no dataset {name}, which the stage {self.stage} must have")
        kind = group.links.get_info(key).type
        if kind != h5l.TYPE_HARD:
            target = f" to {os.fsdecode(group.links.get_val(key)[0])}" if kind == h5l.TYPE_EXTERNAL else ""
            raise ShardError(f"{self.path}: {name} is a link{target}; a shard must contain its own data")
        return h5o.open(group, key)

    def open_dataset(self, group: Any, name: str) -> Any:
        """Open a dataset; one whose data are in another file is refused."""
        dataset = self.open_part(group, name)
        if not isinstance(dataset, h5d.DatasetID):
            raise ShardError(f"{self.path}: {name} is not a dataset")
        if dataset.get_offset() is None:  # HDF5 gives an offset only to a dataset that is one piece of this file
            layout = dataset.get_create_plist()
            if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
                raise ShardError(
                    f"{self.path}: the data of {name} are in another file; a shard must contain its own data"
                )
        return dataset

    def read_attribute(self, place: Any, name: str, kinds: str) -> Any:
        """Read an attribute that is a single value; `kinds` are NumPy's letters of the types that are allowed."""
        attribute = h5a.open(place, name.encode())
        shape, kind = attribute.shape, attribute.get_type()
        dtype = kind.dtype
        if shape != () or dtype.kind not in kinds or dtype.itemsize > self.size:
            raise ShardError(f"{self.path}: the attribute {name} is {shape} {dtype}, it must be one value ({kinds})")
        value = np.empty((), dtype)
        attribute.read(value, kind)
        return value[()]

    def read_text(self, place: Any, name: str) -> str:
        """Read an attribute that is a text."""
        return decode_text(self.read_attribute(place, name, "S"))

    def read_column(self, utterances: Any, column: Column) -> np.ndarray:
        """Read a column of the table of utterances, which must be contiguous: nothing is decompressed."""
        dataset = self.open_dataset(utterances, f"utterances/{column.name}")
        shape, dtype = dataset.shape, dataset.dtype
        kind = np.dtype(column.dtype).kind
        if len(shape) != 1 or dtype.kind != kind or (kind != "S" and dtype.itemsize > 8):
            raise ShardError(f"{self.path}: utterances/{column.name} is {shape} {dtype}, it must be a column ({kind})")
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
        """Give a dataset's first byte; refuse a dataset that is compressed, in pieces, or larger than the file."""
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
    """Tell whether a row's shape is the declared one; where that leaves the width open, any width above 0 fits."""
    return len(shape) == len(declared) and all(
        size == wanted or (wanted == ANY_WIDTH and size > 0) for size, wanted in zip(shape, declared, strict=True)
    )


def decode_text(value: Any) -> str:
    """Decode a text of fixed length, which HDF5 pads with zero bytes."""
    return bytes(value).rstrip(b"\0").decode()

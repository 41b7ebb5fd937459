"""Reading one shard of one stage: a file mapped into memory, rows as views."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.errors import ShardError
from store.schema import FORMAT, FORMAT_VERSION, SCHEMAS, UTTERANCE_COLUMNS
from store.writer import sidecar_path


class Shard:
    """One stage's rows of a fixed group of utterances, read-only.

    Opening reads the table of utterances and the places of the datasets; rows are mapped when first touched. Holds no
    open file, so it may be pickled or inherited by a forked process.

    Args:
        path: The shard's HDF5 file.

    Raises:
        FileNotFoundError: There is no such file.
        ShardError: The file is cut short, of another product, or of a later format version.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check_size()
        try:
            with h5py.File(path, "r", locking=False) as file:
                self._read(file)
        except OSError as error:
            raise ShardError(
                f"{path} cannot be read as HDF5 ({error}); remove it, and the next run makes it again"
            ) from error
        self._maps: dict[str, np.ndarray] = {}

    def _check_size(self) -> None:
        size = self.path.stat().st_size
        try:
            expected = json.loads(sidecar_path(self.path).read_text())["size"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ShardError(
                f"{sidecar_path(self.path)} is missing or unreadable ({error}); remove both files of this shard, "
                "and the next run makes them again"
            ) from error
        if size != expected:
            raise ShardError(
                f"{self.path} has {size} bytes, it was written with {expected}; remove it, and the next run makes it "
                "again"
            )

    def _read(self, file: h5py.File) -> None:
        product = _text(file.attrs.get("format", b""))
        if product != FORMAT:
            raise ShardError(f"{self.path} is no shard: its attribute format is {product!r}, it must be {FORMAT!r}")
        version = int(file.attrs["format_version"])
        if version > FORMAT_VERSION:
            raise ShardError(
                f"{self.path} has format version {version}, this release reads up to {FORMAT_VERSION}; update Valar"
            )
        self.stage = _text(file.attrs["stage"])
        self.shard = _text(file.attrs["shard"])
        self.fingerprint = _text(file.attrs["fingerprint"])
        self.provenance: dict[str, Any] = json.loads(_text(file.attrs["provenance"]))
        schema = SCHEMAS[self.stage]
        table = file["utterances"]
        self._columns = {column.name: table[column.name][()] for column in (*UTTERANCE_COLUMNS, *schema.facts)}
        names = [column.name for column in schema.rows] + (["bytes"] if schema.bytes_of else [])
        self._places = {name: (file[name].id.get_offset(), file[name].shape, file[name].dtype) for name in names}

    @cached_property
    def names(self) -> list[str]:
        """Names of the utterances, in the order of their rows."""
        return [_text(name) for name in self._columns["id"]]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def fact(self, name: str, fact: str) -> Any:
        """Give one value of the table of utterances; strings as str, numbers as Python's."""
        value = self._columns[fact][self._index[name]]
        return _text(value) if isinstance(value, bytes) else value.item()

    def facts(self, fact: str) -> np.ndarray:
        """Give one column of the table of utterances, as stored (strings as bytes)."""
        return self._columns[fact]

    def rows(self, name: str, dataset: str) -> np.ndarray:
        """Give an utterance's rows of one dataset as a read-only view of the file, without a copy."""
        offset, length = self.fact(name, "offset"), self.fact(name, "length")
        return self.dataset(dataset)[offset : offset + length]

    def images(self, name: str) -> list[bytes]:
        """Give an utterance's compressed images, for the stages that keep those."""
        data = self.dataset("bytes")
        places = zip(self.rows(name, "start").tolist(), self.rows(name, "size").tolist(), strict=True)
        return [data[start : start + size].tobytes() for start, size in places]

    def dataset(self, dataset: str) -> np.ndarray:
        """Give the rows of all utterances end to end, as a read-only view of the file."""
        if dataset not in self._maps:
            offset, shape, dtype = self._places[dataset]
            if offset is None or 0 in shape:  # HDF5 gives no place to a dataset without rows
                self._maps[dataset] = np.zeros(shape, dtype)
            else:
                self._maps[dataset] = np.memmap(self.path, dtype, "r", offset, shape).view(np.ndarray)
        return self._maps[dataset]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mappings behind: a pickled mapping would be a copy of the whole file."""
        return {**self.__dict__, "_maps": {}}


def _text(value: Any) -> str:
    return bytes(value).rstrip(b"\0").decode()

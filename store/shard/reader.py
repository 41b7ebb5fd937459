"""Reading one shard of one stage: a file mapped into memory, rows as views."""

import contextlib
import itertools
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5g

from store.errors import ShardError, UtteranceNotFoundError, check_version
from store.features import ANY_WIDTH, find_schema, with_width
from store.json_files import check_object, parse_json
from store.names import check_utterance
from store.schema import BYTES, FORMAT, FORMAT_VERSION, SCHEMAS, STATUSES, UTTERANCE_COLUMNS
from store.shard.images import Images
from store.shard.mapped import map_rows
from store.shard.parts import Parts, decode_text, opened
from store.shard.sidecar import Sidecar, read_sidecar

_MOST_LOADED = 16 << 20


class Shard:
    """One stage's rows of a fixed group of utterances, read-only.

    Opening compares the file's size and the digests of its structure with the sidecar, then reads the table of
    utterances and the places of the datasets. Rows are mapped at the first use. A shard holds no open file, so it may
    be pickled or inherited by a forked process.

    Args:
        path: The shard's HDF5 file.
        mapped: False reads copies instead of mapping the file: slower, but whatever happens to the file later, even
            while a view of it is in use, is an error and never a signal that ends the process.

    Raises:
        FileNotFoundError: There is no such file.
        ShardError: The file is shortened, damaged, of another product, of a later format version, or refers to other
            files.

    """

    def __init__(self, path: Path, *, mapped: bool = True) -> None:
        self.path = path
        self.mapped = mapped
        self._size = path.stat().st_size
        sidecar = read_sidecar(path)
        self._check_bytes(sidecar)
        try:
            with opened(path) as file:
                self._read(file)
        except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise ShardError(
                f"{path} cannot be read as HDF5 ({error}); remove it, and the next run makes it again"
            ) from error
        self._maps: dict[str, np.ndarray] = {}
        #: Columns of the table of utterances as Python's values, filled at their first use.
        self._values: dict[str, list[Any]] = {}

    def _check_bytes(self, sidecar: Sidecar) -> None:
        if self._size != sidecar.size:
            raise ShardError(
                f"{self.path} has {self._size} bytes, it was written with {sidecar.size}; remove it, and the next run "
                "makes it again"
            )
        # A flipped bit in HDF5's own structures can hang libhdf5, so it opens only files with undamaged structures.
        damage = next(sidecar.find_damage(self.path, sidecar.structural_blocks), None)
        if damage is not None:
            raise ShardError(
                f"{self.path} is damaged between its bytes {damage[0]} and {damage[1]}; "
                "`valar store verify --repair` sets it aside, and the next run makes it again"
            )

    def _read(self, file: Any) -> None:
        root, parts = h5g.open(file, b"/"), Parts(self.path, self._size, file.get_vfd_handle())
        product = parts.read_text(root, "format") if h5a.exists(root, b"format") else ""
        if product != FORMAT:
            raise ShardError(f"{self.path} is not a shard: its attribute format is {product!r}, it must be {FORMAT!r}")
        check_version(self.path, int(parts.read_attribute(root, "format_version", "iu")), FORMAT_VERSION)
        self.stage = parts.stage = parts.read_text(root, "stage")
        self.shard = parts.read_text(root, "shard")
        self.fingerprint = parts.read_text(root, "fingerprint")
        self.provenance = parse_json(parts.read_text(root, "provenance"))
        check_object(self.provenance.get("settings", {}), "settings in the provenance")
        schema = find_schema(self.stage)
        if schema is None:
            raise ShardError(f"{self.path} is of the stage {self.stage!r}, it must be one of {', '.join(SCHEMAS)}")
        utterances = parts.open_part(root, "utterances")
        if not isinstance(utterances, h5g.GroupID):
            raise ShardError(f"{self.path}: utterances is not a group")
        self._columns: dict[str, np.ndarray] = {}
        for column in (*UTTERANCE_COLUMNS, *schema.facts):
            # A fact that a later release has added is not in earlier files.
            if column in UTTERANCE_COLUMNS or column.name.encode() in utterances:
                self._columns[column.name] = parts.read_column(utterances, column)
        if len({len(values) for values in self._columns.values()}) > 1:
            raise ShardError(f"{self.path}: the columns of /utterances have different lengths")
        columns = [*schema.rows, BYTES] if schema.bytes_of else [*schema.rows]
        self._places = {column.name: parts.place(root, column) for column in columns}
        widths = [self._places[column.name][1][1] for column in schema.rows if ANY_WIDTH in column.shape]
        #: The stage's schema, with the width of this file's rows.
        self.schema = with_width(schema, widths[0]) if widths else schema

    def num_rows(self, dataset: str) -> int:
        """Give the number of rows of one dataset, of all utterances."""
        return int(self._places[dataset][1][0])

    @cached_property
    def names(self) -> list[str]:
        """Names of the utterances, in the order of their rows.

        Raises:
            ShardError: A name is not UTF-8, or not a valid name of an utterance.
        """
        try:
            return [check_utterance(decode_text(name)) for name in self._columns["id"]]
        except ValueError as error:
            raise ShardError(
                f"{self.path}: utterances/id: {error}; remove it, and the next run makes it again"
            ) from error

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _spans(self) -> dict[str, slice]:
        """Rows of each utterance, kept as slices, since training needs them all the time."""
        lengths = [int(length) for length in self._columns["length"]]
        ends = list(itertools.accumulate(lengths))
        if min(lengths, default=0) < 0 or self._columns["offset"].tolist() != [0, *ends[:-1]][: len(ends)]:
            raise ShardError(f"{self.path}: offset is not the running sum of length; run verify")
        odd = [column.name for column in self.schema.rows if self.num_rows(column.name) != sum(lengths)]
        if odd:
            raise ShardError(
                f"{self.path}: {odd[0]} has another number of rows than the utterances together; run verify"
            )
        places = zip(self.names, self._columns["offset"].tolist(), self._columns["length"].tolist(), strict=True)
        return {name: slice(offset, offset + length) for name, offset, length in places}

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def fact(self, name: str, fact: str) -> Any:
        """Give one value of the table of utterances; strings as str, numbers as Python's."""
        row = self._index.get(name)
        if row is None:
            raise UtteranceNotFoundError(f"{name} is not in {self.path}")
        values = self._values.get(fact)
        if values is None:
            values = self._values[fact] = self._read_values(fact)
        value = values[row]
        if not isinstance(value, bytes):
            return value
        try:
            return decode_text(value)
        except ValueError as error:
            raise ShardError(f"{self.path}: {fact} of {name} is not UTF-8; run verify") from error

    def _read_values(self, fact: str) -> list[Any]:
        """Give a column as Python's values; strings stay bytes if one of them is not UTF-8."""
        values = self._columns[fact].tolist()
        if self._columns[fact].dtype.kind == "S":
            with contextlib.suppress(ValueError):
                return list(map(decode_text, values))
        return values

    def check_rows(self, name: str) -> None:
        """Refuse an utterance that is not in the shard, whose status is unknown, or whose rows are not in the file.

        Raises:
            ShardError: One of these is true.
        """
        if name not in self:
            raise ShardError(f"{self.path} has no utterance {name}")
        if self.fact(name, "status") not in STATUSES:
            raise ShardError(f"{self.path}: the status of {name} must be one of {', '.join(STATUSES)}")
        _ = self.fact(name, "message"), self._spans

    @property
    def fact_names(self) -> list[str]:
        """Names of the columns of the table of utterances."""
        return list(self._columns)

    def facts(self, fact: str) -> np.ndarray:
        """Give one column of the table of utterances, as stored (strings as bytes)."""
        return self._columns[fact]

    def rows(self, name: str, dataset: str) -> np.ndarray:
        """Give an utterance's rows of one dataset as a read-only view of the file, without a copy.

        Raises:
            ShardError: The file has become shorter; using the view later raises it, too (`MappedRows`).

        """
        if name not in self._spans:
            raise UtteranceNotFoundError(f"{name} is not in {self.path}")
        span, found = self._spans[name], self._maps.get(dataset)
        if found is not None:
            return found[span]
        if not self.mapped:
            return self._copy(dataset, span.start, span.stop - span.start)
        return self.dataset(dataset)[span]

    def load(self, *datasets: str) -> None:
        """Read whole datasets into memory, for callers that use all rows: each use then needs no check of the file.

        A dataset of more than 16 MiB stays in the file.
        """
        for dataset in datasets:
            _, shape, dtype = self._places[dataset]
            if math.prod(shape) * dtype.itemsize <= _MOST_LOADED:
                self._maps[dataset] = self._copy(dataset, 0, shape[0])

    def images(self, name: str) -> Images:
        """Give an utterance's compressed images, for stages that keep them; each is read when it is accessed."""
        return Images(self._read_bytes, self.rows(name, "start").copy(), self.rows(name, "size").copy())

    def _read_bytes(self, start: int, size: int) -> bytes:
        if not 0 <= start <= start + size <= self.num_rows("bytes"):
            raise ShardError(f"{self.path}: an image is said to be {size} bytes from {start}, outside of its dataset")
        if not self.mapped:
            return self._copy("bytes", start, size).tobytes()
        return np.asarray(self.dataset("bytes")[start : start + size]).tobytes()  # the slice has checked the file

    def dataset(self, dataset: str) -> np.ndarray:
        """Give the rows of all utterances end to end, as a read-only view of the file."""
        offset, shape, dtype = self._places[dataset]
        if not self.mapped:
            return self._copy(dataset, 0, shape[0])
        if dataset not in self._maps:
            if offset is None or 0 in shape:  # HDF5 gives no place to a dataset without rows
                self._maps[dataset] = np.zeros(shape, dtype)
            elif offset % dtype.itemsize:  # smaller than a page: HDF5 may put it anywhere
                self._maps[dataset] = self._copy(dataset, 0, shape[0])
            else:
                self._check_length()
                self._maps[dataset] = map_rows(self.path, dtype, offset, shape)
        return self._maps[dataset]

    def _check_length(self) -> None:
        size = self.path.stat().st_size
        if size != self._size:
            raise ShardError(
                f"{self.path} has {size} bytes, it had {self._size} when it was opened; restore it, or remove it and "
                "run again"
            )

    def _copy(self, dataset: str, start: int, length: int) -> np.ndarray:
        offset, shape, dtype = self._places[dataset]
        rows = np.empty((max(0, min(length, shape[0] - start)), *shape[1:]), dtype)
        if rows.nbytes:
            with self.path.open("rb", buffering=0) as file:
                file.seek((offset or 0) + start * (rows.nbytes // len(rows)))
                view, done = rows.data.cast("B"), 0
                while done < len(view) and (count := file.readinto(view[done:])):  # one call reads 2 GiB at most
                    done += count
            if done < len(view):
                raise ShardError(f"{self.path} ends {len(view) - done} bytes early in {dataset}; restore or remove it")
        rows.flags.writeable = False
        return rows

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the mappings: a pickled mapping would be a copy of the whole file."""
        return {**self.__dict__, "_maps": {}}

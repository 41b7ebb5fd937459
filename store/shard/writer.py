"""Writing one shard of one stage: rows are spooled to scratch, then written at their exact size."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from store import files
from store.errors import ShardError
from store.features import ANY_WIDTH, find_schema, with_width
from store.names import check_utterance
from store.schema import BYTES, FORMAT, FORMAT_VERSION, STATUSES, UTTERANCE_COLUMNS
from store.shard.sidecar import compute_sidecar, write_sidecar
from store.shard.structure import Scaled, as_array, set_attribute

#: Datasets of this size and more start at multiples of it, so that a reader can map them (FORMAT.md, section 3).
ALIGNMENT = 4096
_COPY_BYTES = 16 << 20
# Room that is tested before libhdf5 writes: if the disk becomes full in a file's first pages, libhdf5 ends the process.
_STRUCTURE_BYTES = 64 << 10
_UTTERANCE_BYTES = 1 << 10


class UtteranceRows:
    """Takes the rows of one utterance; made by `ShardWriter.utterance`."""

    def __init__(self, writer: "ShardWriter", name: str, source_sha256: str) -> None:
        self.name = name
        self.source_sha256 = source_sha256
        self.status = "ok"
        self.message = ""
        self.facts: dict[str, Any] = {}
        self.length = 0
        self._writer = writer

    def append(self, **rows: np.ndarray) -> None:
        """Add rows: one array (rows, *row shape) per dataset of the stage, all of one length.

        Raises:
            ValueError: A dataset is missing, unknown, or of another shape.

        """
        self.length += self._writer._spool_rows(rows)

    def append_bytes(self, images: list[bytes]) -> None:
        """Add one row per compressed image, for the stages that keep those."""
        starts = self._writer._spool_bytes(images)
        sizes = np.array([len(image) for image in images], "<i8")
        self.append(start=starts, size=sizes)

    def set_status(self, status: str, message: str) -> None:
        """Say in one sentence why the utterance has no rows, or what is odd about them."""
        if status not in STATUSES:
            raise ValueError(f"status = {status!r} must be one of {', '.join(STATUSES)}")
        self.status, self.message = status, message


class ShardWriter:
    """Writes one shard of one stage; a context manager that leaves a whole file or none.

    Args:
        path: The file to write; it must not exist.
        stage: Name of a stage, see `store.features.find_schema`.
        shard: The shard's id.
        fingerprint: The stage set's fingerprint.
        provenance: Settings, versions, weights; written as JSON, so plain values only, and nothing that differs from
            run to run, since equal inputs are to give equal files.
        scratch: Folder for the spooled rows; the file's own folder by default.
        width: How many numbers a row of a declared feature has.

    """

    def __init__(
        self,
        path: Path,
        *,
        stage: str,
        shard: str,
        fingerprint: str,
        provenance: Mapping[str, Any],
        scratch: Path | None = None,
        width: int = ANY_WIDTH,
    ) -> None:
        if path.exists():
            raise ShardError(f"{path} exists and is never changed; remove it if it should be made again")
        self.path = path
        schema = find_schema(stage)
        if schema is None:
            raise ValueError(f"no stage is called {stage!r}")
        self._schema = with_width(schema, width)
        if any(ANY_WIDTH in column.shape for column in self._schema.rows):
            raise ValueError(f"stage {stage} needs the width of its rows, at least 1")
        self._attributes: dict[str, str | int] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "stage": stage,
            "shard": shard,
            "fingerprint": fingerprint,
            "provenance": json.dumps(provenance, sort_keys=True, ensure_ascii=False),
        }
        self._utterances: list[UtteranceRows] = []
        self._scratch = scratch or path.parent
        self._open_spools = contextlib.ExitStack()
        self._spools: dict[str, Any] = {}
        self._bytes_spooled = 0

    def __enter__(self) -> "ShardWriter":
        self._scratch.mkdir(parents=True, exist_ok=True)
        names = [column.name for column in self._schema.rows]
        for name in [*names, BYTES.name] if self._schema.bytes_of else names:
            # Unnamed on Linux: nothing is left behind, however the process ends.
            self._spools[name] = self._open_spools.enter_context(tempfile.TemporaryFile(dir=self._scratch))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with files.naming_full_disk(self._scratch), self._open_spools:
            if error is None:
                self._write()

    @contextlib.contextmanager
    def utterance(self, name: str, *, source_sha256: str = "") -> Iterator[UtteranceRows]:
        """Open the next utterance; its rows count when the block ends without an error.

        Raises:
            ValueError: The name is not valid: readers would refuse the shard.

        """
        rows = UtteranceRows(self, check_utterance(name), source_sha256)
        yield rows
        self._utterances.append(rows)

    def _spool_rows(self, rows: Mapping[str, np.ndarray]) -> int:
        expected = {column.name for column in self._schema.rows}
        if set(rows) != expected:
            raise ValueError(
                f"stage {self._schema.name} keeps {sorted(expected)}, but the rows given are {sorted(rows)}"
            )
        lengths = set()
        for column in self._schema.rows:
            array = np.ascontiguousarray(rows[column.name], dtype=column.dtype)
            if array.shape[1:] != column.shape:
                raise ValueError(f"rows of {column.name} have shape {array.shape[1:]}, they must have {column.shape}")
            lengths.add(len(array))
            self._spool(column.name, array.data)
        if len(lengths) > 1:
            raise ValueError(f"datasets of stage {self._schema.name} got different numbers of rows: {sorted(lengths)}")
        return lengths.pop() if lengths else 0

    def _spool_bytes(self, images: list[bytes]) -> np.ndarray:
        starts = np.cumsum([self._bytes_spooled, *(len(image) for image in images)], dtype="<i8")
        for image in images:
            self._spool(BYTES.name, image)
        self._bytes_spooled = int(starts[-1])
        return starts[:-1]

    def _spool(self, name: str, data: bytes | memoryview) -> None:
        with files.naming_full_disk(self._scratch, memoryview(data).nbytes):
            self._spools[name].write(data)

    def _write(self) -> None:
        spooled = sum(spool.seek(0, 2) for spool in self._spools.values())
        num_bytes = spooled + _STRUCTURE_BYTES + _UTTERANCE_BYTES * len(self._utterances)
        with files.replacing(self.path, is_flushed=True) as partial, files.naming_full_disk(self.path, num_bytes):
            places = self._write_structure(partial)
            # Not through libhdf5, which copies once more and is not faster.
            with partial.open("r+b", buffering=0) as file:
                # One buffer for all: fresh memory for each piece costs more than the copying.
                buffer = memoryview(bytearray(min(_COPY_BYTES, max((size for _, size in places.values()), default=0))))
                for name, (offset, _) in places.items():
                    self._spools[name].seek(0)
                    file.seek(offset)
                    while count := self._spools[name].readinto(buffer):
                        _write_all(file, buffer[:count])
            # The disk writes while the processor computes the digests.
            with ThreadPoolExecutor(1) as pool:
                flushed = pool.submit(files.flush_file, partial)
                sidecar = compute_sidecar(partial, places)
                flushed.result()
            # The sidecar comes first, so that every shard that exists has one.
            write_sidecar(self.path, sidecar)

    def _write_structure(self, path: Path) -> dict[str, tuple[int, int]]:
        """Write everything except the rows; give the rows' places (dataset to first byte and bytes)."""
        places: dict[str, tuple[int, int]] = {}
        path.write_bytes(bytes(_STRUCTURE_BYTES + _UTTERANCE_BYTES * len(self._utterances)))
        with h5py.File(path, "w", alignment_threshold=ALIGNMENT, alignment_interval=ALIGNMENT) as file:
            root = h5py.h5g.open(file.id, b"/")
            for name, value in self._attributes.items():
                set_attribute(root, name, value)
            self._write_utterances(Scaled(file.create_group("utterances").id))
            total = sum(rows.length for rows in self._utterances)
            columns = [(column, total, column.description) for column in self._schema.rows]
            if self._schema.bytes_of:
                columns.append((BYTES, self._bytes_spooled, self._schema.bytes_of))
            group = Scaled(root)
            for column, num_rows, description in columns:
                place = group.allocate(column, num_rows, description)
                if place is not None:
                    places[column.name] = place
                    self._check_spool(column.name, place[1])
        return places

    def _check_spool(self, name: str, expected: int) -> None:
        found = self._spools[name].seek(0, 2)
        if found != expected:
            raise OSError(f"the spool of {name} in {self._scratch} has {found} bytes, {expected} were written to it")

    def _write_utterances(self, group: Scaled) -> None:
        lengths = np.array([rows.length for rows in self._utterances], "<i8")
        values: dict[str, Any] = {
            "id": [rows.name for rows in self._utterances],
            "offset": np.cumsum(lengths) - lengths,
            "length": lengths,
            "status": [rows.status for rows in self._utterances],
            "message": [rows.message for rows in self._utterances],
            "source_sha256": [rows.source_sha256 for rows in self._utterances],
        }
        for column in (*UTTERANCE_COLUMNS, *self._schema.facts):
            if column in self._schema.facts:
                empty = "" if column.dtype.startswith("S") else -1
                value = [rows.facts.get(column.name, empty) for rows in self._utterances]
            else:
                value = values[column.name]
            group.write(column, as_array(value, column.dtype))


def _write_all(file: Any, data: memoryview) -> None:
    # One write to an unbuffered file may write only a part.
    while data:
        data = data[file.write(data) :]

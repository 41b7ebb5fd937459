"""Copies of the shards' tables of utterances, kept beside each stage set, so that shards need not be opened again.

`<store>/<stage>/.<fingerprint>.json` has the counts of every shard. `.<fingerprint>.tables.json` has the tables
themselves, for the stages whose tables a run needs. Both are caches. An entry counts only if the shard's file still has
the same size and time; if an entry is missing, damaged or of another version, the shard is read. Readers of a store
ignore names that begin with a dot (FORMAT.md, section 1).
"""

import contextlib
import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from store import files
from store.errors import StoreError
from store.features import list_stage_folders
from store.json_files import check_integer, check_list, check_object, reading_json
from store.layout import find_stage_sets, stage_folder
from store.names import is_id
from store.schema import STATUSES
from store.shard.reader import Shard

_VERSION = 1
_COLUMNS = ("id", "status", "message", "length", "source_sha256")
#: Size in bytes and time of change in ns of a shard's file.
Stamp = tuple[int, int]


@dataclass(frozen=True)
class Table:
    """The utterances of a shard with status, message, length and digest: the columns that every stage has.

    Args:
        names: Names of the utterances, in the order of the file.
        columns: status, message, length and source_sha256, each as long as `names`.
    """

    names: tuple[str, ...]
    columns: Mapping[str, tuple[Any, ...]]

    @classmethod
    def of(cls, shard: Shard) -> "Table":
        """Read a shard's own table."""
        names = tuple(shard.names)
        return cls(names, {fact: tuple(shard.fact(name, fact) for name in names) for fact in _COLUMNS[1:]})

    @classmethod
    def join(cls, rows: Mapping[str, tuple["Table", str]]) -> "Table":
        """Make a table from rows of other tables.

        Args:
            rows: Name of an utterance in the new table, to a table and the utterance's name in that table.
        """
        columns = {fact: tuple(table.fact(name, fact) for table, name in rows.values()) for fact in _COLUMNS[1:]}
        return cls(tuple(rows), columns)

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def fact(self, name: str, fact: str) -> Any:
        """Give one value of an utterance that is in it."""
        return self.columns[fact][self._index[name]]

    def row(self, name: str) -> tuple[str, str, int, str]:
        """Give status, message, length and source_sha256 of an utterance that is in it."""
        number, columns = self._index[name], self.columns
        return (
            columns["status"][number],
            columns["message"][number],
            columns["length"][number],
            columns["source_sha256"][number],
        )

    def find(self, fact: str, value: Any) -> list[str]:
        """Give the utterances for which a fact has this value."""
        return [name for name, found in zip(self.names, self.columns[fact], strict=True) if found == value]


class Counts(NamedTuple):
    """The numbers of one shard that `ls` adds up.

    Args:
        utterances: Number of utterances.
        not_ok: How many of them have another status than ok.
        rows: Number of rows of all utterances.
        beside: Bytes of the WAV files beside the shard's file.
    """

    utterances: int
    not_ok: int
    rows: int
    beside: int

    @classmethod
    def of(cls, shard: Shard) -> "Counts":
        """Count the utterances and rows of a shard, and the bytes of its WAV files."""
        return cls.beside_only(shard.path)._replace(
            utterances=len(shard.names),
            not_ok=int((shard.facts("status") != b"ok").sum()),
            rows=int(shard.facts("length").sum()),
        )

    @classmethod
    def beside_only(cls, path: Path) -> "Counts":
        """Count only the bytes of a shard's WAV files: its own file is not read."""
        wavs = path.with_suffix("").rglob("*.wav") if path.parent.parent.name == "wav" else ()
        return cls(0, 0, 0, sum(wav.stat().st_size for wav in wavs))


def stamp_of(status: os.stat_result) -> Stamp:
    """Give a file's size and time, which show whether it is unchanged."""
    return status.st_size, status.st_mtime_ns


def read_counts(root: Path, stage: str, fingerprint: str) -> dict[str, tuple[Stamp, Counts]]:
    """Read the remembered counts of a stage set's shards; empty if they cannot be read."""
    with (
        contextlib.suppress(OSError, StoreError),
        reading_json(counts_path(root, stage, fingerprint), _VERSION, "") as value,
    ):
        found = {}
        for shard, numbers in check_object(value["shards"], "shards").items():
            size, time, *counts = (check_integer(number, "a number") for number in check_list(numbers, "a shard"))
            found[shard] = ((size, time), Counts(*counts))
        return found
    return {}


def read_tables(root: Path, stage: str, fingerprint: str) -> dict[str, tuple[Stamp, Table]]:
    """Read the remembered tables of a stage set's shards; empty if they cannot be read."""
    path = tables_path(root, stage, fingerprint)
    with contextlib.suppress(OSError, StoreError), reading_json(path, _VERSION, "") as value:
        return {
            shard: _read_table(check_object(table, "a table"))
            for shard, table in check_object(value["shards"], "shards").items()
        }
    return {}


def _read_table(value: Mapping[str, Any]) -> tuple[Stamp, Table]:
    size, time = (check_integer(number, "a stamp") for number in check_list(value["stamp"], "stamp"))
    columns = {name: tuple(check_list(value[name], name)) for name in _COLUMNS}
    names = columns.pop("id")
    if any(len(column) != len(names) for column in columns.values()) or len(set(names)) != len(names):
        raise ValueError("columns of different lengths, or an utterance twice")
    texts = {*map(type, names), *map(type, columns["message"]), *map(type, columns["source_sha256"])}
    if not texts <= {str} or not {*map(type, columns["length"])} <= {int} or not {*columns["status"]} <= {*STATUSES}:
        raise ValueError("a column has a value that it cannot have")
    # Several stages and the plan have the same names and digests: equal strings become one object.
    for fact in ("status", "message", "source_sha256"):
        columns[fact] = tuple(map(sys.intern, columns[fact]))
    return (size, time), Table(tuple(map(sys.intern, names)), columns)


def remember(
    root: Path,
    stage: str,
    fingerprint: str,
    *,
    with_tables: bool,
    known_tables: Mapping[str, tuple[Stamp, Table]] | None = None,
) -> None:
    """Write the counts and tables of a stage set's shards; only new and changed shards are opened.

    Args:
        root: The store's folder.
        stage: Name of the stage.
        fingerprint: The stage set's fingerprint.
        with_tables: Whether to write tables, too: for stages whose tables a run needs.
        known_tables: What `read_tables` has given before; None reads them again.
    """
    known_counts = read_counts(root, stage, fingerprint)
    if known_tables is None:
        known_tables = read_tables(root, stage, fingerprint) if with_tables else {}
    stamps = {shard: stamp_of(status) for shard, (status, _) in list_shards(root, stage, fingerprint).items()}
    counts = {shard: found for shard, found in known_counts.items() if found[0] == stamps.get(shard)}
    tables = {shard: found for shard, found in known_tables.items() if found[0] == stamps.get(shard)}
    for shard, stamp in stamps.items():
        if shard in counts and (shard in tables or not with_tables):
            continue
        with contextlib.suppress(StoreError, OSError):  # `verify` reports it
            opened = Shard(stage_folder(root, stage, fingerprint) / f"{shard}.h5")
            counts[shard] = stamp, Counts.of(opened)
            if with_tables:
                tables[shard] = stamp, Table.of(opened)
    if counts.keys() != known_counts.keys() or any(counts[shard] is not known_counts[shard] for shard in counts):
        _write(
            counts_path(root, stage, fingerprint), {shard: [*stamp, *found] for shard, (stamp, found) in counts.items()}
        )
    if tables.keys() != known_tables.keys() or any(tables[shard] is not known_tables[shard] for shard in tables):
        values = {
            shard: {"stamp": stamp, "id": table.names, **table.columns} for shard, (stamp, table) in tables.items()
        }
        _write(tables_path(root, stage, fingerprint), values)


def forget(root: Path) -> None:
    """Remove all remembered counts and tables: for `erase`, after which no name may be left."""
    for path in find_remembered(root):
        path.unlink(missing_ok=True)


def forget_removed(root: Path) -> None:
    """Remove the remembered counts and tables of stage sets that no longer exist."""
    folders = {(stage_set.stage, stage_set.fingerprint) for stage_set in find_stage_sets(root)}
    for path in find_remembered(root):
        if (path.parent.name, path.name[1:].partition(".")[0]) not in folders:
            path.unlink(missing_ok=True)


def find_remembered(root: Path) -> list[Path]:
    """Find the files of remembered counts and tables."""
    found = []
    for stage in list_stage_folders(root):
        for path in sorted((root / stage).glob(".*.json")):
            fingerprint = path.name[1:].removesuffix(".json").removesuffix(".tables")
            if is_id(fingerprint) and path in (
                counts_path(root, stage, fingerprint),
                tables_path(root, stage, fingerprint),
            ):
                found.append(path)
    return found


def list_shards(root: Path, stage: str, fingerprint: str) -> dict[str, tuple[os.stat_result, int]]:
    """List a stage set's folder once: a shard's id to its file's status and the bytes of its sidecar."""
    shards: dict[str, os.stat_result] = {}
    sidecars: dict[str, os.stat_result] = {}
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        os.scandir(stage_folder(root, stage, fingerprint)) as entries,
    ):
        for entry in entries:
            shard, dot, ending = entry.name.partition(".")
            if dot and is_id(shard) and ending in ("h5", "h5.sums"):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    (shards if ending == "h5" else sidecars)[shard] = entry.stat()
    sizes = {shard: status.st_size for shard, status in sidecars.items()}
    return {shard: (shards[shard], sizes.get(shard, 0)) for shard in sorted(shards)}


def counts_path(root: Path, stage: str, fingerprint: str) -> Path:
    """Give the file of a stage set's remembered counts."""
    return root / stage / f".{fingerprint}.json"


def tables_path(root: Path, stage: str, fingerprint: str) -> Path:
    """Give the file of a stage set's remembered tables."""
    return root / stage / f".{fingerprint}.tables.json"


def _write(path: Path, shards: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a read-only store, or a full disk: nothing depends on this file
        files.write_json(path, {"format_version": _VERSION, "shards": shards})

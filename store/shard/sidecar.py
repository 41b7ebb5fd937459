"""The small file beside each shard: its size, where its bulk data lie, and a digest of every block (FORMAT.md, 5)."""

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import files
from store.errors import ShardError, StoreError
from store.json_files import check_integer, check_list, check_object, check_text, reading_json

_SMALL_BLOCK, _LARGE_BLOCK = 1 << 16, 1 << 20
#: Files up to this size are digested in small blocks, which locate damage more precisely; larger files in large blocks,
#: so that the sidecar itself stays small.
_SMALL_FILE = 64 << 20
#: Most datasets of rows in a sidecar; no stage has as many.
_MOST_PLACES = 64
#: Bytes that one thread digests at a time; a multiple of both kinds of block.
_AT_ONCE = 4 << 20


@dataclass(frozen=True)
class Sidecar:
    """What a sidecar says of its shard.

    Args:
        size: Bytes of the shard's file.
        block: Bytes that one digest covers; the last block may be shorter.
        sha256: Hexadecimal digests, one a block.
        places: Dataset of rows to (first byte, number of bytes).

    """

    size: int
    block: int
    sha256: tuple[str, ...]
    places: Mapping[str, tuple[int, int]]

    def render(self) -> str:
        """Give the file's text in its only valid form, so that any flipped bit in it is found."""
        content: dict[str, Any] = {
            "size": self.size,
            "block": self.block,
            "sha256": list(self.sha256),
            "places": {name: list(place) for name, place in self.places.items()},
        }
        own = hashlib.sha256(_canonical(content).encode()).hexdigest()
        return _canonical({**content, "own_sha256": own}) + "\n"

    def find_damage(self, path: Path, blocks: Iterable[int] | None = None) -> Iterator[tuple[int, int]]:
        """Compare a shard's blocks with their digests.

        Args:
            path: The shard's file.
            blocks: Numbers of the blocks to look at; all by default.

        Yields:
            First byte and end (exclusive) of each block that differs.

        """
        with path.open("rb", buffering=0) as file:
            for number in range(len(self.sha256)) if blocks is None else blocks:
                file.seek(number * self.block)
                data = file.read(self.block)
                if hashlib.sha256(data).hexdigest() != self.sha256[number]:
                    yield number * self.block, min((number + 1) * self.block, self.size)

    @property
    def structural_blocks(self) -> list[int]:
        """Numbers of the blocks that are not completely inside one dataset's rows: libhdf5 reads them when it opens."""
        bulk: set[int] = set()
        for start, length in self.places.values():
            bulk.update(range(-(-start // self.block), (start + length) // self.block))
        return [number for number in range(len(self.sha256)) if number not in bulk]


def sidecar_path(path: Path) -> Path:
    """Give the path of a shard's sidecar."""
    return path.with_name(path.name + ".sums")


def compute_sidecar(path: Path, places: Mapping[str, tuple[int, int]]) -> Sidecar:
    """Digest a file block by block, so that damage can be located."""
    size = path.stat().st_size
    block = _SMALL_BLOCK if size <= _SMALL_FILE else _LARGE_BLOCK
    if size == 0:
        return Sidecar(0, block, (), {})
    with path.open("rb") as file:

        def digest(start: int) -> list[str]:
            # The file is mapped, not read: copying a block costs a third of digesting it. It is mapped piece by piece,
            # since mapped pages count as the process's memory. It was just written, so nobody shortens it meanwhile.
            length = min(_AT_ONCE, size - start)
            with (
                mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ, offset=start) as mapped,
                memoryview(mapped) as data,
            ):
                return [hashlib.sha256(data[i : i + block]).hexdigest() for i in range(0, length, block)]

        starts = range(0, size, _AT_ONCE)
        if len(starts) == 1:
            return Sidecar(size, block, tuple(digest(0)), dict(sorted(places.items())))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            digests = [found for part in pool.map(digest, starts) for found in part]
    return Sidecar(size, block, tuple(digests), dict(sorted(places.items())))


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Write the sidecar of the shard at `path`."""
    files.write_text(sidecar_path(path), sidecar.render())


def read_sidecar(path: Path) -> Sidecar:
    """Read the sidecar of the shard at `path`.

    Raises:
        ShardError: It is missing, unreadable or damaged.

    """
    place = sidecar_path(path)
    try:
        with reading_json(place, None, "") as value:
            sidecar = _read(value, place)
    except (OSError, StoreError) as error:
        cause = error.__cause__ or error
        raise ShardError(
            f"{place} is missing or unreadable ({cause}); remove both files of this shard, and the next run makes "
            "them again"
        ) from error
    return sidecar


def _read(value: Mapping[str, Any], path: Path) -> Sidecar:
    size, block = check_integer(value["size"], "size", 0), check_integer(value["block"], "block", 1)
    places = {}
    if len(value["places"]) > _MOST_PLACES:
        raise ValueError(f"it has {len(value['places'])} places; at most {_MOST_PLACES} are read")
    for name, place in check_object(value["places"], "places").items():
        start, length = (check_integer(number, f"the place of {name}", 0) for number in check_list(place, name))
        if start + length > size:
            raise ValueError(f"the place of {name} ends at byte {start + length} of {size}")
        places[name] = (start, length)
    digests = tuple(check_text(digest, "a digest", 64) for digest in check_list(value["sha256"], "sha256"))
    sidecar = Sidecar(size, block, digests, places)
    if sidecar.render() != path.read_text(encoding="utf-8"):
        raise ValueError("its own digest differs")
    if block not in (_SMALL_BLOCK, _LARGE_BLOCK):
        raise ValueError(f"block is {block}, it must be {_SMALL_BLOCK} or {_LARGE_BLOCK}")
    if len(digests) != -(-size // block):
        raise ValueError(f"{len(digests)} digests for {size} bytes")
    return sidecar


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))

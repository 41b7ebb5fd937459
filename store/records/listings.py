"""What each run lists: which utterance is in which shard, under which fingerprints (FORMAT.md, section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import files
from store.errors import StoreError
from store.json_files import check_integers, check_list, check_object, check_text, reading_json
from store.layout import listings_folder
from store.names import check_id, check_run, check_utterances

_LISTING_VERSION = 1
#: The names of prediction runs begin with this.
PREDICTION = "predict-"
#: Stages that a run keeps or removes, depending on its settings.
BESIDE = frozenset({"crops", "crops_jpeg", "pixels"})


@dataclass(frozen=True)
class Listing:
    """What one run lists; a file of `<store>/roots/`.

    Args:
        run: The run's name.
        fingerprints: Stage to fingerprint.
        shards: Utterance to the id of the shard that holds its rows.
        sources: Utterance to (size in bytes, time of change in ns) of its file when it was last seen.
        vanished: Utterances whose rows are kept although their file is gone.
        runs: The run's own folder (checkpoints, reports), "" where it is not known.
        kept: The stages of `BESIDE` that it keeps; None in a file of an earlier release, and then it keeps all.

    """

    run: str
    fingerprints: dict[str, str]
    shards: dict[str, str]
    sources: dict[str, tuple[int, int]]
    vanished: frozenset[str] = frozenset()
    runs: str = ""
    kept: frozenset[str] | None = None

    def keeps(self, stage: str) -> bool:
        """Tell whether the run keeps the files of a stage."""
        return stage not in BESIDE or self.kept is None or stage in self.kept

    @property
    def kept_fingerprints(self) -> dict[str, str]:
        """Stage to fingerprint, for the stages that the run keeps: `gc` does not remove them."""
        return {stage: fingerprint for stage, fingerprint in self.fingerprints.items() if self.keeps(stage)}

    def write(self, store: Path, path: Path | None = None) -> Path:
        """Write the listing as columns, which take a third of the room that rows would.

        Args:
            store: The store's folder.
            path: The file; `<store>/roots/<run>.json` by default.

        Raises:
            StoreError: A name may not be in a store.
        """
        names = sorted(self.shards)
        ids = sorted(set(self.shards.values()))
        index = {shard: i for i, shard in enumerate(ids)}
        value = {
            "format_version": _LISTING_VERSION,
            "run": self.run,
            "fingerprints": self.fingerprints,
            "shards": ids,
            "utterances": names,
            "shard": [index[self.shards[name]] for name in names],
            "size": [self.sources[name][0] for name in names],
            "mtime_ns": [self.sources[name][1] for name in names],
            "vanished": sorted(self.vanished),
            "runs": self.runs,
            **({} if self.kept is None else {"kept": sorted(self.kept)}),
        }
        try:
            _check_listing(value)
        except ValueError as error:
            raise StoreError(f"the run {self.run!r} cannot be listed in {store}: {error}") from error
        path = path or listings_folder(store) / f"{self.run}.json"
        files.write_json(path, value)
        return path

    @classmethod
    def read(cls, path: Path) -> "Listing":
        """Read what `write` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            StoreError: It is damaged or of a later version.

        """
        with reading_json(path, _LISTING_VERSION, "remove it, and the next run writes it again") as value:
            return _read_listing(value)


def _check_listing(value: Mapping[str, Any]) -> None:
    ids = [check_id(shard) for shard in check_list(value["shards"], "shards")]
    names = check_list(value["utterances"], "utterances")
    check_utterances(names)
    sizes = check_integers(value["size"], "size", "a size", 0)
    times = check_integers(value["mtime_ns"], "mtime_ns", "a time")
    numbers = check_integers(value["shard"], "shard", "the number of a shard", 0)
    if max(numbers, default=-1) >= len(ids):
        raise ValueError(f"it names shard number {max(numbers)} of {len(ids)}, counted from 0")
    known = set(names)
    if len(known) != len(names):
        raise ValueError("it lists an utterance twice")
    if not len(names) == len(sizes) == len(times) == len(numbers):
        raise ValueError("its columns have different lengths")
    vanished = check_list(value["vanished"], "vanished")
    check_utterances(vanished)
    if not known.issuperset(vanished):
        raise ValueError(f"{min(set(vanished) - known)!r} is in vanished but not in utterances")
    check_run(value["run"])
    check_text(value.get("runs", ""), "runs")
    for stage, fingerprint in check_object(value["fingerprints"], "fingerprints").items():
        check_text(stage, "a stage", 64)
        check_id(fingerprint)
    if value.get("kept") is not None:
        for stage in check_list(value["kept"], "kept"):
            check_text(stage, "a stage", 64)


def _read_listing(value: Mapping[str, Any]) -> Listing:
    _check_listing(value)
    ids, names = value["shards"], value["utterances"]
    kept = value.get("kept")
    return Listing(
        run=value["run"],
        fingerprints=value["fingerprints"],
        shards={name: ids[number] for name, number in zip(names, value["shard"], strict=True)},
        sources=dict(zip(names, zip(value["size"], value["mtime_ns"], strict=True), strict=True)),
        vanished=frozenset(value["vanished"]),
        runs=value.get("runs", ""),
        kept=None if kept is None else frozenset(kept),
    )


def find_listings(store: Path) -> list[Path]:
    """Find the files of all listings, sorted by name."""
    return sorted(path for path in listings_folder(store).glob("*.json") if not path.name.startswith("."))


def read_listings(store: Path) -> list[Listing]:
    """Read what every run lists."""
    return [Listing.read(path) for path in find_listings(store)]


class SeenListings:
    """What every run lists, each file read once, and again only where it has changed since.

    Args:
        store: The store's folder.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._seen: dict[Path, tuple[tuple[int, ...], Listing]] = {}

    def read(self) -> dict[Path, Listing]:
        """Give the file of each listing, sorted by name, and what it says.

        Raises:
            StoreError: One is damaged or of a later version.
        """
        found = {}
        for path in find_listings(self._store):
            key = _look_at(path)  # first: what changes while it is read has another one by then
            seen = self._seen.get(path)
            if seen is None or seen[0] != key:
                seen = self._seen[path] = key, Listing.read(path)
            found[path] = seen[1]
        return found

    def keep(self, path: Path, listing: Listing) -> None:
        """Remember what has just been written, so that it is not read again."""
        self._seen[path] = _look_at(path), listing


def _look_at(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

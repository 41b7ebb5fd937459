"""A whole store: from an utterance's name to its rows in every stage."""

import contextlib
import difflib
import importlib.util
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from store.catalog.clip import Clip
from store.errors import StoreError, UtteranceNotFoundError
from store.features import order_stages
from store.labels import UNLABELLED, Label, read_labels
from store.layout import check_is_readable, listings_folder, shard_path
from store.records.listings import PREDICTION, Listing, find_listings
from store.shard.reader import Shard
from store.text import format_count

#: Most files of shards that a store keeps open (table and mappings): enough for 100 000 clips in two stages.
_MOST_OPEN = 4096


class FeatureStore:
    """The features that runs list, by utterance.

    If several runs list an utterance, the newest run's rows, settings and labels count. Runs of `predict` (named
    `predict-…`) count only for utterances that no other run lists.

    Args:
        folder: The store's folder, `[store] root` of tasks.cfg.
        run: Name of a run, whose listing is then the only one that counts; by default, all listings count.
        mapped: False reads copies instead of mapping the files (see `Shard`).

    Attributes:
        listing: The newest run's listing, or that of the run asked for.

    Raises:
        StoreError: The folder is not a store, it has no listing (of that run), or a part of it cannot be read.

    Example:
        >>> store = FeatureStore("data/omg/store")  # doctest: +SKIP
        >>> store["5b44393ed/utterance_4"].stft[100:400].shape  # doctest: +SKIP
        (300, 257, 2)

    """

    def __init__(self, folder: str | Path, run: str | None = None, *, mapped: bool = True) -> None:
        self.folder = Path(folder)
        self.mapped = mapped
        check_is_readable(self.folder)
        paths = find_listings(self.folder)
        paths.sort(key=lambda path: (not path.name.startswith(PREDICTION), path.stat().st_mtime_ns))
        if run is not None:
            paths = [path for path in paths if path.stem == run]
        if not paths:
            raise StoreError(
                f"{listings_folder(self.folder)} holds no listing{f' of the run {run!r}' if run else ''}; "
                "check the path, or run `valar features` first"
            )
        self.listing = Listing.read(paths.pop())
        self._other_paths = paths[::-1]
        self._shards: OrderedDict[tuple[str, str, str], Shard] = OrderedDict()

    @cached_property
    def listings(self) -> list[Listing]:
        """The listings, the newest run's first: the first one with an utterance counts. Read at the first use."""
        return [self.listing, *map(Listing.read, self._other_paths)]

    @cached_property
    def _names(self) -> list[str]:
        return sorted({name for listing in self.listings for name in listing.shards})

    def find_listing(self, name: object) -> Listing | None:
        """Give the listing that counts for an utterance; None if no run lists it."""
        if name in self.listing.shards:
            return self.listing
        return next((listing for listing in self.listings if name in listing.shards), None)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return self.find_listing(name) is not None

    def __getitem__(self, name: str) -> Clip:
        if not isinstance(name, str):
            raise TypeError(f"a clip is found by its name, such as store['anna/clip_1']; {name!r} is not a name")
        name = self.find_name(name)
        listing = self.find_listing(name)
        if listing is None:
            hint = self.describe_nearest(name)
            raise UtteranceNotFoundError(
                f"{name!r} is not among the {format_count(len(self), 'utterance')} of {self.folder}"
                f"{'; ' if hint else ''}{hint}"
            )
        return Clip(self.shard, name, listing)

    def find_name(self, name: str) -> str:
        """Complete a name that has its file's ending or lacks its video; give any other name unchanged.

        A name without its video is completed only if exactly one utterance has it.
        """
        stem, dot, _ = name.rpartition(".")
        if name in self:
            return name
        if dot and stem in self:
            return stem
        found = self._find_without_video(name, stem) if "/" not in name else []
        return found[0] if len(found) == 1 else name

    def _find_without_video(self, *names: str) -> list[str]:
        wanted = {name for name in names if name}
        return [whole for whole in self._names if whole.partition("/")[2] in wanted]

    def describe_nearest(self, name: str) -> str:
        """Say which utterances have similar names; "" if there are none."""
        near = self._find_without_video(name, name.rpartition(".")[0])[:3] if "/" not in name else []
        near = near or difflib.get_close_matches(name, self._names, 3, 0.6)
        if not near:
            return ""
        return f"the nearest {'name is' if len(near) == 1 else 'names are'} {', '.join(near)}"

    @property
    def stages(self) -> list[str]:
        """The stages of all runs, in the order of the chain; declared features come last."""
        return order_stages(stage for listing in self.listings for stage in listing.fingerprints)

    def shard(self, stage: str, shard: str, listing: Listing | None = None) -> Shard | None:
        """Open one stage's file of a shard; None if there is no such file yet.

        Args:
            stage: The stage.
            shard: The shard's id.
            listing: The listing whose fingerprints are used; by default, the newest run's.
        """
        fingerprint = (listing or self.listing).fingerprints.get(stage)
        if fingerprint is None:
            return None
        key = (stage, fingerprint, shard)
        found = self._shards.get(key)
        if found is not None:
            with contextlib.suppress(KeyError):  # another thread has closed it
                self._shards.move_to_end(key)
            return found
        path = shard_path(self.folder, stage, fingerprint, shard)
        if not path.exists():
            return None
        found = self._shards[key] = Shard(path, mapped=self.mapped)
        while len(self._shards) > _MOST_OPEN:
            # The least recently used file is closed; a view of it keeps its own part of the file mapped.
            with contextlib.suppress(KeyError):  # another thread has closed it
                self._shards.popitem(last=False)
        return found

    def close_shard(self, shard: str, listing: Listing) -> None:
        """Close a shard's files of all stages; a file stays mapped as long as a view of it exists."""
        for stage, fingerprint in listing.fingerprints.items():
            self._shards.pop((stage, fingerprint, shard), None)

    def __repr__(self) -> str:
        """Show the folder, the number of utterances, the run and its stages."""
        stages = ", ".join(sorted(self.listing.fingerprints))
        more = f" and {len(self._other_paths)} more" if self._other_paths else ""
        count = format_count(len(self), "utterance")
        return f"<FeatureStore {self.folder}: {count} of the run {self.listing.run}{more}; {stages}>"

    def list_labels(self) -> dict[str, Label]:
        """Give every utterance's split and labels, as its run's CSV files had them when it last ran.

        Clips that were only predicted have the split `unlabelled`.
        """
        ledgers: dict[str, dict[str, Label]] = {}
        for listing in self.listings:
            is_predicted = listing.run.startswith(PREDICTION) or not listing.runs
            ledgers[listing.run] = {} if is_predicted else read_labels(Path(listing.runs) / "ledger.csv")
        found = {}
        for name in self:
            listing = self.find_listing(name) or self.listing
            other = Label(UNLABELLED if listing.run.startswith(PREDICTION) else "")
            found[name] = ledgers[listing.run].get(name, other)
        return found

    def find_missing_ledgers(self) -> list[Path]:
        """List the ledgers that are missing: without them, splits and labels of their runs' clips are not known."""
        ledgers = []
        for listing in self.listings:
            ledger = Path(listing.runs) / "ledger.csv"
            is_wanted = listing.runs and not listing.run.startswith(PREDICTION)
            if (
                is_wanted
                and not ledger.is_file()
                and any(self.find_listing(name) is listing for name in listing.shards)
            ):
                ledgers.append(ledger)
        return ledgers

    def to_frame(self) -> Any:
        """Give one table of all clips as a pandas DataFrame: split, labels, and status and length of every stage.

        Columns are `clip`, `split`, `arousal`, `valence`, `shard`, `source_sha256`, and `<stage>_status`, `_length` (in
        rows: 100 a second of STFT, one per face) and `_message`; then the further columns of the CSV files, as text.

        Raises:
            StoreError: pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise StoreError("to_frame needs pandas: pip install pandas; list_utterances gives the same as plain data")
        labels = self.list_labels()
        rows = []
        for row in self.list_utterances():
            name = row.pop("utterance")
            label = labels[name]
            named: dict[str, Any] = {
                "clip": name,
                "split": label.split,
                "arousal": label.arousal,
                "valence": label.valence,
            }
            own = {**named, **row}
            # The table's own columns win over columns of the CSV files with the same name.
            rows.append({**own, **{column: cell for column, cell in label.more.items() if column not in own}})
        return importlib.import_module("pandas").DataFrame(rows)

    def utterances(self) -> Any:
        """Give `list_utterances` as a pandas DataFrame, or as a list if pandas is not installed."""
        table = self.list_utterances()
        if importlib.util.find_spec("pandas") is None:
            return table
        return importlib.import_module("pandas").DataFrame(table)

    def list_utterances(self) -> list[dict[str, Any]]:
        """List every utterance with its shard and source, and status, length and message of each stage."""
        table = []
        for name in self:
            listing = self.find_listing(name) or self.listing
            row: dict[str, Any] = {"utterance": name, "shard": listing.shards[name], "source_sha256": ""}
            for stage in order_stages(listing.fingerprints):
                shard = self.shard(stage, row["shard"], listing)
                if shard is not None and name in shard:
                    row["source_sha256"] = row["source_sha256"] or shard.fact(name, "source_sha256")
                    row |= {f"{stage}_{fact}": shard.fact(name, fact) for fact in ("status", "length", "message")}
            table.append(row)
        return table

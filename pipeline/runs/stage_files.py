"""The store's files under one run's settings: their paths, their tables, which are missing, and which are open."""

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pipeline.chain import STAGES, Stage, find_readers, find_work
from pipeline.runs.plan import Place
from store.layout import shard_path
from store.shard.reader import Shard
from store.tables import Stamp, Table, read_tables, remember, stamp_of

#: The largest number of files that are kept open. A view of rows stays valid after its file is dropped from here.
_MOST_OPEN = 64


@dataclass(frozen=True, kw_only=True)
class StageFiles:
    """The stage sets of a run.

    Args:
        store: The feature store's folder.
        fingerprints: Name of a stage, or of files kept beside it, to the name of its stage set.
        kept: The kinds of files that the settings keep beside the features: crops, crops_jpeg, pixels.
        chain: The run's chain: Valar's own stages, and the features that the user declares.
        sound_again: Shards whose sound counts as not made (`pipeline.runs.sound_again`).
        taken: Shards that count as made: the rows of each member are in another shard, under another name
            (`pipeline.runs.known_content`).
        read_again: Shards that count as not made: none of their clips could be read then, and all can be read now.
    """

    store: Path
    fingerprints: Mapping[str, str]
    kept: frozenset[str]
    chain: Mapping[str, Stage] = field(default_factory=lambda: STAGES)
    sound_again: frozenset[str] = frozenset()
    taken: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)
    read_again: frozenset[str] = frozenset()
    _opened: OrderedDict[Path, Shard] = field(default_factory=OrderedDict, repr=False, compare=False)
    _tables: dict[tuple[str, str], Table] = field(default_factory=dict, repr=False, compare=False)
    _remembered: dict[str, dict[str, tuple[Stamp, Table]]] = field(default_factory=dict, repr=False, compare=False)
    _read_anew: list[tuple[str, str]] = field(default_factory=list, repr=False, compare=False)
    _stamps: dict[tuple[str, str], Stamp] = field(default_factory=dict, repr=False, compare=False)

    def in_store(self, store: Path) -> Self:
        """Give the same stage sets in another store, with no file open and no table read."""
        return replace(self, store=store, _opened=OrderedDict(), _tables={}, _remembered={}, _read_anew=[], _stamps={})

    @property
    def titles(self) -> dict[str, str]:
        """Stage to its title for people, in the order of the chain."""
        return {stage.name: stage.title for stage in self.chain.values()}

    @property
    def sound_stages(self) -> list[str]:
        """The stages of a shard's sound. `stft` comes last: its messages show which sound is to be made again."""
        return ["wav", *sorted(find_readers("wav", self.chain) - {"stft"}), "stft"]

    def path(self, stage: str, shard: str) -> Path:
        """Give the path of the file of one stage and shard."""
        return shard_path(self.store, stage, self.fingerprints[stage], shard)

    def shard(self, stage: str, shard: str) -> Shard | None:
        """Open the file of one stage and shard; None when it does not exist."""
        path = self.path(stage, shard)
        return self.open_file(path) if path in self._opened or path.exists() else None

    def open_file(self, path: Path) -> Shard:
        """Open a shard's file, or give the one that is open already."""
        found = self._opened.pop(path, None) or Shard(path)
        self._opened[path] = found  # at the end: the file that was used last is closed last
        while len(self._opened) > _MOST_OPEN:
            try:
                self._opened.popitem(last=False)
            except KeyError:  # another thread was first
                break
        return found

    def close_shard(self, stage: str, shard: str) -> None:
        """Drop an opened file; it is unmapped when no view of it is used any more."""
        self._opened.pop(self.path(stage, shard), None)
        self._tables.pop((stage, shard), None)
        self._stamps.pop((stage, shard), None)

    def close_shards(self, shard: str) -> None:
        """Drop a shard's files of all stages, so that memory does not grow with the number of shards."""
        for stage in self.fingerprints:
            self.close_shard(stage, shard)

    def table(self, stage: str, shard: str) -> Table | None:
        """Give the table of a shard's utterances; the file is opened only when its table is not known yet.

        Returns:
            The table, or None when the file does not exist.
        """
        key = (stage, shard)
        found = self._tables.get(key)
        if found is not None:  # asked for each utterance
            return found
        if shard in self.taken:
            places = self.taken[shard]
            tables = {name: self.table(stage, other) for name, (other, _) in places.items()}
            if None in tables.values():
                return None
            rows = {name: (table, places[name][1]) for name, table in tables.items() if table is not None}
            self._tables[key] = Table.join(rows)
        if key not in self._tables:
            path = self.path(stage, shard)
            try:
                stamp = stamp_of(path.stat())
            except (FileNotFoundError, NotADirectoryError):
                return None
            self._stamps[key] = stamp
            if stage not in self._remembered:
                self._remembered[stage] = read_tables(self.store, stage, self.fingerprints[stage])
            known = self._remembered[stage].get(shard)
            if known is not None and known[0] == stamp:
                self._tables[key] = known[1]
            else:
                self._tables[key] = Table.of(Shard(path))
                self._read_anew.append(key)
        return self._tables[key]

    def are_tables_current(self) -> bool:
        """Tell whether every table that was read is still current: no file has changed or vanished since."""
        try:
            return all(stamp_of(self.path(*key).stat()) == stamp for key, stamp in self._stamps.items())
        except FileNotFoundError:
            return False

    def remember_tables(self) -> None:
        """Save the tables of the run's shards in the store, if files had to be opened for them."""
        if self._read_anew:
            readable = {stage.name for stage in self.chain.values() if stage.is_feature}
            for stage, fingerprint in self.fingerprints.items():
                known = self._remembered.pop(stage, None) if stage in readable else None
                remember(self.store, stage, fingerprint, with_tables=stage in readable, known_tables=known)
            self._read_anew.clear()

    def find_work(self, shard: str) -> dict[str, tuple[str, ...]]:
        """Find the work that a shard still needs: stage to the files that it has to make; see `chain.find_work`."""
        return {} if shard in self.taken else self._find_work(shard, self.chain)

    def _find_work(self, shard: str, stages: Mapping[str, Stage]) -> dict[str, tuple[str, ...]]:
        if shard in self.read_again:
            return find_work(lambda file: False, self.kept, stages)
        unmade = self.sound_stages if shard in self.sound_again else ()
        return find_work(lambda file: file not in unmade and self._is_there(file, shard), self.kept, stages)

    def _is_there(self, stage: str, shard: str) -> bool:
        # A string: a run asks this dozens of times for each shard, and a Path takes four times as long as os.stat.
        try:
            os.stat(f"{self.store}/{stage}/{self.fingerprints[stage]}/{shard}.h5")  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_finished(self, shard: str) -> bool:
        """Tell whether a shard has all its features and all files that are kept beside them."""
        return not self.find_work(shard)

    def is_usable(self, shard: str) -> bool:
        """Tell whether a shard has all files of Valar's own stages: a newly declared feature does not count here."""
        return not self._find_work(shard, STAGES)

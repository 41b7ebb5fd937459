"""The files of the store under one run's settings: where they are, what is missing, and those that are open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import chain
from store.layout import shard_path
from store.shard.reader import Shard

#: The stages of a shard's sound, in the order of the chain.
SOUND_STAGES = ("wav", "stft")


@dataclass(frozen=True, kw_only=True)
class StageFiles:
    """The stage sets of a run.

    Args:
        store: The feature store's folder.
        fingerprints: Stage, and what is kept beside it, to the name of its stage set.
        kept: What the settings keep beside the features: crops, crops_jpeg, pixels.
        sound_again: Shards whose sound counts as not made (`pipeline.runs.sound_again`).
    """

    store: Path
    fingerprints: Mapping[str, str]
    kept: frozenset[str]
    sound_again: frozenset[str] = frozenset()
    _opened: dict[Path, Shard] = field(default_factory=dict, repr=False, compare=False)

    def path(self, stage: str, shard: str) -> Path:
        """Give the file of one stage and shard."""
        return shard_path(self.store, stage, self.fingerprints[stage], shard)

    def shard(self, stage: str, shard: str) -> Shard | None:
        """Open the file of one stage and shard; None when it is not there."""
        path = self.path(stage, shard)
        return self.open_file(path) if path in self._opened or path.exists() else None

    def open_file(self, path: Path) -> Shard:
        """Open a shard's file, each once."""
        if path not in self._opened:
            self._opened[path] = Shard(path)
        return self._opened[path]

    def close_shard(self, stage: str, shard: str) -> None:
        """Let go of an opened file: it is unmapped when nobody holds a view of it any more."""
        self._opened.pop(self.path(stage, shard), None)

    def find_work(self, shard: str) -> dict[str, tuple[str, ...]]:
        """Say what is to be done to a shard: stage to the files that it has to make; see `chain.find_work`."""
        unmade = SOUND_STAGES if shard in self.sound_again else ()
        return chain.find_work(lambda file: file not in unmade and self.path(file, shard).exists(), self.kept)

    def is_finished(self, shard: str) -> bool:
        """Tell whether a shard has all its features and what is kept beside them."""
        return not self.find_work(shard)

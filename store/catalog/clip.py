"""One utterance of a store: its rows in every stage."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from store.errors import StoreError, UtteranceNotFoundError
from store.features import is_feature, name_of, order_stages
from store.records.listings import Listing
from store.shard.images import Images
from store.shard.reader import Shard


class Clip:
    """The rows of one utterance. Each attribute is a read-only view of a file, which is opened at the first use.

    Args:
        open_shard: Opens a stage's file, from stage, shard's id and listing; gives None if the stage has not run yet.
        name: The utterance's name.
        listing: The listing of the run that counts for this utterance.
    """

    def __init__(self, open_shard: Callable[[str, str, Listing], Shard | None], name: str, listing: Listing) -> None:
        self.name = name
        self.listing = listing
        self.shard = listing.shards[name]
        self._open_shard = open_shard

    def __repr__(self) -> str:
        """Show the name, the number of rows of each stage, and each status other than ok."""
        rows = ", ".join(f"{stage} {shard.fact(self.name, 'length')}" for stage, shard in self.shards.items())
        bad = "".join(f"; {stage}: {status}" for stage, status in self.status.items() if status != "ok")
        return f"<Clip {self.name}: rows of {rows or 'no stage'}{bad}>"

    @property
    def stages(self) -> list[str]:
        """The stages of its run, in the order of the chain; declared features come last."""
        return order_stages(self.listing.fingerprints)

    def find_feature(self, name: str) -> str:
        """Give the stage of a declared feature.

        Raises:
            StoreError: The run has no feature of that name; the message lists those that it has.
        """
        known = {name_of(stage): stage for stage in self.stages if is_feature(stage)}
        if name not in known:
            raise StoreError(f"the run {self.listing.run} has no feature {name!r}; it has {', '.join(known) or 'none'}")
        return known[name]

    def find_shard(self, stage: str) -> Shard | None:
        """Open a stage's file; None if the stage has no rows of this utterance yet."""
        rows = self._open_shard(stage, self.shard, self.listing)
        return rows if rows is None or self.name in rows else None

    @cached_property
    def shards(self) -> dict[str, Shard]:
        """The opened files of the stages that have this utterance, by stage."""
        found = {stage: self.find_shard(stage) for stage in self.stages}
        return {stage: rows for stage, rows in found.items() if rows is not None}

    def _rows(self, stage: str, dataset: str) -> np.ndarray:
        rows = self.find_shard(stage)
        if rows is None:
            raise UtteranceNotFoundError(f"{self.name} has no rows of the stage {stage} in this store")
        return rows.rows(self.name, dataset)

    @property
    def stft(self) -> np.ndarray:
        """(T, 257, 2) float32, 100 rows a second, (real, imaginary)."""
        return self._rows("stft", "stft")

    @property
    def embeddings(self) -> np.ndarray:
        """(N, 512) float32, one row per face."""
        return self._rows("embeddings", "embedding")

    @property
    def crops(self) -> np.ndarray:
        """(N, 112, 96, 3) uint8, blue, green, red; only where the run keeps them raw (else see `images`)."""
        return self._rows("crops", "crop")

    def images(self, stage: str) -> Images:
        """Give the JPEG images of `crops_jpeg` or `pixels`, if the run keeps them; each is read when it is accessed."""
        rows = self.find_shard(stage)
        if rows is None:
            raise UtteranceNotFoundError(f"{self.name} has no rows of the stage {stage} in this store")
        return rows.images(self.name)

    @property
    def landmarks(self) -> np.ndarray:
        """(N, 5, 2) float32 (x, y) in pixels of the upright frame."""
        return self._rows("faces", "landmarks")

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) float32 (x1, y1, x2, y2) in pixels of the upright frame."""
        return self._rows("faces", "box")

    @property
    def face_times(self) -> np.ndarray:
        """(N,) float64 seconds since the clip's origin."""
        return self._rows("faces", "time")

    def feature(self, name: str) -> np.ndarray:
        """(N, D) float32 of a declared feature, `[features.NAME]`: a row per face, or per piece of sound."""
        return self._rows(self.find_feature(name), "value")

    def feature_times(self, name: str) -> np.ndarray:
        """(N,) float64 seconds since the clip's origin, of the rows of a declared feature."""
        return self._rows(self.find_feature(name), "time")

    @property
    def status(self) -> dict[str, str]:
        """Status by stage."""
        return {stage: shard.fact(self.name, "status") for stage, shard in self.shards.items()}

    @property
    def messages(self) -> dict[str, str]:
        """Message by stage, where there is one."""
        messages = {stage: shard.fact(self.name, "message") for stage, shard in self.shards.items()}
        return {stage: message for stage, message in messages.items() if message}

    @property
    def source_sha256(self) -> str:
        """SHA-256 of the clip's file, hexadecimal; "" if no stage has read it."""
        digests = (shard.fact(self.name, "source_sha256") for shard in self.shards.values())
        return next((digest for digest in digests if digest), "")

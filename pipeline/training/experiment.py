"""From the store to checkpoints and predictions: which utterances, under which fingerprints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import config
from pipeline.dataset.utterances import Utterance
from pipeline.errors import UserError
from pipeline.report.ensemble import average
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.kept_crops import find_crops
from pipeline.runs.ledger import LedgerRow, read_ledger
from pipeline.runs.run import Run
from pipeline.training.seed_trainings import NETWORKS, Trainings

if TYPE_CHECKING:
    from models.inputs.clips import Clips

#: Raised when the report's files change.
REPORT_VERSION = 4


@dataclass
class Experiment:
    """The trainings of each seed and a report on what the store holds now.

    Args:
        run: With all its shards finished.
    """

    run: Run
    ledger: dict[str, LedgerRow] = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = read_ledger(self.run)

    def utterances(self, split: str) -> list[Utterance]:
        """Give a split's utterances in the order of its CSV file."""
        return [utterance for utterance in self.run.dataset.utterances if utterance.split == split]

    @property
    def splits(self) -> list[str]:
        """Names of the splits that have a CSV file."""
        return list(dict.fromkeys(utterance.split for utterance in self.run.dataset.utterances))

    @cached_property
    def trainings(self) -> list[Trainings]:
        """Give the trainings of each seed; the mean of what they predict is what is reported."""
        first = config.run().seed
        return [Trainings(self, seed) for seed in range(first, first + config.run().seeds)]

    def find_trainings(self, network: str, fingerprint: str) -> Trainings:
        """Find the trainings to which a network's checkpoints belong.

        Raises:
            UserError: They belong to none: clips or settings are others by now.
        """
        for trainings in self.trainings:
            if trainings.fingerprints[network] == fingerprint:
                return trainings
        raise UserError(f"clips or settings have changed while {network} was about to be trained; run again")

    @cached_property
    def report_fingerprint(self) -> str:
        """Name the report by everything that makes it what it is."""
        return compute_fingerprint(
            {
                "version": REPORT_VERSION,
                "parents": [each.fingerprints[network] for each in self.trainings for network in NETWORKS],
                "folds": config.run().folds,
                "opensmile": config.run().opensmile,
                "recordings": self.run.dataset.grouping.take(u.name for u in self.run.dataset.utterances),
                "utterances": [
                    [u.name, u.utterance, u.split, u.arousal, u.valence, row.sound, row.picture, row.source_sha256]
                    for u in self.run.dataset.utterances
                    for row in [self.ledger[u.name]]
                ],
            }
        )

    @property
    def report_folder(self) -> Path:
        """Give the folder of the report on these checkpoints and utterances."""
        return self.run.folder / "reports" / self.report_fingerprint

    @property
    def report_path(self) -> Path:
        """Give the file that is there when the report is whole."""
        return self.report_folder / "report.json"

    def labels(self, split: str) -> np.ndarray | None:
        """Give a split's labels as in its CSV file: (U, 2) float64, NaN where there is none; None without any."""
        pairs = [
            [np.nan if label is None else label for label in (u.arousal, u.valence)] for u in self.utterances(split)
        ]
        labels = np.array(pairs, np.float64).reshape(-1, 2)
        return None if np.isnan(labels).all() else labels

    def training_mean(self) -> np.ndarray:
        """Give the mean arousal and valence of the training split, (2,)."""
        labels = self.labels("train")
        assert labels is not None  # check_trainable has seen some
        return np.nanmean(labels, axis=0)

    def load_clips(self, split: str, *, finetune: bool | None = None) -> "Clips":
        """Give a split's labels and views of its features; nothing is read before it is touched.

        Args:
            split: Its name.
            finetune: Whether crops are needed; by default as the settings say.
        """
        from models.inputs.clips import Clips

        utterances, labels = self.utterances(split), self.labels(split)
        if finetune is None:
            finetune = config.vnet().backbone == "finetune"
        return Clips(
            names=[u.name for u in utterances],
            labels=None if labels is None else labels.astype(np.float32),
            stft=[self._rows("stft", "stft", u.name) for u in utterances],
            embeddings=[self._rows("embeddings", "embedding", u.name) for u in utterances],
            crops=[self._crops(u.name) if finetune else None for u in utterances],
        )

    def _rows(self, stage: str, dataset: str, name: str) -> np.ndarray | None:
        row = self.ledger[name]
        if not (row.has_sound if stage == "stft" else row.has_face):
            return None
        shard = self.run.shard(stage, row.shard)
        assert shard is not None  # the ledger has read it
        return shard.rows(name, dataset)

    def _crops(self, name: str) -> Any:
        row = self.ledger[name]
        if not row.has_face:
            return None
        crops = find_crops(self.run, row.shard)
        return crops.rows(name, "crop") if crops.stage == "crops" else JpegCrops(crops.images(name))

    def check_trainable(self) -> None:
        """Refuse to train on nothing.

        Raises:
            UserError: No utterance of the training split has sound, or none has a face.
        """
        rows = [self.ledger[u.name] for u in self.utterances("train") if u.arousal is not None]
        for what, count in (("sound", sum(r.has_sound for r in rows)), ("a face", sum(r.has_face for r in rows))):
            if count == 0:
                raise UserError(
                    f"none of the {len(rows)} labelled training utterances has {what}; see "
                    f"{self.run.folder / 'ledger.csv'} for the reason of each"
                )

    def predict(self, network: str, split: str) -> np.ndarray:
        """Predict a split: (U, 2), NaN where the network can see nothing; of several seeds the mean."""
        return average([trainings.predict(network, split) for trainings in self.trainings])

    def describe(self) -> dict[str, Any]:
        """Give what the results rest on, as plain data."""
        weights = self.run.weights
        return {
            "seed": config.run().seed,
            "stages": self.run.fingerprints,
            "features": self.run.stages,
            "weights": {name: found.sha256 for name, found in weights.items()},
            "settings": {name: _plain(config.settings_of(section)) for name, section in config.SECTIONS.items()},
        }

    def notes(self) -> list[str]:
        """Say what a reader has to know before the numbers: random weights, scaled or frozen networks."""
        notes = [
            f"RANDOM WEIGHTS: {found.name} was not trained; the results say nothing about the method"
            for found in self.run.weights.values()
            if found.is_random
        ]
        notes += [
            f"{found.path}: not known to be the published weights {found.name}"
            for found in self.run.weights.values()
            if not found.is_random and not found.verified
        ]
        if config.anet().channel_scale != 1:
            notes.append(f"VGG-16 has {config.anet().channel_scale:g} times the paper's channels")
        if config.vnet().backbone == "frozen":
            notes.append("VNet and Joint train on cached face embeddings (frozen); the paper trains SphereFace along")
        return notes


class JpegCrops:
    """Crops kept as JPEG, decoded when they are taken; looks like an array to a sampler.

    Args:
        images: One JPEG per crop; they need not be in memory.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, images: Sequence[bytes]) -> None:
        self._images = images
        self.shape = (len(images), 112, 96, 3)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: "np.ndarray | slice") -> Any:
        if isinstance(rows, slice):
            return JpegCrops(self._images[rows])
        from pipeline.stages.frames import decode_jpeg

        return np.stack([decode_jpeg(self._images[row]) for row in np.asarray(rows)])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

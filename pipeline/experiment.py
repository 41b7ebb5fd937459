"""From the store to checkpoints and predictions: which utterances, under which fingerprints."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import config
from pipeline.dataset import Utterance
from pipeline.errors import UserError
from pipeline.fingerprints import compute_fingerprint
from pipeline.ledger import LedgerRow, read_ledger
from pipeline.run import Run
from store import files

if TYPE_CHECKING:
    from models.clips import Clips
    from models.fitting import EpochMetrics

NETWORKS = ("anet", "vnet", "joint")
#: Raised when the code of models/ changes what a training gives.
MODELS_VERSION = 2
#: Raised when the report's files change.
REPORT_VERSION = 3


@dataclass
class Experiment:
    """Three trainings and a report on what the store holds now.

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
    def fingerprints(self) -> dict[str, str]:
        """Name each network's checkpoints, and the report, by everything that makes them what they are."""
        stft, faces = self.run.fingerprints["stft"], self.run.fingerprints["embeddings"]
        vgg, sphereface = self.run.weights["vgg16"], self.run.weights["sphereface20"]
        backbone = config.vnet().backbone
        anet = self._fingerprint("anet", {"stft": stft}, ["has_sound"], {"vgg16": vgg.sha256})
        vnet_weights = {"sphereface20": sphereface.sha256} if backbone == "finetune" else {}
        vnet_stages = {"crops" if backbone == "finetune" else "embeddings": faces}
        vnet = self._fingerprint("vnet", vnet_stages, ["has_face"], vnet_weights)
        joint = self._fingerprint(
            "joint", {"stft": stft, **vnet_stages}, ["has_sound", "has_face"], {"parents": [anet, vnet]}
        )
        report = compute_fingerprint(
            {
                "version": REPORT_VERSION,
                "parents": [anet, vnet, joint],
                "folds": config.run().folds,
                "opensmile": config.run().opensmile,
                "utterances": [
                    [u.name, u.utterance, u.split, u.arousal, u.valence, row.sound, row.picture, row.source_sha256]
                    for u in self.run.dataset.utterances
                    for row in [self.ledger[u.name]]
                ],
            }
        )
        return {"anet": anet, "vnet": vnet, "joint": joint, "report": report}

    def _fingerprint(self, network: str, stages: dict[str, str], needs: Sequence[str], weights: dict[str, Any]) -> str:
        members = [
            [u.name, row.source_sha256, u.arousal, u.valence, u.split]
            for u in self.run.dataset.utterances
            for row in [self.ledger[u.name]]
            if u.split in ("train", "validation") and all(getattr(row, need) for need in needs)
        ]
        return compute_fingerprint(
            {
                "network": network,
                "version": MODELS_VERSION,
                "stages": stages,
                "members": members,
                "settings": config.settings_of(config.SECTIONS[network]),
                "seed": config.run().seed,
                "precision": config.run().precision,
                "processes": config.run().processes,
                "weights": weights,
            }
        )

    def folder(self, network: str) -> Path:
        """Give the folder of a network's checkpoints."""
        return self.run.folder / "checkpoints" / f"{network}-{self.fingerprints[network]}"

    def done_path(self, network: str) -> Path:
        """Give the file that appears when a network's training is over."""
        return self.folder(network) / "training.json"

    @property
    def report_folder(self) -> Path:
        """Give the folder of the report on these checkpoints and utterances."""
        return self.run.folder / "reports" / self.fingerprints["report"]

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
        from models.clips import Clips

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
        if self.run.path("crops", row.shard).exists():
            return self._rows("crops", "crop", name)
        jpeg = self.run.shard("crops_jpeg", row.shard)
        if jpeg is None:
            raise UserError(
                f"{self.run.path('crops', row.shard)} is not there: [vnet] backbone = finetune reads the crops; set "
                "[faces] crops = raw or jpeg, remove the shard's embeddings file, and run again"
            )
        return JpegCrops(jpeg.images(name))

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

    def train(self, network: str, on_epoch: "Callable[[EpochMetrics], None]") -> None:
        """Train one network and leave its checkpoints; `training.json` appears last.

        A training that was stopped goes on from its last finished epoch.
        """
        from pipeline import training_processes
        from pipeline.stages.device import find_device

        self.check_trainable()
        folder = self.folder(network)
        folder.mkdir(parents=True, exist_ok=True)
        if config.run().processes > 1:
            training_processes.train(network, self.fingerprints[network], on_epoch)
        else:
            training_processes.train_here(self, network, on_epoch, device=find_device())
        if network == "joint":
            for parent in ("anet", "vnet"):
                # What lacks sound or a face is predicted by one of these: the folder goes elsewhere as a whole.
                _link_or_copy(self.folder(parent) / "best.pt", folder / f"{parent}.pt")
        files.write_json(self.done_path(network), {"network": network, "fingerprint": self.fingerprints[network]})

    def predict(self, network: str, split: str) -> np.ndarray:
        """Predict a split: (U, 2) float32, NaN where the network can see nothing."""
        from models.training import predict
        from pipeline.stages.device import find_device, torch_threads

        with torch_threads(config.number_of_threads()):
            return predict(self.folder(network), self.load_clips(split), device=find_device())

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
        images: One JPEG per crop.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, images: list[bytes]) -> None:
        self._images = images
        self.shape = (len(images), 112, 96, 3)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: "np.ndarray | slice") -> Any:
        if isinstance(rows, slice):
            return JpegCrops(self._images[rows])
        from pipeline.stages.frames import decode_jpeg

        return np.stack([decode_jpeg(self._images[row]) for row in np.asarray(rows)])


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or where the file system has none a copy."""
    with files.replacing(target) as partial:
        try:
            partial.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, partial)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

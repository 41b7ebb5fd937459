"""The three trainings of one seed: under which fingerprints, in which folders, what they say of a split."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import config
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.kept_crops import describe_crops, find_crops
from store import files

if TYPE_CHECKING:
    from models.training.loop import EpochMetrics
    from pipeline.training.experiment import Experiment

NETWORKS = ("anet", "vnet", "joint")
#: Raised when the code of models/ changes what a training gives.
MODELS_VERSION = 2


@dataclass
class Trainings:
    """ANet, VNet and the Joint that starts from these two, all of one seed.

    Args:
        experiment: The clips they are trained on.
        seed: Of every random number.
    """

    experiment: "Experiment"
    seed: int

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Name each network's checkpoints by everything that makes them what they are."""
        run = self.experiment.run
        stft, faces = run.fingerprints["stft"], run.fingerprints["embeddings"]
        vgg, sphereface = run.weights["vgg16"], run.weights["sphereface20"]
        backbone = config.vnet().backbone
        anet = self._fingerprint("anet", {"stft": stft}, ["has_sound"], {"vgg16": vgg.sha256})
        vnet_weights = {"sphereface20": sphereface.sha256} if backbone == "finetune" else {}
        vnet_stages = {"crops" if backbone == "finetune" else "embeddings": faces}
        vnet = self._fingerprint("vnet", vnet_stages, ["has_face"], vnet_weights)
        joint = self._fingerprint(
            "joint", {"stft": stft, **vnet_stages}, ["has_sound", "has_face"], {"parents": [anet, vnet]}
        )
        return {"anet": anet, "vnet": vnet, "joint": joint}

    def _fingerprint(self, network: str, stages: dict[str, str], needs: Sequence[str], weights: dict[str, Any]) -> str:
        members = [
            [u.name, row.source_sha256, u.arousal, u.valence, u.split, *self._describe_crops(stages, row.shard)]
            for u in self.experiment.run.dataset.utterances
            for row in [self.experiment.ledger[u.name]]
            if u.split in ("train", "validation") and all(getattr(row, need) for need in needs)
        ]
        return compute_fingerprint(
            {
                "network": network,
                "version": MODELS_VERSION,
                "stages": stages,
                "members": members,
                "settings": config.settings_of(config.SECTIONS[network]),
                "seed": self.seed,
                "precision": config.run().precision,
                "processes": config.run().processes,
                "weights": weights,
            }
        )

    def _describe_crops(self, stages: dict[str, str], shard: str) -> list[str]:
        """Say in which form a network reads the crops; it gives other numbers with other ones."""
        if "crops" not in stages:
            return []
        return [describe_crops(find_crops(self.experiment.run, shard))]

    def folder(self, network: str) -> Path:
        """Give the folder of a network's checkpoints."""
        return self.experiment.run.folder / "checkpoints" / f"{network}-{self.fingerprints[network]}"

    def done_path(self, network: str) -> Path:
        """Give the file that appears when a network's training is over."""
        return self.folder(network) / "training.json"

    def is_done(self, network: str) -> bool:
        """Tell whether a network's training is over."""
        return self.done_path(network).exists()

    def train(self, network: str, on_epoch: "Callable[[EpochMetrics], None]") -> None:
        """Train one network and leave its checkpoints; `training.json` appears last.

        A training that was stopped goes on from its last finished epoch.
        """
        from pipeline.stages.device import find_device
        from pipeline.training import worker as training_processes

        self.experiment.check_trainable()
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
        from models.training.start import predict
        from pipeline.stages.device import find_device, torch_threads

        with torch_threads(config.number_of_threads()):
            return predict(self.folder(network), self.experiment.load_clips(split), device=find_device())

    def describe(self) -> dict[str, Any]:
        """Give what the checkpoints rest on, as plain data: the same whether or not others are trained beside them."""
        found = self.experiment.describe()
        settings = {**found["settings"], "run": {**found["settings"]["run"], "seed": self.seed, "seeds": 1}}
        mean = self.experiment.training_mean().tolist()
        return {**found, "seed": self.seed, "settings": settings, "training_mean": mean}


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or where the file system has none a copy."""
    with files.replacing(target) as partial:
        try:
            partial.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, partial)

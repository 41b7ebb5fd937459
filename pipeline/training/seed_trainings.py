"""The three trainings of one seed: their fingerprints, their folders, and their predictions of a split."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from models.inputs.clips import Clips
from models.training.metrics import EpochMetrics
from models.training.settings import STFT
from models.training.version import TRAINING_VERSION
from pipeline.chain import NETWORK_TITLES
from pipeline.process import collecting_later
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.kept_crops import CROPS, describe_crops, find_crops, forecast_crops
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.settings.config import Settings
from pipeline.training.data import TrainingData
from pipeline.training.launcher import train_in_processes
from pipeline.training.records.curves import find_curves
from pipeline.training.records.record import DONE, RESTS_ON, TrainingRecord
from pipeline.training.request import TrainingRequest, train
from pipeline.training.warm_start import Start, describe_architecture, find_start, write_decision
from store import files

#: Conditions that an utterance must meet to be trained on.
Needs = Sequence[Callable[[LedgerRow], bool]]


@dataclass(frozen=True)
class Trainings:
    """The trainings of ANet, VNet, and the Joint that starts from these two, all with one seed.

    Args:
        data: The clips that they are trained on.
        seed: The seed of all random numbers.
        is_fold: Whether they are a part of a cross-validation.
    """

    data: TrainingData
    seed: int
    is_fold: bool = False
    _starts: dict[str, Start] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Network to the fingerprint of its checkpoints: a digest of everything that determines them."""
        return self._made_of[0]

    def record(self, network: str) -> TrainingRecord:
        """Give the record of a network's training: its fingerprint, and what determines its result."""
        own = [*self.data.face_stages] if network != "anet" else []
        own += [self.data.sound_stage] if network != "vnet" else []
        features = {stage: self.data.run.stages[stage] for stage in dict.fromkeys([*RESTS_ON[network], *own])}
        fingerprints, made_of = self._made_of
        return TrainingRecord(
            network,
            fingerprints[network],
            made_of[network],
            features,
            self.is_fold,
            self.folder(network),
            describe_architecture(network, self.data.run.settings),
        )

    def start(self, network: str) -> Start | None:
        """Give the earlier training that a network's training continues (`[run] warm_start`), or None."""
        return self._starts.get(network) if self._made_of else None

    @cached_property
    @collecting_later()
    def _made_of(self) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        """Give the networks' fingerprints, and for each the data of which it is a digest."""
        run = self.data.run
        sound, faces = self.data.sound_stage, run.fingerprints["embeddings"]
        sounds, sphereface = {sound: run.fingerprints[sound]}, run.weights["sphereface20"]
        backbone = run.settings.vnet.backbone
        anet_weights = {"vgg16": run.weights["vgg16"].sha256} if sound == STFT else {}
        made_of = {"anet": self._make("anet", sounds, [self.data.hears], anet_weights)}
        vnet_weights = {"sphereface20": sphereface.sha256} if backbone == "finetune" else {}
        vnet_stages = {stage: run.fingerprints[stage] for stage in self.data.face_stages}
        if backbone == "finetune":
            vnet_stages = {"crops": faces}
        made_of["vnet"] = self._make("vnet", vnet_stages, [self.data.sees_face], vnet_weights)
        found = {network: compute_fingerprint(made) for network, made in made_of.items()}
        made_of["joint"] = self._make(
            "joint",
            {**sounds, **vnet_stages},
            [self.data.hears, self.data.sees_face],
            {"parents": list(found.values())},
        )
        return {**found, "joint": compute_fingerprint(made_of["joint"])}, made_of

    def _make(
        self,
        network: str,
        stages: dict[str, str],
        needs: Needs,
        weights: dict[str, Any],
    ) -> dict[str, Any]:
        """Describe what determines a training's result, with the training that it continues, if there is one."""
        made_of = self._describe_making(network, stages, needs, weights)
        # A fold continues no other training: that may have learnt from the clips that the fold holds out.
        if self.is_fold or not self.data.run.settings.run.warm_start:
            return made_of
        scored = frozenset(u.name for u in self.data.run.dataset.utterances if not self.data.find_part(u))
        start = find_start(
            self.data.run.folder / "checkpoints",
            made_of,
            describe_architecture(network, self.data.run.settings),
            scored,
        )
        if start is None:
            return made_of
        self._starts[network] = start
        return {**made_of, "warm_start": start.fingerprint}

    def _describe_making(
        self,
        network: str,
        stages: dict[str, str],
        needs: Needs,
        weights: dict[str, Any],
    ) -> dict[str, Any]:
        data = self.data
        found = [(u, part, data.ledger[u.name]) for u in data.run.dataset.utterances if (part := data.find_part(u))]
        for is_there in needs:
            found = [each for each in found if is_there(each[2])]
        members = [[u.name, row.identity, u.arousal, u.valence, part] for u, part, row in found]
        if "crops" in stages:
            for member, (_, _, row) in zip(members, found, strict=True):
                member.append(self._describe_crops(row.shard))
        settings = self.data.run.settings
        # Left out at its default, so that the fingerprints of trainings from before the setting stay the same.
        select_on = settings.run.select_on
        return {
            "network": network,
            "version": TRAINING_VERSION,
            "stages": stages,
            "members": members,
            "settings": settings.describe_training(network),
            "seed": self.seed,
            "precision": settings.run.precision,
            "processes": settings.run.processes,
            "weights": weights,
            **({} if select_on == "validation" else {"select_on": select_on}),
        }

    def _describe_crops(self, shard: str) -> str:
        """Say in which form a network reads the crops: raw and JPEG crops give different results."""
        if self.data.is_forecast and not any(self.data.run.path(name, shard).exists() for name in CROPS):
            return forecast_crops(self.data.run)
        return describe_crops(find_crops(self.data.run, shard))

    def folder(self, network: str) -> Path:
        """Give the folder of a network's checkpoints."""
        return self.data.run.folder / "checkpoints" / f"{network}-{self.fingerprints[network]}"

    def done_path(self, network: str) -> Path:
        """Give the path of the file that appears when a network's training is finished."""
        return self.folder(network) / DONE

    def is_done(self, network: str) -> bool:
        """Tell whether a network's training is finished."""
        return self.done_path(network).exists()

    def train(self, network: str, on_epoch: Callable[[EpochMetrics], None]) -> None:
        """Train one network and write its checkpoints; `training.json` appears last.

        A training that was stopped continues from its last saved state.
        """
        self.data.check_trainable()
        folder = self.folder(network)
        folder.mkdir(parents=True, exist_ok=True)
        request = self.request(network)
        write_decision(folder, self._made_of[1][network])
        processes = self.data.run.settings.run.processes
        if processes > 1:
            train_in_processes(request, processes, on_epoch)
        else:
            train(request, on_epoch, open_file=self.data.run.open_file)
        if network == "joint":
            for parent in ("anet", "vnet"):
                # ANet or VNet predicts clips without a face or sound: with them, Joint's folder can be used alone.
                _link_or_copy(self.folder(parent) / "best.pt", folder / f"{parent}.pt")
        self.record(network).write(self.done_path(network))

    def request(self, network: str) -> TrainingRequest:
        """Give everything that a network's training needs, as plain values."""
        from pipeline.stages.device import find_device

        everything = self.data.run.settings
        settings = {**everything.values(network), "precision": everything.run.precision}
        start = self.start(network)
        pretrained = {"anet": "vgg16" if self.data.sound_stage == STFT else None, "vnet": "sphereface20"}.get(network)
        weights = None if pretrained is None else self.data.run.weights[pretrained].path
        if network == "anet":
            settings.pop("vgg_weights")
        if network == "vnet":
            settings["channel_order"] = everything.embeddings.channel_order
        return TrainingRequest(
            network=network,
            settings=settings,
            folder=str(self.folder(network)),
            curves=str(find_curves(self.data.run.folder, self.folder(network), self._title(network), datetime.now())),
            seed=self.seed,
            device=find_device(everything),
            threads=_count_threads(network, everything),
            save_every_steps=everything.run.save_every_steps,
            saving_share=everything.run.saving_share,
            weights=None if weights is None else str(weights),
            parents={parent: str(self.folder(parent)) for parent in ("anet", "vnet") if network == "joint"},
            start=None if start is None else str(start.folder),
            provenance={**self.describe(), **({} if start is None else {"warm_start": start.fingerprint})},
            train=self.data.locate_rows(self.data.list_part(chooses=False)),
            validation=self.data.locate_rows(self.data.list_part(chooses=True)),
            chosen_on=everything.run.select_on,
        )

    def _title(self, network: str) -> str:
        """Name a training for people."""
        of = f"{NETWORK_TITLES[network].removeprefix('train ')}{' of a fold' if self.is_fold else ''}"
        return f"{of}, seed {self.seed}"

    def predict(self, network: str, split: str) -> np.ndarray:
        """Predict a split: (U, 2) float32, NaN where the network has no input."""
        return self.predict_clips(network, self.data.load_clips(split))

    def predict_clips(self, network: str, clips: Clips) -> np.ndarray:
        """Predict clips: (U, 2) float32, NaN where the network has no input."""
        from models.training.start import predict
        from pipeline.stages.device import find_device, torch_threads

        settings = self.data.run.settings
        with torch_threads(settings.num_threads):
            return predict(self.folder(network), clips, device=find_device(settings))

    def describe(self) -> dict[str, Any]:
        """Give what the checkpoints depend on, as plain data; how many other seeds are trained does not matter."""
        found = self.data.describe()
        settings = {**found["settings"], "run": {**found["settings"]["run"], "seed": self.seed, "seeds": 1}}
        mean = self.data.training_mean().tolist()
        return {**found, "seed": self.seed, "settings": settings, "training_mean": mean}


def _count_threads(network: str, settings: Settings) -> int:
    """Give the number of threads of each operation in a training on the CPU.

    VNet's LSTM on cached embeddings does hundreds of small operations, and after each of them several threads wait for
    each other. On a busy machine with two cores, two threads take five times as long as one.
    """
    if network == "vnet" and settings.vnet.backbone == "frozen":
        return 1
    return max(1, settings.num_threads // settings.run.processes)


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name (hard link), or copy it where the file system has no hard links."""
    with files.replacing(target) as partial:
        try:
            partial.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, partial)

"""One network's training as plain values, and doing it: the same in the run's process and in torchrun's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.training.metrics import EpochMetrics
from pipeline.training.clips import SplitRows
from store.shard.reader import Shard

#: Said of a checkpoint that was chosen so.
BY_HELD_OUT = "total CCC on training recordings that were held out"


@dataclass(frozen=True)
class TrainingRequest:
    """All that a training needs to know; nothing but text, numbers and lists of them.

    Attributes:
        network: "anet", "vnet" or "joint".
        settings: arguments of the network's settings class in models/training/settings/.
        folder: of the checkpoints.
        curves: folder of TensorBoard's file, named for people.
        seed: of every random number.
        device: "cpu" or "cuda".
        threads: of each operation on a CPU.
        save_every_steps: `[run] save_every_steps`.
        saving_share: `[run] saving_share`.
        weights: file of the pretrained weights it starts from; None for random ones, and for Joint.
        parents: Joint's single networks, by name the folder of their checkpoints.
        provenance: recorded with the checkpoints.
        train: what is trained on.
        validation: what chooses the epoch.
        chosen_on: `[run] select_on`.
        start: folder of the earlier training's checkpoints that it goes on from; None where it begins from the start.
    """

    network: str
    settings: Mapping[str, Any]
    folder: str
    curves: str
    seed: int
    device: str
    threads: int
    save_every_steps: int
    saving_share: float
    weights: str | None
    parents: Mapping[str, str]
    provenance: Mapping[str, Any]
    train: SplitRows
    validation: SplitRows
    chosen_on: str = "validation"
    start: str | None = None

    def write(self, path: Path) -> None:
        """Write it as JSON; NaN stays NaN."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "TrainingRequest":
        """Read what `write` wrote."""
        value = json.loads(path.read_text(encoding="utf-8"))
        splits: dict[str, Any] = {split: SplitRows(**value.pop(split)) for split in ("train", "validation")}
        return cls(**value, **splits)


def train(
    request: TrainingRequest,
    on_epoch: Callable[[EpochMetrics], None],
    *,
    open_file: Callable[[Path], Shard],
    device: str | None = None,
) -> None:
    """Train a network in this process, or in this process's share of several, and leave its checkpoints.

    Args:
        request: what is to be trained.
        on_epoch: called after each epoch.
        open_file: opens a shard's file.
        device: instead of the request's: one of several GPUs.
    """
    from models.training import start as training
    from pipeline.stages.device import torch_threads

    options = training.RunOptions(
        Path(request.folder),
        seed=request.seed,
        device=device or request.device,
        on_epoch=on_epoch,
        save_every_steps=request.save_every_steps,
        saving_share=request.saving_share,
        curves=Path(request.curves),
        selected_by=BY_HELD_OUT if request.chosen_on == "train" else training.RunOptions.selected_by,
    )
    splits = request.train.open(open_file), request.validation.open(open_file)
    weights = None if request.weights is None else Path(request.weights)
    settings = _restore(request.settings)
    start = None if request.start is None else Path(request.start)
    with torch_threads(request.threads):
        if request.network == "joint":
            training.train_joint(
                *splits,
                training.JointSettings(**settings),
                options,
                anet=Path(request.parents["anet"]),
                vnet=Path(request.parents["vnet"]),
                provenance=request.provenance,
                start=start,
            )
            return
        own: dict[str, Any] = {"weights": weights, "provenance": request.provenance, "start": start}
        if request.network == "anet":
            training.train_anet(*splits, training.ANetSettings(**settings), options, **own)
        else:
            training.train_vnet(*splits, training.VNetSettings(**settings), options, **own)


def _restore(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings as they were before they were JSON, which has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}

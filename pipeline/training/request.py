"""The request for one network's training, as plain values: the run's process and torchrun's processes train from it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.training.metrics import EpochMetrics
from pipeline.training.clips import SplitRows
from store.shard.reader import Shard

#: A checkpoint's record says this where held-out training recordings chose its epoch.
BY_HELD_OUT = "total CCC on training recordings that were held out"


@dataclass(frozen=True)
class TrainingRequest:
    """Everything that a training needs, as JSON values: text, numbers, lists and mappings of them.

    Attributes:
        network: "anet", "vnet" or "joint".
        settings: arguments of the network's settings class in models/training/settings/.
        folder: folder of the checkpoints.
        curves: folder of the file for TensorBoard; people see its name.
        seed: seed of all random numbers.
        device: "cpu" or "cuda".
        threads: number of threads of each operation on a CPU.
        save_every_steps: `[run] save_every_steps`.
        saving_share: `[run] saving_share`.
        weights: file of the pretrained weights from which it starts; None for random weights, and for Joint.
        parents: for Joint, "anet" and "vnet" to the folders of their checkpoints; else empty.
        provenance: recorded with the checkpoints.
        train: the clips that are trained on.
        validation: the clips that choose the epoch.
        chosen_on: `[run] select_on`.
        start: folder of the earlier training's checkpoints that this training continues (warm start), or None.
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
        """Write the request as JSON; NaN is written as NaN."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "TrainingRequest":
        """Read a request that `write` wrote."""
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
    """Train a network in this process, or do this process's share of a training by several; write its checkpoints.

    Args:
        request: what to train.
        on_epoch: called after each epoch.
        open_file: opens a shard's file.
        device: used instead of the request's device: one of several GPUs.
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
    """Turn lists back into tuples, which JSON does not have."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}

"""What an interrupted training needs to go on, in one file.

`state.pt` is written whole, at the end of epochs (and every so many steps where asked for), and is the only word on how
far a training is: best.pt and metrics.jsonl are mended from it where a kill came between.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.inputs.clips import FEATURES, Clips, count_rows
from models.training.checkpoints import CheckpointError, read_tensors, write_tensors
from models.training.metrics import EpochMetrics

STATE = "state.pt"
FORMAT = "valar-training-state/1"


@dataclass
class TrainingState:
    """How far a training is.

    Attributes:
        identity: of the training (see `compute_identity`).
        network: its tensors.
        optimiser: its state, as torch gives it.
        epoch: the one to go on with, counted from 0.
        step: of it, likewise.
        losses: of that epoch's steps before.
        history: of the epochs before.
        average: mean of the weights after the last epochs so far; empty where none is asked for or due.
        best: weights after the best epoch, where neither `network` nor best.pt has them; otherwise empty.
    """

    identity: str
    network: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[EpochMetrics] = field(default_factory=list)
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write state.pt whole."""
        content = {name: getattr(self, name) for name in TrainingState.__dataclass_fields__}
        content["history"] = [metrics.as_plain() for metrics in self.history]
        write_tensors(folder / STATE, {"format": FORMAT, **content})


def load_state(folder: Path) -> TrainingState | None:
    """Read state.pt; None where there is none, or one that cannot be used.

    Args:
        folder: of the training.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        content = read_tensors(path, format_name=FORMAT)
    except CheckpointError:
        return None
    content["history"] = [EpochMetrics.from_plain(values) for values in content["history"]]
    return TrainingState(**content)


def compute_identity(description: Mapping[str, Any], splits: Mapping[str, Clips]) -> str:
    """Digest all that decides on a training's outcome: 64 hexadecimal digits.

    Args:
        description: plain data; its settings, seed, weights, parents.
        splits: by name; their names, labels and numbers of rows count, the rows themselves do not.
    """
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, clips in splits.items():
        digest.update(json.dumps([name, list(clips.names)]).encode())
        if clips.labels is not None:
            digest.update(np.ascontiguousarray(clips.labels, dtype=np.float64).tobytes())
        for feature in FEATURES:
            digest.update(count_rows(getattr(clips, feature)).tobytes())
    return digest.hexdigest()


def write_metrics(path: Path, history: list[EpochMetrics]) -> None:
    """Write metrics.jsonl anew, whole, one line per epoch."""
    beside = path.with_name(f".{path.name}.tmp")
    lines = [json.dumps(metrics.as_plain(), allow_nan=False) + "\n" for metrics in history]
    beside.write_text("".join(lines), encoding="utf-8")
    beside.replace(path)


def add_to_average(
    average: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], count: int
) -> dict[str, torch.Tensor]:
    """Take the weights of one more epoch into a mean.

    Args:
        average: of the `count` epochs before; ignored where there are none.
        state: of this epoch.
        count: how many there were before.
    """
    if not count:
        return {key: value.detach().clone() for key, value in state.items()}
    # Read from state.pt it is on the CPU.
    former = {key: average[key].to(value.device) for key, value in state.items()}
    return {key: former[key] + (value.detach() - former[key]) / (count + 1) for key, value in state.items()}

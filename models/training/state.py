"""The state of a training in one file, from which an interrupted training continues.

`state.pt` is written whole, at the end of epochs (and after every so many steps if that is asked for). A training
continues from this file alone: after a kill, best.pt and metrics.jsonl are corrected to agree with it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.inputs.clips import FEATURES, Clips, count_rows
from models.loading import check_state
from models.tables import format_count
from models.tensor_files import check_plain, make_printable, write_tensors
from models.training.checkpoints import CheckpointError, read_content
from models.training.metrics import EpochMetrics
from models.whole_files import writing_whole

STATE = "state.pt"
FORMAT = "valar-training-state/1"
#: Fields whose content is checked as plain data; `losses` may exceed the limits of plain data.
PLAIN_FIELDS = ("identity", "epoch", "step", "history")

log = logging.getLogger(__name__)


@dataclass
class TrainingState:
    """The progress of a training.

    Attributes:
        identity: of the training (see `compute_identity`).
        network: its tensors.
        optimiser: its state, as torch gives it.
        epoch: to continue with, counted from 0.
        step: of that epoch, to continue with, counted from 0.
        losses: of the finished steps of that epoch.
        history: of the finished epochs.
        average: mean of the weights after the last epochs so far; empty before them, or if no mean is asked for.
        best: weights after the best epoch, if neither `network` nor best.pt has them; otherwise empty.
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
    """Read state.pt; None if there is none, or if it cannot be used, which is logged.

    Args:
        folder: of the training.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        content = read_content(path, format_name=FORMAT)
        check_plain({name: content[name] for name in PLAIN_FIELDS}, where="state")
        content["history"] = [EpochMetrics.from_plain(values) for values in content["history"]]
        state = TrainingState(**content)
        _check_progress(state)
    except (CheckpointError, TypeError, ValueError, KeyError) as error:
        log.warning("%s cannot be used, so the training begins again: %s", path, make_printable(str(error)))
        return None
    return state


def check_state_fits(state: TrainingState, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Refuse a state whose tensors are not those of a network and its optimiser.

    Args:
        state: from a file.
        network: that is trained.
        optimiser: of its weights; its learning rate may differ.

    Raises:
        ValueError: says what does not fit.
    """
    for name in ("network", "average", "best"):
        tensors = getattr(state, name)
        if tensors or name == "network":
            check_state(network, tensors, source=name, hint="it must hold the network's weights")
    own = optimiser.state_dict()
    if set(state.optimiser) != set(own) or _describe_groups(state.optimiser) != _describe_groups(own):
        raise ValueError("its optimiser is another one")
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for number, kept in state.optimiser["state"].items():
        momentum = kept["momentum_buffer"]
        is_tensor = isinstance(momentum, torch.Tensor)
        if is_tensor and (momentum.shape != parameters[number].shape or not torch.isfinite(momentum).all()):
            raise ValueError(f"the momentum of parameter {number} has another shape, or is not finite")


def _describe_groups(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in group.items() if name != "lr"} for group in state["param_groups"]]


def _check_progress(state: TrainingState) -> None:
    """Refuse a state that contradicts itself."""
    for name, wanted in (("identity", str), ("network", dict), ("optimiser", dict), ("average", dict), ("best", dict)):
        if not isinstance(getattr(state, name), wanted):
            raise TypeError(f"{name} is {type(getattr(state, name)).__name__}: it must be {wanted.__name__}")
    if [metrics.epoch for metrics in state.history] != list(range(state.epoch)):
        raise ValueError(
            f"it names {format_count(len(state.history), 'finished epoch')} and goes on with epoch {state.epoch}"
        )
    if len(state.losses) != state.step or not all(isinstance(loss, float) for loss in state.losses):
        raise ValueError(
            f"it has {format_count(len(state.losses), 'loss', 'losses')} of {format_count(state.step, 'step')}"
        )


def compute_identity(description: Mapping[str, Any], splits: Mapping[str, Clips]) -> str:
    """Digest everything that decides a training's result: 64 hexadecimal digits.

    Args:
        description: plain data: settings, seed, weights, parents.
        splits: by name; the digest covers their names, labels and numbers of rows, but not the rows themselves.
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
    """Write the whole of metrics.jsonl, one line per epoch."""
    content = "".join(json.dumps(metrics.as_plain(), allow_nan=False) + "\n" for metrics in history).encode()
    with writing_whole(path, len(content)) as beside:
        beside.write_bytes(content)


def add_to_average(
    average: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], count: int
) -> dict[str, torch.Tensor]:
    """Add the weights of one more epoch to a mean.

    Args:
        average: of the `count` epochs before; ignored if there are none.
        state: weights of this epoch.
        count: number of epochs in `average`.
    """
    if not count:
        return {key: value.detach().clone() for key, value in state.items()}
    # After a restart, the average from state.pt is on the CPU.
    former = {key: average[key].to(value.device) for key, value in state.items()}
    return {key: former[key] + (value.detach() - former[key]) / (count + 1) for key, value in state.items()}

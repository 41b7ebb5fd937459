"""The description of a training, and its identity."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from models.inputs.clips import Clips
from models.inputs.plan import InputPlan
from models.training.checkpoints import Checkpoint
from models.training.metrics import EpochMetrics
from models.training.settings import TrainingSettings
from models.training.settings.declarations import find_silent
from models.training.state import compute_identity
from models.training.version import TRAINING_VERSION


class TrainingError(RuntimeError):
    """A training cannot go on; the message says what to try."""


@dataclass(frozen=True)
class RunOptions:
    """How a training is run; only the seed is part of its identity.

    Attributes:
        folder: for the checkpoints; made if it is missing.
        seed: of the initial weights, the order, the sampling and dropout.
        device: "cpu", "cuda", ...
        on_epoch: called after each epoch, and at the start for each epoch of an interrupted training.
        overwrite: train from the start, whatever the folder holds.
        save_every_steps: also save after every so many steps of an epoch; 0 saves only after epochs.
        saving_share: largest share of the training's time for saving after epochs; an epoch that is not saved is
            trained again after a kill. 1 saves after every epoch.
        curves: folder of TensorBoard's file, whose name is the training's name in TensorBoard; None for `folder`.
        selected_by: the score that chooses the best checkpoint, to be recorded in it.

    Raises:
        ValueError: `saving_share` not above 0 and at most 1.
    """

    folder: Path
    seed: int
    device: str = "cpu"
    on_epoch: Callable[[EpochMetrics], None] | None = None
    overwrite: bool = False
    save_every_steps: int = 0
    saving_share: float = 1.0
    curves: Path | None = None
    selected_by: str = "total validation CCC"

    def __post_init__(self) -> None:
        """Refuse a share that is not possible."""
        if not 0 < self.saving_share <= 1:
            raise ValueError(f"saving_share ({self.saving_share}) must be above 0 and at most 1")


@dataclass(frozen=True)
class Job:
    """One training, without its splits and options.

    Attributes:
        kind: "anet", "vnet" or "joint".
        network: with its initial weights; the training changes it.
        architecture: arguments of the network's constructor.
        settings: of the optimisation.
        train_plan: what the network looks at in training.
        evaluation_plan: what the network looks at in evaluation.
        weights: what its layers start from, for example {"vgg16": "random"}.
        parents: identities and epochs of the checkpoints that it starts from.
        provenance: recorded with the checkpoints.
    """

    kind: str
    network: nn.Module
    architecture: dict[str, Any]
    settings: TrainingSettings
    train_plan: InputPlan
    evaluation_plan: InputPlan
    weights: dict[str, str]
    parents: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def identify(self, train: Clips, validation: Clips, *, seed: int, processes: int) -> str:
        """Digest everything that decides the training's result; the provenance does not."""
        description = {
            "version": TRAINING_VERSION,
            "kind": self.kind,
            "architecture": self.architecture,
            "settings": self._describe_settings(),
            "plans": [self.train_plan.describe(), self.evaluation_plan.describe()],
            "weights": self.weights,
            "parents": self.parents,
            "seed": seed,
            "processes": processes,
        }
        return compute_identity(description, {"train": train, "validation": validation})

    def _describe_settings(self) -> dict[str, Any]:
        """Return the settings without later ones at their default, so that an earlier training keeps its identity."""
        values = asdict(self.settings)
        silent = find_silent(type(self.settings), values)
        return {name: value for name, value in values.items() if name not in silent}

    def make_checkpoint(self, metrics: EpochMetrics, *, identity: str, selected_by: str) -> Checkpoint:
        """Make a checkpoint of the network with its present weights."""
        return Checkpoint(
            kind=self.kind,
            architecture=self.architecture,
            inputs=self.evaluation_plan,
            settings=asdict(self.settings),
            epoch=metrics.epoch,
            scores={**metrics.as_plain(), "selected_by": selected_by},
            weights=self.weights,
            provenance=dict(self.provenance),
            state=self.network.state_dict(),
            identity=identity,
        )

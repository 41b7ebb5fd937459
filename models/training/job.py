"""What tells one training from another."""

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
        folder: where the checkpoints go; made where it is missing.
        seed: of the first weights, the order, the sampling and dropout.
        device: "cpu", "cuda", ...
        on_epoch: called after each epoch, and at once for those that were finished before.
        overwrite: train anew, whatever the folder holds.
        save_every_steps: also go on from the last step whose number within its epoch is a multiple of this; 0 for
            whole epochs only.
        saving_share: of the training's time, what saving after epochs may take at most; an epoch that is not saved is
            trained again after a kill. 1 saves after every epoch.
        curves: folder of TensorBoard's file, by whose name TensorBoard calls the training; None for `folder`.
        selected_by: said of the best checkpoint: which score chose it.

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
        """Refuse a share that cannot be kept."""
        if not 0 < self.saving_share <= 1:
            raise ValueError(f"saving_share ({self.saving_share}) must be above 0 and at most 1")


@dataclass(frozen=True)
class Job:
    """All that tells one training from another.

    Attributes:
        kind: "anet", "vnet" or "joint".
        network: as it starts; changed by the training.
        architecture: arguments of its constructor.
        settings: of the optimisation.
        train_plan: what it looks at in training.
        evaluation_plan: what it looks at in evaluation.
        weights: what its layers started from.
        parents: identities and epochs of the checkpoints it starts from.
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
        """Digest all that decides on the training's outcome; the provenance does not."""
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
        """Give the settings without later ones at their default: a training of before them is known again."""
        values = asdict(self.settings)
        silent = find_silent(type(self.settings), values)
        return {name: value for name, value in values.items() if name not in silent}

    def make_checkpoint(self, metrics: EpochMetrics, *, identity: str, selected_by: str) -> Checkpoint:
        """Describe the network as it is now."""
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

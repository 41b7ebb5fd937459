"""The measures of each epoch of a training."""

import math
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

# Larger numbers in a file are refused: a number in JSON may have any number of digits.
_LARGEST = 1 << 63


@dataclass(frozen=True)
class EpochMetrics:
    """One line of metrics.jsonl.

    Attributes:
        kind: "anet", "vnet" or "joint".
        epoch: counted from 0.
        num_epochs: of this training.
        loss: mean of the batches' losses, weighted by their sizes.
        learning_rate: of this epoch.
        ccc_arousal: CCC of arousal on the validation split; NaN where undefined.
        ccc_valence: CCC of valence on the validation split; NaN where undefined.
        total_ccc: sum of the defined ones of both; NaN if neither is defined.
        is_best: whether the total is higher than that of every earlier epoch.
        num_train: utterances trained on.
        num_validation: utterances validated on.
        seconds: wall time of the epoch, validation included.
        train_seconds: wall time of its steps.
        wait_seconds: part of these, in which the loop waited for data.
        spread_arousal: standard deviation of the predicted arousal on the validation split; NaN without validation
            utterances, and in files of an earlier version.
        spread_valence: the same for valence.
        mean_arousal: mean of the predicted arousal on the validation split; NaN in the same cases.
        mean_valence: the same for valence.
    """

    kind: str
    epoch: int
    num_epochs: int
    loss: float
    learning_rate: float
    ccc_arousal: float
    ccc_valence: float
    total_ccc: float
    is_best: bool
    num_train: int
    num_validation: int
    seconds: float
    train_seconds: float
    wait_seconds: float
    spread_arousal: float = math.nan
    spread_valence: float = math.nan
    mean_arousal: float = math.nan
    mean_valence: float = math.nan

    def as_plain(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold: undefined values are None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "EpochMetrics":
        """Make an epoch from the dictionary of `as_plain`; infinite values come back as NaN.

        Raises:
            ValueError: an entry is missing, or of another type.
        """
        declared = {each.name: each for each in fields(cls)}
        missing = [name for name, each in declared.items() if each.default is MISSING and name not in values]
        if missing:
            raise ValueError(f"an epoch has no {missing[0]}")
        known: dict[str, Any] = {
            name: math.nan if values[name] is None and each.type is float else values[name]
            for name, each in declared.items()
            if name in values
        }
        for name, value in known.items():
            wanted = (int, float) if declared[name].type is float else (declared[name].type,)
            if type(value) not in wanted or (type(value) is not str and abs(value) > _LARGEST):
                raise ValueError(f"{name} of an epoch is {str(value)[:40]!r}")
        return cls(**known)


def find_best_total(history: list[EpochMetrics]) -> float:
    """Return the highest total CCC of some epochs; minus infinity if none has one."""
    return max((m.total_ccc for m in history if math.isfinite(m.total_ccc)), default=-math.inf)


def find_best(history: list[EpochMetrics]) -> EpochMetrics | None:
    """Return the best of some epochs; None if none has a score."""
    return next((metrics for metrics in reversed(history) if metrics.is_best), None)


def count_epochs_since_best(history: list[EpochMetrics]) -> int:
    """Count the epochs after the best one; 0 if none has a score."""
    best = find_best(history)
    return history[-1].epoch - best.epoch if best else 0

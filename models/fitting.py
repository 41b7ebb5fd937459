"""The training loop that ANet, VNet and Joint share."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.batches import InputPlan, draw_rows, gather_rows, prepare_inputs
from models.ccc import compute_ccc
from models.checkpoints import BEST, LAST, Checkpoint, save_checkpoint
from models.clips import Clips
from models.loading import place_network
from models.losses import LOSSES
from models.prediction import predict_clips
from models.sampling import split_batches
from models.seeding import seeded
from models.settings import TrainingSettings

METRICS = "metrics.jsonl"
NO_VALIDATION = "last epoch: no validation utterance has a usable label and something the network can see"

log = logging.getLogger(__name__)


class TrainingError(RuntimeError):
    """A training cannot go on; the message says what to try."""


@dataclass(frozen=True)
class EpochMetrics:
    """One line of metrics.jsonl.

    Attributes:
        kind: "anet", "vnet" or "joint".
        epoch: counted from 0.
        num_epochs: of this training.
        loss: mean over the training utterances, each counted in its batch.
        learning_rate: of this epoch.
        ccc_arousal: on the validation split; NaN where undefined, as are the next two.
        ccc_valence: likewise.
        total_ccc: sum of those that are defined.
        is_best: no epoch before had a higher total.
        num_train: utterances trained on.
        num_validation: utterances validated on.
        seconds: wall time of the epoch, validation included.
        train_seconds: wall time of its steps.
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

    def as_plain(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold: undefined values are None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


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
        provenance: recorded with the checkpoints.
    """

    kind: str
    network: nn.Module
    architecture: dict[str, Any]
    settings: TrainingSettings
    train_plan: InputPlan
    evaluation_plan: InputPlan
    weights: dict[str, str]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def fit(
    job: Job,
    train: Clips,
    validation: Clips,
    *,
    folder: Path,
    seed: int,
    device: str,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    overwrite: bool = False,
) -> None:
    """Train and leave best.pt, metrics.jsonl and, at the very end, last.pt in the folder.

    Utterances without both labels, or without what the network looks at, are left out. The best checkpoint is that of
    the highest total validation CCC, the earlier one of two equal; where no epoch has one it is the last.

    Args:
        job: what to train.
        train: training split.
        validation: validation split, may be empty.
        folder: made where it is missing; files of an interrupted training in it are replaced.
        seed: of the order, the sampling and dropout.
        device: "cpu", "cuda", ...
        on_epoch: called after each epoch.
        overwrite: whether a finished training in the folder is replaced as well.

    Raises:
        FileExistsError: the folder holds a finished training and `overwrite` is not set.
        TrainingError: nothing to train on, or the loss is no number any more.
    """
    members = _claim_folder(job, train, folder, overwrite=overwrite)
    settings = job.settings
    place_network(job.network, device=device)
    # One optimiser throughout: its momentum survives a step of the schedule.
    optimiser = torch.optim.SGD(
        job.network.parameters(), settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    best_total = -math.inf
    with (folder / METRICS).open("w", encoding="utf-8") as file:
        for epoch in range(settings.epochs):
            start = time.perf_counter()
            rate = _set_learning_rate(optimiser, settings, epoch)
            loss = _train_epoch(job, optimiser, train, members, epoch=epoch, seed=seed, device=device)
            train_seconds = time.perf_counter() - start
            scores = _validate(job, validation, device=device)
            metrics = EpochMetrics(
                kind=job.kind,
                epoch=epoch,
                num_epochs=settings.epochs,
                loss=loss,
                learning_rate=rate,
                **scores,
                is_best=scores["total_ccc"] > best_total,
                num_train=len(members),
                seconds=time.perf_counter() - start,
                train_seconds=train_seconds,
            )
            if metrics.is_best:
                best_total = metrics.total_ccc
                save_checkpoint(folder / BEST, _make_checkpoint(job, metrics, selected_by="total validation CCC"))
            file.write(json.dumps(metrics.as_plain(), allow_nan=False) + "\n")
            file.flush()
            if on_epoch is not None:
                on_epoch(metrics)
    if best_total == -math.inf:
        log.warning("%s: the best checkpoint is that of the %s", job.kind, NO_VALIDATION)
        save_checkpoint(folder / BEST, _make_checkpoint(job, metrics, selected_by=NO_VALIDATION))
    save_checkpoint(folder / LAST, _make_checkpoint(job, metrics, selected_by="last epoch"))


def _claim_folder(job: Job, train: Clips, folder: Path, *, overwrite: bool) -> np.ndarray:
    """Return the positions of the utterances to train on, (M,), once nothing stands in the way of the training."""
    if (folder / LAST).exists() and not overwrite:
        raise FileExistsError(f"{folder / LAST} exists: this training is finished; set overwrite to train again")
    members = np.flatnonzero(train.find_labelled() & job.train_plan.find_visible(train))
    if not len(members):
        raise TrainingError(_describe_emptiness(job, train))
    folder.mkdir(parents=True, exist_ok=True)
    # last.pt tells that a training is finished, so it goes first.
    for name in (LAST, BEST):
        (folder / name).unlink(missing_ok=True)
    return members


def _train_epoch(
    job: Job,
    optimiser: torch.optim.Optimizer,
    train: Clips,
    members: np.ndarray,
    *,
    epoch: int,
    seed: int,
    device: str,
) -> float:
    """Run one epoch and return its mean loss. Its random numbers depend on the seed and the epoch alone."""
    network, settings, plan = job.network, job.settings, job.train_plan
    assert train.labels is not None, "members are labelled"
    rng = np.random.default_rng((seed, epoch))
    compute_loss = LOSSES[settings.loss]
    network.train()
    total = 0.0
    with seeded(seed, epoch, device=device):
        for step, positions in enumerate(split_batches(len(members), settings.batch_size, rng)):
            batch = members[positions]
            gathered = gather_rows(train, draw_rows(train, batch, plan, rng), plan)
            labels = torch.from_numpy(train.labels[batch].astype(np.float32)).to(device)  # (B, 2)
            prediction = network(*prepare_inputs(gathered, plan, device))  # (B, 2)
            loss = compute_loss(prediction, labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
            value = float(loss.detach())
            if not (math.isfinite(value) and math.isfinite(float(norm))):
                names = [train.names[member] for member in batch]
                raise TrainingError(_describe_explosion(job, epoch, step, value, float(norm), names))
            optimiser.step()
            total += value * len(batch)
    return total / len(members)


def _validate(job: Job, validation: Clips, *, device: str) -> dict[str, Any]:
    """Return the scores over all validation utterances at once, and how many there were, as `EpochMetrics` has them."""
    counted = validation.find_labelled() & job.evaluation_plan.find_visible(validation)
    ccc = np.full(2, math.nan)
    if validation.labels is not None and counted.any():
        prediction = predict_clips(
            job.network, validation, job.evaluation_plan, device=device, batch_size=job.settings.batch_size
        )
        ccc = np.array([compute_ccc(validation.labels[counted, i], prediction[counted, i]) for i in range(2)])
    return {
        "ccc_arousal": float(ccc[0]),
        "ccc_valence": float(ccc[1]),
        "total_ccc": float(np.nansum(ccc)) if np.isfinite(ccc).any() else math.nan,
        "num_validation": int(counted.sum()),
    }


def _set_learning_rate(optimiser: torch.optim.Optimizer, settings: TrainingSettings, epoch: int) -> float:
    passed = sum(epoch >= step for step in settings.learning_rate_steps)
    rate = settings.learning_rate * settings.learning_rate_factor**passed
    optimiser.param_groups[0]["lr"] = rate
    return rate


def _make_checkpoint(job: Job, metrics: EpochMetrics, *, selected_by: str) -> Checkpoint:
    return Checkpoint(
        kind=job.kind,
        architecture=job.architecture,
        inputs=job.evaluation_plan,
        settings=asdict(job.settings),
        epoch=metrics.epoch,
        scores={**metrics.as_plain(), "selected_by": selected_by},
        weights=job.weights,
        provenance=dict(job.provenance),
        state=job.network.state_dict(),
    )


def _describe_emptiness(job: Job, train: Clips) -> str:
    return (
        f"{job.kind} has nothing to train on: of {len(train)} training utterances {train.find_labelled().sum()} have "
        f"both labels and {job.train_plan.find_visible(train).sum()} what the network looks at; see their statuses "
        "with `python -m pipeline status`"
    )


def _describe_explosion(job: Job, epoch: int, step: int, loss: float, norm: float, names: list[str]) -> str:
    return (
        f"{job.kind}: the loss ({loss}) or the norm of its gradient ({norm}) is no finite number in epoch {epoch}, "
        f"step {step}, with the utterances {', '.join(names)}; try a lower learning_rate "
        f"({job.settings.learning_rate}) or gradient_clip ({job.settings.gradient_clip}), and look for NaN in the "
        "features of these utterances"
    )

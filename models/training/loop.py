"""The training loop that ANet, VNet and Joint share."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.inputs.clips import Clips
from models.inputs.feeding import choose_source
from models.loading import place_network
from models.scores.ccc import compute_ccc
from models.tables import format_count
from models.training.checkpoints import BEST, LAST, CheckpointError, load_checkpoint, save_checkpoint
from models.training.constant import FEWEST_CONSTANT, count_constant, describe_constant
from models.training.epoch import Losses, Setup, train_epoch
from models.training.inference import BATCH_SIZE, predict_members
from models.training.job import Job, RunOptions, TrainingError
from models.training.metrics import EpochMetrics, count_epochs_since_best, find_best_total
from models.training.parallel import Group, find_group
from models.training.saving import AVERAGE, Keeper
from models.training.settings import TrainingSettings
from models.training.state import STATE, TrainingState, add_to_average

__all__ = ["EpochMetrics", "Job", "RunOptions", "TrainingError", "fit"]

NO_VALIDATION = "last epoch: no validation utterance has a usable label and something the network can see"

log = logging.getLogger(__name__)


def fit(job: Job, train: Clips, validation: Clips, options: RunOptions) -> None:
    """Train a network. Write best.pt, metrics.jsonl, TensorBoard's file and, at the very end, last.pt to the folder.

    Utterances without both labels, or without what the network looks at, are left out. The best checkpoint is that of
    the highest total validation CCC, the earlier one of two equal. If no epoch has such a CCC, it is that of the last.

    The process may be killed at any moment. The next call with the same arguments continues from the last saved epoch,
    which is the last finished one unless `saving_share` is below 1. It ends with the weights of an uninterrupted
    training: the same bits on the same machine's CPU with the same number of threads. An unfinished training with other
    arguments is replaced.

    Args:
        job: what to train.
        train: training split.
        validation: validation split, may be empty.
        options: where, on what and with which seed.

    Raises:
        FileExistsError: the folder holds another finished training and `overwrite` is not set.
        TrainingError: there is nothing to train on, a batch has fewer utterances than there are processes, the device
            is out of memory, or the loss is not a finite number.
    """
    group = find_group()
    folder, device = options.folder, options.device
    members = _find_members(job, train, group)
    identity = job.identify(train, validation, seed=options.seed, processes=group.size)
    if not options.overwrite and _is_finished(folder, identity):
        (folder / STATE).unlink(missing_ok=True)
        return
    place_network(job.network, device=device)
    # One optimiser for all epochs: its momentum is kept when the learning rate changes.
    settings = job.settings
    optimiser = torch.optim.SGD(
        job.network.parameters(), settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    keeper = Keeper(job, optimiser, group, options)
    state = keeper.start(identity, overwrite=options.overwrite)
    setup = Setup(
        job=job,
        network=group.wrap(job.network),
        optimiser=optimiser,
        train=train,
        source=choose_source(train, job.train_plan, device),
        members=members,
        seed=options.seed,
        device=device,
        group=group,
    )
    validate = _make_validation(job, validation, device, group)
    _train_epochs(state, setup, validate, keeper, options)
    _finish(state, setup, validate, folder)
    group.wait()


def _train_epochs(
    state: TrainingState, setup: Setup, validate: Callable[[], dict[str, Any]], keeper: Keeper, options: RunOptions
) -> None:
    """Train, validate and save epoch after epoch, from the state's epoch to the end."""
    settings = setup.job.settings
    report = options.on_epoch or (lambda metrics: None)
    for metrics in state.history:
        report(metrics)

    def save_step(losses: Losses) -> None:
        if options.save_every_steps and losses.num_steps % options.save_every_steps == 0:
            losses.look()
            state.step, state.losses = losses.num_steps, list(losses.values)
            keeper.save(state)

    while not _is_over(state.history, settings):
        epoch = state.epoch
        start = time.perf_counter()
        rate = _set_learning_rate(setup.optimiser, settings, epoch)
        loss, wait_seconds = train_epoch(setup, epoch, state.losses, save_step)
        train_seconds = time.perf_counter() - start
        scores = validate()
        metrics = EpochMetrics(
            kind=setup.job.kind,
            epoch=epoch,
            num_epochs=settings.epochs,
            loss=loss,
            learning_rate=rate,
            **scores,
            is_best=scores["total_ccc"] > find_best_total(state.history),
            num_train=len(setup.members),
            seconds=time.perf_counter() - start,
            train_seconds=train_seconds,
            wait_seconds=wait_seconds,
        )
        _finish_epoch(state, setup, metrics, keeper)
        report(metrics)


def _find_members(job: Job, train: Clips, group: Group) -> np.ndarray:
    """Return the positions of the utterances to train on, (M,)."""
    members = np.flatnonzero(train.find_labelled() & job.train_plan.find_visible(train))
    if not len(members):
        raise TrainingError(
            f"{job.kind} has nothing to train on: of {format_count(len(train), 'training utterance')} "
            f"{train.find_labelled().sum()} have both labels, and {job.train_plan.find_visible(train).sum()} have what "
            "the network looks at; see their statuses with `valar status`"
        )
    smallest = len(members) // -(-len(members) // job.settings.batch_size)
    if smallest < group.size:
        raise TrainingError(
            f"{job.kind}: {group.size} processes cannot share a batch of {format_count(smallest, 'utterance')} "
            f"({len(members)} in all, "
            f"batch_size {job.settings.batch_size}); start fewer processes or raise batch_size"
        )
    return members


def _is_finished(folder: Path, identity: str) -> bool:
    """Tell whether the folder holds exactly this training, finished."""
    if not (folder / LAST).exists():
        return False
    try:
        if load_checkpoint(folder / LAST).identity == identity:
            return True
    except CheckpointError as error:
        raise FileExistsError(
            f"{folder / LAST} exists and is not a checkpoint of Valar: {error}; set overwrite to replace it"
        ) from error
    raise FileExistsError(
        f"{folder / LAST} exists: a training with other data or settings is finished there; set overwrite to replace it"
    )


def _finish_epoch(state: TrainingState, setup: Setup, metrics: EpochMetrics, keeper: Keeper) -> None:
    """Add an epoch to the state, and save what has to be saved."""
    settings = setup.job.settings
    first_averaged = settings.epochs - settings.average_last
    if settings.average_last > 1 and metrics.epoch >= first_averaged:
        weights = setup.job.network.state_dict()
        state.average = add_to_average(state.average, weights, metrics.epoch - first_averaged)
    state.history.append(metrics)
    if setup.group.is_first and count_constant(state.history) == FEWEST_CONSTANT:
        names = ("loss", "learning_rate", "gradient_clip", "arousal_output")
        chosen = {name: getattr(settings, name) for name in names}
        log.warning("%s", describe_constant(state.history, **chosen))
    state.epoch, state.step, state.losses = metrics.epoch + 1, 0, []
    keeper.save_epoch(state, is_last=_is_over(state.history, settings))


def _is_over(history: list[EpochMetrics], settings: TrainingSettings) -> bool:
    if len(history) >= settings.epochs:
        return True
    return bool(settings.patience) and bool(history) and count_epochs_since_best(history) >= settings.patience


def _finish(state: TrainingState, setup: Setup, validate: Callable[[], dict[str, Any]], folder: Path) -> None:
    """Write the files at the end of a training, last.pt last."""
    job, last = setup.job, state.history[-1]
    checkpoints = {LAST: job.make_checkpoint(last, identity=state.identity, selected_by="last epoch")}
    best_total = find_best_total(state.history)
    if best_total == -math.inf:
        log.warning("%s: the best checkpoint is that of the %s", job.kind, NO_VALIDATION)
        checkpoints[BEST] = replace(checkpoints[LAST], scores={**last.as_plain(), "selected_by": NO_VALIDATION})
    if state.average:
        # Cloned, because the network gets the averaged weights next.
        weights = {key: value.clone() for key, value in checkpoints[LAST].state.items()}
        checkpoints = {name: replace(checkpoint, state=weights) for name, checkpoint in checkpoints.items()}
        count = job.settings.average_last
        job.network.load_state_dict(state.average)
        scores = validate()
        metrics = replace(last, **scores, is_best=scores["total_ccc"] > best_total)
        selected_by = f"mean of the weights after the last {count} epochs"
        checkpoints[AVERAGE] = job.make_checkpoint(metrics, identity=state.identity, selected_by=selected_by)
        if metrics.is_best or best_total == -math.inf:
            checkpoints[BEST] = checkpoints[AVERAGE]
    if setup.group.is_first:
        for name in sorted(checkpoints, key=[AVERAGE, BEST, LAST].index):
            save_checkpoint(folder / name, checkpoints[name])
        (folder / STATE).unlink(missing_ok=True)


def _make_validation(job: Job, validation: Clips, device: str, group: Group) -> Callable[[], dict[str, Any]]:
    """Make a function that returns the scores over all validation utterances at once, as `EpochMetrics` has them."""
    plan = job.evaluation_plan
    members = np.flatnonzero(validation.find_labelled() & plan.find_visible(validation))
    source = choose_source(validation, plan, device)

    def validate() -> dict[str, Any]:
        own = predict_members(
            job.network,
            validation,
            source,
            group.take_share(members),
            plan,
            device=device,
            batch_size=BATCH_SIZE,
            precision=job.settings.precision,
        )
        ccc = spread = mean = np.full(2, math.nan)
        if len(members):
            assert validation.labels is not None, "members are labelled"
            predicted = group.join(own.to(device), len(members)).cpu().numpy()
            ccc = np.array([compute_ccc(validation.labels[members, d], predicted[:, d]) for d in range(2)])
            # In double precision: the deviation of equal numbers is then exactly 0, without rounding.
            spread, mean = predicted.std(axis=0, dtype=np.float64), predicted.mean(axis=0, dtype=np.float64)
        return {
            "ccc_arousal": float(ccc[0]),
            "ccc_valence": float(ccc[1]),
            "total_ccc": float(np.nansum(ccc)) if np.isfinite(ccc).any() else math.nan,
            "num_validation": len(members),
            "spread_arousal": float(spread[0]),
            "spread_valence": float(spread[1]),
            "mean_arousal": float(mean[0]),
            "mean_valence": float(mean[1]),
        }

    return validate


def _set_learning_rate(optimiser: torch.optim.Optimizer, settings: TrainingSettings, epoch: int) -> float:
    passed = sum(epoch >= step for step in settings.learning_rate_steps)
    rate = settings.learning_rate * settings.learning_rate_factor**passed
    optimiser.param_groups[0]["lr"] = rate
    return rate

"""Cross-validation over the recordings of the training and validation splits."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from models.training.metrics import EpochMetrics
from pipeline.chain import NETWORKS
from pipeline.dataset.holding_out import HoldingOutError, hold_out
from pipeline.dataset.utterances import Dataset
from pipeline.errors import UserError
from pipeline.runs.run import Run
from pipeline.training.experiment import Experiment, read_experiment
from pipeline.training.seed_trainings import Trainings


def make_folds(run: Run, num_folds: int) -> list[Experiment]:
    """Make an experiment for each fold: the fold's recordings are its validation split, all others its training split.

    The test split is in no fold, and each recording is in one fold only. With `[run] select_on = train` the epochs of a
    fold's trainings are chosen on a part of their own training recordings (nested cross-validation).

    Args:
        run: the run with the original splits.
        num_folds: number of folds, at least 2.

    Raises:
        UserError: There are fewer recordings than folds.
    """
    parts = divide(run.dataset, num_folds)
    return [read_experiment(replace(run, dataset=dataset), is_fold=True) for dataset in parts]


def divide(dataset: Dataset, num_folds: int) -> list[Dataset]:
    """Give the dataset of each fold, with its held-out clips as the validation split; raises as `make_folds` does."""
    pooled = [u for u in dataset.utterances if u.split in ("train", "validation")]
    groups = dataset.grouping.take(u.name for u in pooled)
    count = len(set(groups))
    if num_folds < 2 or num_folds > count:
        raise UserError(
            f"[run] folds = {num_folds} must be 0 for none, or from 2 to the number of recordings in the training and "
            f"validation splits, which is {count}"
        )
    of = split_folds(groups, num_folds)
    return [
        Dataset(
            tuple(
                replace(u, split="validation" if fold == held_out else "train")
                for u, fold in zip(pooled, of.tolist(), strict=True)
            ),
            (),
            dataset.group_column,
            whole=dataset,
        )
        for held_out in range(num_folds)
    ]


def check_folds(run: Run) -> None:
    """Refuse folds that cannot be made, before hours of features and trainings and not after.

    Raises:
        UserError: There are fewer recordings than folds. Or, with `[run] select_on = train`, the training clips of a
            fold are of one recording only, so that none can be held out to choose the epoch.
    """
    settings = run.settings.run
    parts = divide(run.dataset, settings.folds) if settings.folds else []
    for dataset in parts if settings.select_on == "train" else []:
        try:
            hold_out(dataset)
        except HoldingOutError as error:
            raise UserError(f"[run] folds = {settings.folds} with select_on = train: in a fold {error}") from error


def find_waiting(folds: list[Experiment]) -> list[tuple[Trainings, str]]:
    """List the networks that are not trained yet, in the order of training; each fold has all seeds of the run."""
    return [
        (trainings, network)
        for fold in folds
        for trainings in fold.trainings
        for network in NETWORKS
        if not trainings.is_done(network)
    ]


def train_folds(folds: list[Experiment], on_epoch: Callable[[EpochMetrics], None]) -> None:
    """Train every network of every fold that is not trained yet."""
    for trainings, network in find_waiting(folds):
        trainings.train(network, on_epoch)


def split_folds(groups: Sequence[str], num_folds: int) -> np.ndarray:
    """Assign each row to the fold of its group, (N,) int; the folds have about equal numbers of rows.

    >>> split_folds(["a", "a", "b", "c"], 2).tolist()
    [0, 0, 1, 1]
    """
    names, members, counts = np.unique(np.asarray(groups, str), return_inverse=True, return_counts=True)
    loads, fold_of = np.zeros(num_folds), np.zeros(len(names), int)
    for group in np.argsort(-counts, kind="stable"):
        fold_of[group] = int(np.argmin(loads))
        loads[fold_of[group]] += counts[group]
    return fold_of[members]

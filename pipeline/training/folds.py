"""Cross-validation over the recordings of the training and validation splits."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import config
from pipeline.dataset.utterances import Dataset
from pipeline.errors import UserError
from pipeline.report.baselines import split_folds
from pipeline.report.scoring import DIMENSIONS, score_both, summarise_scores
from pipeline.training.experiment import Experiment
from pipeline.training.seed_trainings import NETWORKS, Trainings

if TYPE_CHECKING:
    from models.training.metrics import EpochMetrics


def make_folds(experiment: Experiment, num_folds: int) -> list[Experiment]:
    """Make an experiment for each fold, in which the fold's recordings are validated on and all others trained on.

    The test split is in none of them, and no recording is in two.

    Args:
        experiment: on the splits as they are.
        num_folds: K, >= 2.

    Raises:
        UserError: There are fewer recordings than folds, or a setting does not go with folds.
    """
    pooled = [u for u in experiment.run.dataset.utterances if u.split in ("train", "validation")]
    dataset = experiment.run.dataset
    groups = dataset.grouping.take(u.name for u in pooled)
    count = len(set(groups))
    if num_folds < 2 or num_folds > count:
        raise UserError(
            f"[run] folds = {num_folds} must be 0 for none, or from 2 to the number of recordings in the training and "
            f"validation splits, which is {count}"
        )
    if config.run().processes > 1:
        raise UserError(
            f"[run] folds = {num_folds} trains each fold in one process; set [run] processes = 1 (it is "
            f"{config.run().processes})"
        )
    of = split_folds(groups, num_folds)
    return [
        Experiment(
            replace(
                experiment.run,
                dataset=Dataset(
                    tuple(
                        replace(u, split="validation" if fold == held_out else "train")
                        for u, fold in zip(pooled, of.tolist(), strict=True)
                    ),
                    (),
                    dataset.group_column,
                ),
            )
        )
        for held_out in range(num_folds)
    ]


def find_waiting(folds: list[Experiment]) -> list[tuple[Trainings, str]]:
    """List what is not trained yet, in the order of training: each fold has the seeds that the run has."""
    return [
        (trainings, network)
        for fold in folds
        for trainings in fold.trainings
        for network in NETWORKS
        if not trainings.is_done(network)
    ]


def train_folds(folds: list[Experiment], on_epoch: "Callable[[EpochMetrics], None]") -> None:
    """Train every network of every fold that is not trained yet."""
    for trainings, network in find_waiting(folds):
        trainings.train(network, on_epoch)


def score_folds(folds: list[Experiment], *, seed: int) -> dict[str, Any]:
    """Score each network on each fold's held-out recordings, which it has not been trained on.

    Args:
        folds: trained.
        seed: of the bootstrap.

    Returns:
        "num_folds", and under "models" for each network "folds" (a list of `score_both`), "mean" and "spread" (the
        deviation with divisor K - 1) of "arousal", "valence" and "total", and "pooled", the score of all held-out
        predictions together.
    """
    models = {}
    for network in NETWORKS:
        parts = [_collect(fold, network) for fold in folds]
        scores = [score_both(*part[:3], groups=part[3], seed=seed) for part in parts]
        labels, values = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        videos, groups = ([name for part in parts for name in part[i]] for i in (2, 3))
        models[network] = summarise(scores) | {"pooled": score_both(labels, values, videos, groups=groups, seed=seed)}
    return {"num_folds": len(folds), "models": models}


def summarise(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the scores of the folds with the mean and spread of their CCC; folds without a CCC are left out of those."""
    ccc = [{**{name: score[name]["ccc"] for name in DIMENSIONS}, "total": score["total_ccc"]} for score in scores]
    return {"folds": scores, **summarise_scores(ccc)}


def _collect(fold: Experiment, network: str) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Give labels, predictions, videos and recordings of what is labelled and seen among a fold's held-out clips."""
    values, labels = fold.predict(network, "validation"), fold.labels("validation")
    if labels is None:
        return np.zeros((0, 2)), np.zeros((0, 2)), [], []
    rows = np.flatnonzero(np.isfinite(labels + values).all(axis=1)).tolist()
    chosen = [fold.utterances("validation")[row] for row in rows]
    groups = fold.run.dataset.grouping.take(u.name for u in chosen)
    return labels[rows], np.asarray(values[rows], np.float64), [u.video for u in chosen], groups

"""Scores of each network on the held-out recordings of cross-validation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.chain import NETWORKS
from pipeline.report.scoring import DIMENSIONS, score_both, summarise_scores
from pipeline.training.experiment import Experiment


def score_folds(folds: Sequence[Experiment], *, seed: int) -> dict[str, Any]:
    """Score each network on each fold's held-out recordings, on which it was not trained.

    Args:
        folds: experiments whose networks are trained.
        seed: seed of the bootstrap.

    Returns:
        "num_folds" and "models". "models" has for each network: "folds", a list of `score_both`; "mean" and "spread"
        (standard deviation, divisor K - 1) of "arousal", "valence" and "total"; and "pooled", the score of all held-out
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
    """Give the folds' scores, and mean and spread of their CCC; a fold without a CCC is left out of mean and spread."""
    ccc = [{**{name: score[name]["ccc"] for name in DIMENSIONS}, "total": score["total_ccc"]} for score in scores]
    return {"folds": scores, **summarise_scores(ccc)}


def _collect(fold: Experiment, network: str) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Give labels, predictions, videos and recordings of the held-out clips with labels and a prediction."""
    values, labels = fold.predict(network, "validation"), fold.data.labels("validation")
    if labels is None:
        return np.zeros((0, 2)), np.zeros((0, 2)), [], []
    rows = np.flatnonzero(np.isfinite(labels + values).all(axis=1)).tolist()
    chosen = [fold.data.utterances("validation")[row] for row in rows]
    groups = fold.data.run.dataset.grouping.take(u.name for u in chosen)
    return labels[rows], np.asarray(values[rows], np.float64), [u.video for u in chosen], groups

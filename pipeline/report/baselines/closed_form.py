"""Simple baselines on the same data: the mean label, ridge regression on pooled embeddings, late fusion.

All are computed in closed form. Predictions of least squares vary too little for a good CCC, so the last two are scaled
to the labels' mean and standard deviation. Ridge regression measures its own on held-out clips where it can.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.paper import FEATURE_SIZE
from models.scores.ccc import compute_ccc
from pipeline.report.report_files import ModelPredictions, SplitListing
from pipeline.training.data import TrainingData
from pipeline.training.folds import split_folds

#: The penalties that are tried, relative to the mean eigenvalue of the features' Gram matrix.
PENALTIES = tuple(10.0**power for power in range(-3, 5))
NUM_FOLDS = 5
#: With fewer clips that both networks predict, late fusion is the mean of both and fits no weights.
FEWEST_TO_FUSE = 20

Regression = Callable[[np.ndarray], np.ndarray]


def make_baselines(
    data: TrainingData, predictions: Sequence[ModelPredictions], listings: Sequence[SplitListing]
) -> Iterator[ModelPredictions]:
    """Fit and apply every baseline on every split.

    Args:
        data: the clips with their features.
        predictions: the networks' predictions, for late fusion.
        listings: one for each split.
    """
    by_split = {listing.split: listing for listing in listings}
    of_networks = {(p.model, p.split): np.asarray(p.values, np.float64) for p in predictions}
    clips = {split: data.load_clips(split) for split in by_split}
    pooled = {split: pool_embeddings(found.embeddings, size=clips["train"].face_size) for split, found in clips.items()}
    train = by_split["train"]
    assert train.labels is not None  # without training labels no network could have been trained
    chosen = np.isfinite(train.labels).all(axis=1) & np.isfinite(pooled["train"]).all(axis=1)
    groups = [train.group(i) for i in np.flatnonzero(chosen).tolist()]
    ridge = fit_ridge(pooled["train"][chosen], np.asarray(train.labels, np.float64)[chosen], groups)
    fused = _fuse_splits(data, by_split, of_networks)
    for split, listing in by_split.items():
        names, mean = listing.names, np.tile(data.training_mean(), (len(listing.names), 1))
        yield ModelPredictions("mean", split, names, mean, ["mean"] * len(names))
        yield ModelPredictions("ridge", split, names, ridge(pooled[split]), ["ridge"] * len(names))
        yield ModelPredictions("fusion", split, names, fused[split], ["fusion"] * len(names))


def _fuse_splits(
    data: TrainingData, by_split: Mapping[str, SplitListing], of_networks: Mapping[tuple[str, str], np.ndarray]
) -> dict[str, np.ndarray]:
    """Give late fusion of each split, fitted to the clips that chose the epochs: on these no network was trained.

    These clips themselves are predicted with weights that were fitted to other recordings, so that no clip's label
    influences its own prediction. Without labels, late fusion is the mean of both networks.
    """
    fused = {split: (of_networks["anet", split], of_networks["vnet", split]) for split in by_split}
    nothing = np.zeros((0, 2))
    listing = by_split.get(data.run.settings.run.select_on)
    if listing is None or listing.labels is None:
        return {split: fit_fusion(nothing, nothing, nothing)(*both) for split, both in fused.items()}
    chosen = {u.name for u in data.list_part(chooses=True)}
    rows = [i for i, name in enumerate(listing.names) if name in chosen]
    anet, vnet = (each[rows] for each in fused[listing.split])
    labels = np.asarray(listing.labels, np.float64)[rows]
    fuse = fit_fusion(anet, vnet, labels)
    found = {split: fuse(*both) for split, both in fused.items()}
    found[listing.split][rows] = fuse_apart(anet, vnet, labels, [listing.group(i) for i in rows])
    return found


def fuse_apart(anet: np.ndarray, vnet: np.ndarray, labels: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Give late fusion of the clips to which it is fitted: each fold of recordings by weights fitted to the others.

    Args:
        anet: see `fit_fusion`.
        vnet: see `fit_fusion`.
        labels: see `fit_fusion`.
        groups: the recording of each row.

    Returns:
        (N, 2); see `fit_fusion`.
    """
    folds = split_folds(groups, NUM_FOLDS)
    fused = np.full(labels.shape, np.nan)
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        fused[outside] = fit_fusion(anet[inside], vnet[inside], labels[inside])(anet[outside], vnet[outside])
    return fused


def pool_embeddings(embeddings: Sequence[Any], *, size: int = FEATURE_SIZE) -> np.ndarray:
    """Return mean and standard deviation over each clip's faces, (U, 2 D) float64; NaN rows for clips without one."""
    pooled = np.full((len(embeddings), 2 * size), np.nan)
    for row, array in zip(pooled, embeddings, strict=True):
        if array is not None:
            rows = np.asarray(array[:], np.float64)  # slicing once: each slice of mapped rows checks the file's size
            row[:size], row[size:] = rows.mean(axis=0), rows.std(axis=0)
    return pooled


def fit_ridge(features: np.ndarray, labels: np.ndarray, groups: Sequence[str]) -> Regression:
    """Fit ridge regression; the penalty is the one with the highest CCC on held-out recordings.

    Args:
        features: (N, F).
        labels: (N, 2).
        groups: the recording of each row; a recording is in one fold only.

    Returns:
        (M, F) -> (M, 2) within [-1, 1]; NaN rows where the features are NaN.
    """
    folds = split_folds(groups, NUM_FOLDS)
    held_out = {penalty: np.full(labels.shape, np.nan) for penalty in PENALTIES}
    if len(np.unique(folds)) > 1:
        for fold in np.unique(folds):
            inside, outside = folds != fold, folds == fold
            for penalty, apply in _solve(features[inside], labels[inside], PENALTIES):
                held_out[penalty][outside] = apply(features[outside])
    best = max(PENALTIES, key=lambda penalty: total_ccc(labels, held_out[penalty]))
    ((_, apply),) = _solve(features, labels, [best])
    measured = held_out[best] if np.isfinite(held_out[best]).all() else apply(features)
    return spread_like(labels, measured, apply)


def fit_fusion(
    anet: np.ndarray, vnet: np.ndarray, labels: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Fit for each dimension the least squares weights of two networks and a constant.

    Args:
        anet: (N, 2) predictions, NaN where there was no sound.
        vnet: (N, 2) predictions, NaN where there was no face.
        labels: (N, 2), NaN where there are none.

    Returns:
        A function (M, 2), (M, 2) -> (M, 2). It gives the weighted sum of both networks, scaled and within [-1, 1];
        where one network has no input the other's prediction; NaN where neither has one. With fewer than
        `FEWEST_TO_FUSE` rows to fit to, it gives the mean instead of the weighted sum.
    """
    rows = np.flatnonzero(np.isfinite(anet + vnet + labels).all(axis=1))
    enough = len(rows) >= FEWEST_TO_FUSE
    regressions = [_fit_weights(_stack(anet[rows, i], vnet[rows, i]), labels[rows, i], enough) for i in range(2)]

    def fuse(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        both = np.stack([regressions[i](_stack(first[:, i], second[:, i])) for i in range(2)], axis=1)
        return np.where(np.isnan(both), np.where(np.isnan(first), second, first), both)

    return fuse


def _fit_weights(inputs: np.ndarray, labels: np.ndarray, enough: bool) -> Regression:
    weights = np.linalg.lstsq(inputs, labels, rcond=None)[0] if enough else np.array([0.5, 0.5, 0.0])

    def apply(given: np.ndarray) -> np.ndarray:
        return np.asarray(given @ weights)

    return spread_like(labels, apply(inputs), apply) if enough else apply


def _stack(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first, second, np.ones_like(first)], axis=1)


def _solve(features: np.ndarray, labels: np.ndarray, penalties: Sequence[float]) -> Iterator[tuple[float, Regression]]:
    """Solve ridge regression for several penalties from one decomposition.

    The smaller of two Gram matrices is decomposed: features by features or, where there are fewer clips than features,
    clips by clips. Both give the same weights, and the smaller one is faster.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    mean = labels.mean(axis=0)
    inputs = (features - centre) / scale
    few = len(inputs) < inputs.shape[1]
    values, directions = np.linalg.eigh(inputs @ inputs.T if few else inputs.T @ inputs)
    values = np.maximum(values, 0)
    target = directions.T @ (labels - mean if few else inputs.T @ (labels - mean))
    unit = max(float(values.sum()) / inputs.shape[1], np.finfo(float).tiny)
    for penalty in penalties:
        solved = directions @ (target / (values + penalty * unit)[:, None])
        weights = inputs.T @ solved if few else solved

        def apply(given: np.ndarray, weights: np.ndarray = weights) -> np.ndarray:
            return (given - centre) / scale @ weights + mean

        yield penalty, apply


def spread_like(labels: np.ndarray, measured: np.ndarray, apply: Regression) -> Regression:
    """Scale a regression to the labels' mean and standard deviation, and clip it to [-1, 1].

    Args:
        labels: (N, 2) or (N,).
        measured: predictions of labelled clips, from which the regression's own mean and deviation are computed.
        apply: the regression.
    """
    mean, spread = measured.mean(axis=0), measured.std(axis=0)
    factor = np.where(spread > 0, labels.std(axis=0) / np.where(spread > 0, spread, 1), 1)
    return lambda given: np.clip((apply(given) - mean) * factor + labels.mean(axis=0), -1, 1)


def total_ccc(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Sum the CCC of both dimensions; an undefined CCC counts as 0."""
    return float(np.nansum([compute_ccc(labels[:, i], predicted[:, i]) for i in range(2)]))

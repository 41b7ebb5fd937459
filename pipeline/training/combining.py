"""One prediction from several: the mean over seeds, and ANet or VNet alone where Joint lacks a face or sound."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.chain import NETWORKS

#: The source of a row where no network had an input: the mean of the training labels.
MEAN = "mean"


def average(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over the members (such as seeds) that could predict an utterance.

    Args:
        values: for each member (U, 2), NaN rows where it had no input.

    Returns:
        (U, 2), NaN rows where no member had an input. The values of a single member are returned unchanged.

    >>> average([np.array([[0.0, 0.5], [np.nan, np.nan]]), np.array([[1.0, 0.0], [0.5, 0.5]])]).tolist()
    [[0.5, 0.25], [0.5, 0.5]]
    """
    if len(values) == 1:
        return values[0]
    stacked = np.stack(values).astype(np.float64)  # (N, U, 2)
    seen = np.isfinite(stacked)
    total, count = np.where(seen, stacked, 0).sum(axis=0), seen.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def fall_back(values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Take each row from the first of Joint, VNet and ANet that could predict it.

    Args:
        values: network to (U, 2) predictions, NaN where it had no input; at least one network.

    Returns:
        (U, 2) values, NaN where no network had an input; and for each row the network that it is from, `MEAN` for NaN
        rows.

    >>> nan = np.nan
    >>> fall_back({"anet": np.array([[0.5, 0], [0.25, 0]]), "joint": np.array([[1.0, 0], [nan, nan]])})[1]
    ['joint', 'anet']
    """
    first = next(iter(values.values()))
    filled = np.full_like(first, np.nan)
    sources = np.full(len(first), MEAN, dtype=object)
    for network in (name for name in NETWORKS if name in values):
        seen = ~np.isnan(values[network]).any(axis=1)
        filled[seen], sources[seen] = values[network][seen], network
    return filled, sources.tolist()

"""Scores of each of several seeds alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.scores.ccc import compute_ccc
from pipeline.report.report_files import SplitListing
from pipeline.report.rows import DECIMALS
from pipeline.report.scoring import DIMENSIONS, finite_or_none, summarise_scores

#: The predictions of one split. For each seed: network to (U, 2), NaN where it has no input.
Members = Sequence[Mapping[str, np.ndarray]]


def score_members(
    predicted: Mapping[str, Members], listings: Sequence[SplitListing], seeds: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Score each seed's networks alone, each network on the clips that it could predict.

    Args:
        predicted: split to the predictions of each seed.
        listings: one for each split.
        seeds: the seeds, in the order of `predicted`.

    Returns:
        Network to split (those with labels) to "members", "mean" and "spread". "members" is a list with "seed", the CCC
        of "arousal" and "valence", and "total_ccc", their sum; None where undefined. "mean" and "spread" are those of
        the members (see `summarise_scores`).
    """
    found: dict[str, dict[str, Any]] = {}
    for listing in listings:
        if listing.labels is None:
            continue
        labels = np.asarray(listing.labels, np.float64)
        for network in predicted[listing.split][0]:
            alone = [_score(labels, member[network]) for member in predicted[listing.split]]
            members = [{"seed": seed, **scores} for seed, scores in zip(seeds, alone, strict=True)]
            found.setdefault(network, {})[listing.split] = {"members": members, **summarise_scores(alone)}
    return found


def _score(labels: np.ndarray, values: np.ndarray) -> dict[str, float | None]:
    # Rounded like the predictions in the files.
    rounded = np.round(np.asarray(values, np.float64), DECIMALS)
    rows = np.isfinite(labels + rounded).all(axis=1)
    ccc = [compute_ccc(labels[rows, i], rounded[rows, i]) for i in range(len(DIMENSIONS))]
    scores = {dimension: finite_or_none(value) for dimension, value in zip(DIMENSIONS, ccc, strict=True)}
    return {**scores, "total_ccc": finite_or_none(float(sum(ccc)))}

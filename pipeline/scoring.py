"""Scores of arousal and valence together, as plain data for JSON and tables."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from models.ccc_intervals import compute_score

DIMENSIONS = ("arousal", "valence")


def score_both(truth: np.ndarray, prediction: np.ndarray, videos: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """Score both dimensions on the rows given, without choosing any.

    Args:
        truth: (N, 2) arousal and valence.
        prediction: (N, 2), finite.
        videos: the video of each row.
        seed: of the bootstrap intervals.

    Returns:
        "arousal" and "valence", each with `ccc ccc_low ccc_high pearson mse ccc_per_video`, "total_ccc", their sum, and
        "scored", N. What is undefined is None: JSON has no NaN.
    """
    scores = [asdict(compute_score(truth[:, i], prediction[:, i], videos, seed=seed)) for i in range(len(DIMENSIONS))]
    total = sum(score["ccc"] for score in scores)
    found: dict[str, Any] = {
        dimension: {key: finite_or_none(value) for key, value in score.items()}
        for dimension, score in zip(DIMENSIONS, scores, strict=True)
    }
    return {**found, "total_ccc": finite_or_none(total), "scored": len(videos)}


def finite_or_none(value: float) -> float | None:
    """Return the number, or None for NaN and infinities.

    >>> finite_or_none(0.5), finite_or_none(float("nan"))
    (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def format_score(score: dict[str, Any]) -> str:
    """Return CCC and interval as text.

    >>> format_score({"ccc": 0.28, "ccc_low": 0.2, "ccc_high": None})
    '0.2800'
    """
    if score["ccc"] is None:
        return "undefined"
    interval = [score["ccc_low"], score["ccc_high"]]
    if None in interval:
        return f"{score['ccc']:.4f}"
    return f"{score['ccc']:.4f} [{interval[0]:.2f}, {interval[1]:.2f}]"

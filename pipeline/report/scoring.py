"""Scores of arousal and valence together, as plain data for JSON and tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from models.paper import FEWEST_GROUPS
from models.scores.ccc import compute_ccc
from models.scores.intervals import compare_ccc, compute_score, quantiles, resample_ccc

DIMENSIONS = ("arousal", "valence")


def score_both(
    truth: np.ndarray,
    prediction: np.ndarray,
    videos: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Score both dimensions on all given rows.

    Args:
        truth: (N, 2) arousal and valence.
        prediction: (N, 2), finite.
        videos: the video of each row.
        groups: the recording of each row, the unit of the bootstrap; by default its video.
        seed: seed of the bootstrap intervals.

    Returns:
        "arousal" and "valence", each with `ccc ccc_low ccc_high pearson mse ccc_per_video`. "total_ccc", the sum of
        both CCC, with its interval "total_ccc_low" and "total_ccc_high". "scored", which is N, and "groups", the number
        of recordings. Undefined numbers are None, because JSON has no NaN. With fewer than `FEWEST_GROUPS` recordings
        there is no interval.
    """
    scores: dict[str, Any] = {}
    groups = videos if groups is None else groups
    num_units = len(set(groups))
    total, resampled = 0.0, np.zeros(1)
    for i, dimension in enumerate(DIMENSIONS):
        score = asdict(compute_score(truth[:, i], prediction[:, i], videos, groups=groups, seed=seed))
        if num_units < FEWEST_GROUPS:
            score |= {"ccc_low": math.nan, "ccc_high": math.nan}
        scores[dimension] = {key: finite_or_none(value) for key, value in score.items()}
        total += score["ccc"]
        resampled = resampled + resample_ccc(truth[:, i], prediction[:, i], groups, seed=seed)
    low, high = quantiles(resampled) if num_units >= FEWEST_GROUPS else (math.nan, math.nan)
    return {
        **scores,
        "total_ccc": finite_or_none(total),
        "total_ccc_low": finite_or_none(low),
        "total_ccc_high": finite_or_none(high),
        "scored": len(videos),
        "groups": num_units,
    }


def score_videos(truth: np.ndarray, prediction: np.ndarray, videos: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Score each video by itself.

    Args:
        truth: (N, 2) arousal and valence.
        prediction: (N, 2), finite.
        videos: the video of each row.

    Returns:
        For each video, in the order of its first row, "scored" and the CCC of "arousal" and "valence", None where it is
        undefined (one utterance, or equal labels).
    """
    names = np.array(videos, dtype=object)
    found: dict[str, dict[str, Any]] = {}
    for video in dict.fromkeys(videos):
        rows = names == video
        scores = [finite_or_none(compute_ccc(truth[rows, i], prediction[rows, i])) for i in range(len(DIMENSIONS))]
        found[video] = {"scored": int(rows.sum()), **dict(zip(DIMENSIONS, scores, strict=True))}
    return found


def compare_both(
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two models on the same rows.

    Args:
        truth: (N, 2) arousal and valence.
        one: (N, 2), finite.
        other: (N, 2), finite.
        groups: the recording of each row.
        seed: seed of the bootstrap and of the permutation test.

    Returns:
        "arousal" and "valence", each with `difference low high p_value` (see `models.scores.intervals.compare_ccc`),
        None where undefined; and "scored", which is N. With fewer than `FEWEST_GROUPS` recordings there is no interval.
    """
    found: dict[str, Any] = {}
    num_units = len(set(groups))
    for i, dimension in enumerate(DIMENSIONS):
        compared = asdict(compare_ccc(truth[:, i], one[:, i], other[:, i], groups, seed=seed))
        if num_units < FEWEST_GROUPS:
            compared |= {"low": math.nan, "high": math.nan}
        found[dimension] = {key: finite_or_none(value) for key, value in compared.items()}
    return {**found, "scored": len(groups)}


def summarise_scores(scores: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Return "mean" and "spread" (standard deviation, divisor N - 1) of each number; None values are left out.

    >>> summarise_scores([{"total": 0.25}, {"total": 0.75}, {"total": None}])["mean"]
    {'total': 0.5}
    """
    names = list(dict.fromkeys(name for score in scores for name in score))
    defined = {name: [v for score in scores if (v := score[name]) is not None] for name in names}
    return {
        "mean": {name: float(np.mean(v)) if v else None for name, v in defined.items()},
        "spread": {name: float(np.std(v, ddof=1)) if len(v) > 1 else None for name, v in defined.items()},
    }


def finite_or_none(value: float) -> float | None:
    """Return the number, or None for NaN and infinities.

    >>> finite_or_none(0.5), finite_or_none(float("nan"))
    (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def format_number(value: float | None, digits: int = 4) -> str:
    """Return a number as text.

    >>> format_number(0.25), format_number(None)
    ('0.2500', 'undefined')
    """
    return "undefined" if value is None else f"{value:.{digits}f}"


def format_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a number with its interval as text.

    >>> format_interval(0.28, 0.2, 0.36), format_interval(0.28, None, None)
    ('0.2800 [0.20, 0.36]', '0.2800')
    """
    if value is None or low is None or high is None:
        return format_number(value)
    return f"{value:.4f} [{low:.2f}, {high:.2f}]"


def format_score(score: dict[str, Any]) -> str:
    """Return CCC and interval as text.

    >>> format_score({"ccc": 0.28, "ccc_low": 0.2, "ccc_high": None})
    '0.2800'
    """
    return format_interval(score["ccc"], score["ccc_low"], score["ccc_high"])


def format_comparison(found: dict[str, Any]) -> str:
    """Return a difference of CCC, its interval and p-value as text.

    >>> format_comparison({"difference": 0.05, "low": 0.01, "high": 0.09, "p_value": 0.02})
    '+0.0500 [+0.01, +0.09], p = 0.02'
    """
    if found["difference"] is None:
        return "undefined"
    interval = "" if found["low"] is None else f" [{found['low']:+.2f}, {found['high']:+.2f}]"
    test = "" if found["p_value"] is None else f", p = {found['p_value']:.2g}"
    return f"{found['difference']:+.4f}{interval}{test}"

"""How certain a CCC is: bootstrap intervals, and a test of whether two models differ.

Utterances of one recording share a speaker and a mood, so whole recordings (groups) are drawn, or swapped, by default.
Everything is computed from six sums per group, so a thousand resamples of 2,000 utterances take milliseconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.paper import BOOTSTRAP_LEVEL, BOOTSTRAP_RESAMPLES
from models.scores.ccc import (
    as_pairs,
    compute_ccc,
    compute_ccc_per_video,
    compute_mse,
    compute_pearson,
    index_videos,
    is_undefined,
)

Unit = Literal["groups", "utterances"]
#: Numbers held at once while resampling.
CELLS_AT_ONCE = 1 << 20
#: Numbers that differ by this much or less are equal up to rounding.
TIE = 1e-12


@dataclass(frozen=True)
class Score:
    """The report's measures of one dimension (arousal or valence) on one set of utterances; NaN where undefined.

    Attributes:
        ccc: over all utterances at once, the challenge's measure, in [-1, 1].
        ccc_low: lower end of the bootstrap interval (see `bootstrap_interval`).
        ccc_high: its upper end.
        pearson: correlation coefficient.
        mse: mean squared error.
        ccc_per_video: mean of the CCC of each video (see `compute_ccc_per_video`).
    """

    ccc: float
    ccc_low: float
    ccc_high: float
    pearson: float
    mse: float
    ccc_per_video: float


@dataclass(frozen=True)
class Comparison:
    """One model's CCC minus another's on the same utterances; NaN where undefined.

    Attributes:
        difference: of the two CCC.
        low: lower end of its bootstrap interval.
        high: its upper end.
        p_value: of the paired permutation test, two-sided, in (0, 1].
    """

    difference: float
    low: float
    high: float
    p_value: float


def compute_score(
    truth: np.ndarray,
    prediction: np.ndarray,
    videos: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    unit: Unit = "groups",
) -> Score:
    """Compute all measures of one dimension; see `Score`.

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions.
        videos: the video of each utterance, N names.
        groups: the recording of each utterance, N names; by default its video.
        seed: of the bootstrap.
        unit: what the bootstrap draws.
    """
    low, high = bootstrap_interval(truth, prediction, groups or videos, seed=seed, unit=unit)
    return Score(
        ccc=compute_ccc(truth, prediction),
        ccc_low=low,
        ccc_high=high,
        pearson=compute_pearson(truth, prediction),
        mse=compute_mse(truth, prediction),
        ccc_per_video=compute_ccc_per_video(truth, prediction, videos),
    )


def bootstrap_interval(
    truth: np.ndarray,
    prediction: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int = 0,
    num_resamples: int = BOOTSTRAP_RESAMPLES,
    level: float = BOOTSTRAP_LEVEL,
    unit: Unit = "groups",
) -> tuple[float, float]:
    """Compute a percentile bootstrap interval of the CCC.

    Resamples without a CCC (a truth that is constant) do not count.

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions.
        groups: the recording (or video) of each utterance, N names.
        seed: of the resampling; the same seed gives the same interval.
        num_resamples: how many resamples.
        level: share of the resamples inside the interval, in (0, 1).
        unit: draw whole groups, or single utterances as if they were independent (narrower, and too narrow).

    Returns:
        Lower and upper end; both NaN with fewer than two units, where the CCC is undefined, or with a NaN in the data.
    """
    values = resample_ccc(truth, prediction, groups, seed=seed, num_resamples=num_resamples, unit=unit)
    return quantiles(values, level)


def resample_ccc(
    truth: np.ndarray,
    prediction: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int = 0,
    num_resamples: int = BOOTSTRAP_RESAMPLES,
    unit: Unit = "groups",
) -> np.ndarray:
    """Compute the CCC of each bootstrap resample; arguments as of `bootstrap_interval`.

    The draw depends only on the seed and the number of units: resample i of two models holds the same groups.

    Returns:
        (R,) CCC, NaN where a resample has none; all NaN where the interval is undefined.
    """
    truth, prediction = as_pairs(truth, prediction)
    num_units, members = _index_units(groups, truth.size, unit)
    if num_units < 2 or is_undefined(truth) or not np.isfinite(truth + prediction).all():
        return np.full(num_resamples, np.nan)
    sums = _sum_units(truth, prediction, members, num_units)  # (V, 6)
    rng = np.random.default_rng(seed)
    counts = (_draw_counts(rng, size, num_units) for size in _split_work(num_resamples, num_units))
    return np.concatenate([_ccc_of_sums(part @ sums, truth.var()) for part in counts])


def compare_ccc(
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int = 0,
    num_resamples: int = BOOTSTRAP_RESAMPLES,
    level: float = BOOTSTRAP_LEVEL,
    unit: Unit = "groups",
) -> Comparison:
    """Compare two models on the same utterances: CCC of `one` minus CCC of `other`.

    The interval is that of a paired bootstrap: both models are scored on the same resamples. The p-value is that of a
    permutation test. If the models were equally good, swapping their predictions of a whole group would change nothing.
    The p-value is the share of swaps with at least the observed difference. With at most `num_resamples` possible
    swaps (2^V), all are computed. Otherwise random swaps are drawn, and the data without a swap counts as one more, so
    that the p-value is never 0.

    Args:
        truth: (N,) labels.
        one: (N,) predictions of the first model.
        other: (N,) predictions of the second.
        groups: the recording (or video) of each utterance, N names.
        seed: of the resamples and of the random swaps.
        num_resamples: number of resamples, and of random swaps.
        level: share of the resamples inside the interval, in (0, 1).
        unit: draw and swap whole groups, or single utterances.

    Returns:
        NaN throughout where a CCC is undefined; interval and p-value NaN with fewer than two units.
    """
    options = {"seed": seed, "num_resamples": num_resamples, "unit": unit}
    difference = compute_ccc(truth, one) - compute_ccc(truth, other)
    drawn = [resample_ccc(truth, values, groups, **options) for values in (one, other)]  # type: ignore[arg-type]
    low, high = quantiles(drawn[0] - drawn[1], level)
    if not np.isfinite(low):
        return Comparison(difference, low, high, float("nan"))
    swapped, is_exact = _swap(truth, one, other, groups, seed=seed, num_resamples=num_resamples, unit=unit)
    count = int((np.abs(swapped) >= abs(difference) - TIE).sum())
    return Comparison(difference, low, high, (count + (not is_exact)) / (len(swapped) + (not is_exact)))


def quantiles(values: np.ndarray, level: float = BOOTSTRAP_LEVEL) -> tuple[float, float]:
    """Return the central interval that holds the share `level` of the finite values; NaN if there are none."""
    defined = values[np.isfinite(values)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _swap(
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int,
    num_resamples: int,
    unit: Unit,
) -> tuple[np.ndarray, bool]:
    """Return the difference of CCC under each swap, (R,), and whether these are all possible swaps."""
    truth, one = as_pairs(truth, one)
    truth, other = as_pairs(truth, other)
    num_units, members = _index_units(groups, truth.size, unit)
    first, second = (_sum_units(truth, values, members, num_units) for values in (one, other))
    is_exact = num_units < 31 and 2**num_units <= num_resamples
    if is_exact:
        swaps = iter([(np.arange(2**num_units)[:, None] >> np.arange(num_units)) & 1])
    else:
        rng = np.random.default_rng(seed)
        swaps = (rng.integers(2, size=(size, num_units)) for size in _split_work(num_resamples, num_units))
    variance = truth.var()
    parts = []
    for swap in swaps:
        kept = 1 - swap
        mixed = (kept @ first + swap @ second, kept @ second + swap @ first)
        parts.append(_ccc_of_sums(mixed[0], variance) - _ccc_of_sums(mixed[1], variance))
    return np.concatenate(parts), is_exact


def _draw_counts(rng: np.random.Generator, size: int, num_units: int) -> np.ndarray:
    """Draw as many units as there are, with replacement, and count each: (R, V)."""
    drawn = rng.integers(num_units, size=(size, num_units)) + num_units * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * num_units).reshape(size, num_units)


def _index_units(groups: Sequence[str], num_utterances: int, unit: Unit) -> tuple[int, np.ndarray]:
    """Return the number of units, and for each utterance the position of its unit."""
    names, members = index_videos(groups, num_utterances)
    if unit == "utterances":
        return num_utterances, np.arange(num_utterances)
    return len(names), members


def _sum_units(truth: np.ndarray, prediction: np.ndarray, members: np.ndarray, num_units: int) -> np.ndarray:
    """Sum over each unit the terms of a CCC: (V, 6) of 1, t, p, t t, p p, t p."""
    # CCC does not change when both are shifted by one amount. Centring avoids cancellation in the sums of squares.
    t, p = truth - truth.mean(), prediction - truth.mean()
    terms = [np.ones_like(t), t, p, t * t, p * p, t * p]
    return np.stack([np.bincount(members, weights=row, minlength=num_units) for row in terms], axis=1)


def _ccc_of_sums(sums: np.ndarray, variance: float) -> np.ndarray:
    """Compute CCC from sums (R, 6), NaN where the truth is constant up to rounding; `variance` is the whole truth's."""
    n, t1, p1, tt, pp, tp = sums.T  # (R,) each
    t1, p1 = t1 / n, p1 / n
    truth_variance = tt / n - t1**2
    defined = truth_variance > TIE * variance
    spread = np.where(defined, truth_variance + pp / n - p1**2 + (p1 - t1) ** 2, 1)
    return np.where(defined, 2 * (tp / n - t1 * p1) / spread, np.nan)


def _split_work(num_resamples: int, num_units: int) -> Iterator[int]:
    """Yield the sizes of the parts in which the resamples are computed, so that memory is limited with many units."""
    at_once = max(1, CELLS_AT_ONCE // max(num_units, 1))
    for start in range(0, num_resamples, at_once):
        yield min(at_once, num_resamples - start)

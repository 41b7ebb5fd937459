"""Concordance correlation coefficient (CCC) and the measures shown beside it.

One implementation serves the loss and the report. It needs nothing but NumPy, and takes torch tensors as well.

Source: Lin (1989); the challenge's current script, which takes all utterances at once and population standard
deviations (torchmetrics divides by n - 1 and gives other digits). Differences from that script: it divides zero by zero
where a constant has no correlation; here a constant prediction scores 0, as the formula says, and a constant truth is
undefined.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from models.paper import BOOTSTRAP_LEVEL, BOOTSTRAP_RESAMPLES

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")


@dataclass(frozen=True)
class Score:
    """What the report says of one dimension (arousal or valence) on one set of utterances; NaN where undefined.

    Attributes:
        ccc: over all utterances at once, the challenge's measure, in [-1, 1].
        ccc_low: lower end of the bootstrap interval over videos (see `bootstrap_interval`).
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


def ccc_or_zero(truth: Array, prediction: Array) -> Array:
    """Compute CCC along the first axis, 0 where the truth is constant.

    2 cov / (var_t + var_p + (mean_p - mean_t)^2), which is 2 rho s_t s_p over the same. Differentiable for tensors;
    where the truth is constant (one utterance, or all alike) the result is 0 and its gradient 0, never NaN: such a
    batch says nothing on concordance. NaN in either argument gives NaN.

    Args:
        truth: (N, ...) array or tensor, N >= 1.
        prediction: same shape and kind.

    Returns:
        (...) of the same kind, in [-1, 1].
    """
    varies = (truth != truth[:1]).any(0)
    truth_mean, prediction_mean = truth.mean(0), prediction.mean(0)
    truth_offset, prediction_offset = truth - truth_mean, prediction - prediction_mean
    covariance = (truth_offset * prediction_offset).mean(0)
    spread = (truth_offset**2).mean(0) + (prediction_offset**2).mean(0) + (prediction_mean - truth_mean) ** 2
    # Multiplied rather than selected: the same line for NumPy and torch, and a gradient of exactly 0.
    return varies * 2 * covariance / (spread + ~varies)


def compute_ccc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Compute the challenge's CCC over all utterances at once (FACTS: the official script).

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions; a NaN makes the result NaN, so choose the rows to score before.

    Returns:
        In [-1, 1]; NaN where it is undefined: no utterance, or a truth that is constant (one utterance always is).

    Raises:
        ValueError: the shapes differ or are not (N,).

    >>> compute_ccc(np.array([0.0, 1.0]), np.array([0.0, 0.5]))  # 2 * .125 / (.25 + .0625 + .0625)
    0.6666666666666666
    """
    truth, prediction = _as_pairs(truth, prediction)
    if _is_undefined(truth):
        return float("nan")
    return float(ccc_or_zero(truth, prediction))


def compute_pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Compute Pearson's correlation of two (N,) arrays; NaN where one of them is constant.

    >>> compute_pearson(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    1.0
    """
    truth, prediction = _as_pairs(truth, prediction)
    if _is_undefined(truth) or _is_undefined(prediction):
        return float("nan")
    truth_offset, prediction_offset = truth - truth.mean(), prediction - prediction.mean()
    scale = np.sqrt((truth_offset**2).mean() * (prediction_offset**2).mean())
    return float((truth_offset * prediction_offset).mean() / scale)


def compute_mse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Compute the mean squared error of two (N,) arrays; NaN for N = 0.

    >>> compute_mse(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    0.125
    """
    truth, prediction = _as_pairs(truth, prediction)
    return float(((truth - prediction) ** 2).mean()) if truth.size else float("nan")


def compute_ccc_per_video(truth: np.ndarray, prediction: np.ndarray, videos: Sequence[str]) -> float:
    """Average the CCC of each video, as an older version of the challenge's script did.

    Videos whose CCC is undefined (one utterance, or equal labels) are left out of the mean.

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions.
        videos: the video of each utterance, N names.

    Returns:
        Mean in [-1, 1]; NaN where no video has a defined CCC.
    """
    truth, prediction = _as_pairs(truth, prediction)
    _, members = _index_videos(videos, truth.size)
    scores = [compute_ccc(truth[members == v], prediction[members == v]) for v in range(members.max(initial=-1) + 1)]
    # A video that is undefined is left out; one with a NaN prediction is not, so that it shows.
    counted = [s for v, s in enumerate(scores) if not _is_undefined(truth[members == v])]
    return float(np.mean(counted)) if counted else float("nan")


def bootstrap_interval(
    truth: np.ndarray,
    prediction: np.ndarray,
    videos: Sequence[str],
    *,
    seed: int = 0,
    num_resamples: int = BOOTSTRAP_RESAMPLES,
    level: float = BOOTSTRAP_LEVEL,
) -> tuple[float, float]:
    """Compute a percentile bootstrap interval of the CCC, resampling whole videos.

    Utterances of one video share a speaker and a mood, so they are not independent; videos are.

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions.
        videos: the video of each utterance, N names.
        seed: of the resampling; the same seed gives the same interval.
        num_resamples: how many resamples.
        level: share of the resamples inside the interval, in (0, 1).

    Returns:
        Lower and upper end; both NaN with fewer than two videos, where the CCC is undefined, or with a NaN in the data.
    """
    truth, prediction = _as_pairs(truth, prediction)
    names, members = _index_videos(videos, truth.size)
    if len(names) < 2 or _is_undefined(truth) or not np.isfinite(truth + prediction).all():
        return float("nan"), float("nan")
    # CCC does not change when both are shifted alike; centring keeps the sums of squares from cancelling.
    t, p = truth - truth.mean(), prediction - truth.mean()
    terms = np.stack([np.ones_like(t), t, p, t * t, p * p, t * p])
    sums = np.stack([np.bincount(members, weights=row, minlength=len(names)) for row in terms], axis=1)  # (V, 6)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=num_resamples)
    n, t1, p1, tt, pp, tp = (counts @ sums).T  # (R,) each
    t1, p1 = t1 / n, p1 / n
    truth_variance = tt / n - t1**2
    spread = truth_variance + pp / n - p1**2 + (p1 - t1) ** 2
    # A resample whose truth is constant (up to rounding) has no CCC.
    defined = truth_variance > 1e-12 * truth.var()
    values = 2 * (tp / n - t1 * p1)[defined] / spread[defined]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compute_score(truth: np.ndarray, prediction: np.ndarray, videos: Sequence[str], *, seed: int = 0) -> Score:
    """Compute all measures of one dimension; see `Score`.

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions.
        videos: the video of each utterance, N names.
        seed: of the bootstrap.
    """
    low, high = bootstrap_interval(truth, prediction, videos, seed=seed)
    return Score(
        ccc=compute_ccc(truth, prediction),
        ccc_low=low,
        ccc_high=high,
        pearson=compute_pearson(truth, prediction),
        mse=compute_mse(truth, prediction),
        ccc_per_video=compute_ccc_per_video(truth, prediction, videos),
    )


def _as_pairs(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise ValueError(
            f"truth has shape {truth.shape} and prediction {prediction.shape}: both must be (utterances,), "
            "one dimension (arousal or valence) at a time and joined by name before"
        )
    return truth, prediction


def _is_undefined(values: np.ndarray) -> bool:
    # NaN != NaN, so an array with NaN counts as varying and the NaN reaches the result.
    return not bool((values != values[:1]).any())


def _index_videos(videos: Sequence[str], num_utterances: int) -> tuple[np.ndarray, np.ndarray]:
    if len(videos) != num_utterances:
        raise ValueError(f"{len(videos)} videos named for {num_utterances} utterances: one name each is needed")
    names, members = np.unique(np.asarray(videos, dtype=str), return_inverse=True)
    return names, members

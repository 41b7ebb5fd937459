"""Concordance correlation coefficient (CCC) and the measures shown beside it.

The loss and the report use this one implementation. It needs only NumPy, and accepts torch tensors as well.

Source: Lin (1989), and the challenge's current script, which uses all utterances at once and population standard
deviations (torchmetrics divides by n - 1 and gives other digits). One difference: for a constant, which has no
correlation, that script divides zero by zero. Here a constant prediction scores 0, as the formula says, and the CCC of
a constant truth is undefined.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

#: A NumPy array or a torch tensor; torch is not imported only for a type.
Array = TypeVar("Array", bound=Any)


def ccc_or_zero(truth: Array, prediction: Array, *, ddof: int = 0) -> Array:
    """Compute CCC along the first axis, 0 where the truth is constant.

    The formula is 2 cov / (var_t + var_p + (mean_p - mean_t)^2), where 2 cov is 2 rho s_t s_p. It is differentiable for
    tensors. Where the truth is constant (one utterance, or all equal), the result and its gradient are 0, never NaN:
    such a batch says nothing about concordance. NaN in either argument gives NaN.

    Args:
        truth: (N, ...) array or tensor, N >= 1.
        prediction: same shape and kind.
        ddof: covariance and variances divide by N - ddof; 0 as in the challenge; 1 needs two utterances that differ.

    Returns:
        (...) of the same kind, in [-1, 1].
    """
    varies = (truth != truth[:1]).any(0)
    truth_mean, prediction_mean = truth.mean(0), prediction.mean(0)
    truth_offset, prediction_offset = truth - truth_mean, prediction - prediction_mean
    covariance = (truth_offset * prediction_offset).mean(0)
    between = (prediction_mean - truth_mean) ** 2
    if ddof:  # both sides of the fraction times (N - ddof) / N
        between = between * (max(len(truth) - ddof, 0) / len(truth))
    spread = (truth_offset**2).mean(0) + (prediction_offset**2).mean(0) + between
    # A product, not a selection: the line works for NumPy and torch, and its gradient is exactly 0.
    return varies * 2 * covariance / (spread + ~varies)


def compute_ccc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Compute the challenge's CCC over all utterances at once, as its official script does.

    Args:
        truth: (N,) labels.
        prediction: (N,) predictions; a NaN makes the result NaN, so choose the rows to score first.

    Returns:
        In [-1, 1]; NaN where it is undefined: no utterance, or a truth that is constant (one utterance always is).

    Raises:
        ValueError: the shapes differ or are not (N,).

    >>> compute_ccc(np.array([0.0, 1.0]), np.array([0.0, 0.5]))  # 2 * .125 / (.25 + .0625 + .0625)
    0.6666666666666666
    """
    truth, prediction = as_pairs(truth, prediction)
    if is_undefined(truth):
        return float("nan")
    if is_undefined(prediction):
        return 0.0  # exactly, whatever the rounding of its mean
    # CCC does not change when both are shifted by one amount. Centring keeps small differences (in the ninth digit).
    centre = truth.mean()
    return float(ccc_or_zero(truth - centre, prediction - centre))


def compute_pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Compute Pearson's correlation of two (N,) arrays; NaN where one of them is constant.

    >>> compute_pearson(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    1.0
    """
    truth, prediction = as_pairs(truth, prediction)
    if is_undefined(truth) or is_undefined(prediction):
        return float("nan")
    truth_offset, prediction_offset = truth - truth.mean(), prediction - prediction.mean()
    scale = np.sqrt((truth_offset**2).mean() * (prediction_offset**2).mean())
    return float((truth_offset * prediction_offset).mean() / scale)


def compute_mse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Compute the mean squared error of two (N,) arrays; NaN for N = 0.

    >>> compute_mse(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
    0.125
    """
    truth, prediction = as_pairs(truth, prediction)
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
    truth, prediction = as_pairs(truth, prediction)
    _, members = index_videos(videos, truth.size)
    scores = [compute_ccc(truth[members == v], prediction[members == v]) for v in range(members.max(initial=-1) + 1)]
    # A video without a CCC is left out. A video with a NaN prediction is not: the NaN must reach the result.
    counted = [s for v, s in enumerate(scores) if not is_undefined(truth[members == v])]
    return float(np.mean(counted)) if counted else float("nan")


def as_pairs(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as (N,) float64.

    Raises:
        ValueError: the shapes differ or are not (N,).
    """
    truth, prediction = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise ValueError(
            f"truth has shape {truth.shape} and prediction {prediction.shape}: both must be (utterances,), "
            "one dimension (arousal or valence) at a time and joined by name before"
        )
    return truth, prediction


def is_undefined(values: np.ndarray) -> bool:
    """Tell whether a truth has no CCC: it has no values, or all are equal."""
    # NaN != NaN, so an array with NaN counts as varying and the NaN reaches the result.
    return not bool((values != values[:1]).any())


def index_videos(videos: Sequence[str], num_utterances: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct videos, and for each utterance the position of its video among them.

    Raises:
        ValueError: there is not one name for each utterance.
    """
    if len(videos) != num_utterances:
        raise ValueError(f"{len(videos)} videos named for {num_utterances} utterances: one name each is needed")
    names, members = np.unique(np.asarray(videos, dtype=str), return_inverse=True)
    return names, members

"""The losses over a batch: MSE for the single networks, CCC for Joint (III-D)."""

import torch

from models.scores.ccc import ccc_or_zero


def compute_mse_loss(prediction: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the mean squared error over utterances and both dimensions; (B, 2) each, returns a scalar in [0, 4]."""
    return ((prediction - labels) ** 2).mean()


def compute_ccc_loss(prediction: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute -(CCC of arousal + CCC of valence) over the batch.

    A dimension whose labels are all equal in this batch (as in a batch of one) has no CCC: it adds 0 to the loss and
    nothing to the gradient. If this is so for both dimensions, only momentum and decay change the weights.

    Args:
        prediction: (B, 2).
        labels: (B, 2).

    Returns:
        Scalar in [-2, 2].
    """
    return -ccc_or_zero(labels, prediction).sum()


def compute_sample_ccc_loss(prediction: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the same as `compute_ccc_loss`, with a covariance and variances that divide by n - 1 (the notebooks').

    The difference of the means then has (n - 1) / n of the weight that it has in the reported CCC.
    """
    return -ccc_or_zero(labels, prediction, ddof=1).sum()


LOSSES = {"mse": compute_mse_loss, "ccc": compute_ccc_loss, "ccc_sample": compute_sample_ccc_loss}

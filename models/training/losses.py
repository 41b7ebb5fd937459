"""The two losses over a batch: MSE for the single networks, CCC for Joint (III-D)."""

import torch

from models.scores.ccc import ccc_or_zero


def compute_mse_loss(prediction: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean squared error over utterances and both dimensions; (B, 2) each, returns a scalar in [0, 4]."""
    return ((prediction - labels) ** 2).mean()


def compute_ccc_loss(prediction: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-(CCC of arousal + CCC of valence) over the batch.

    A dimension whose labels are all equal in this batch (in a batch of one they are) has no CCC: it adds 0 to the
    loss and nothing to the gradient. A batch in which both are so changes the weights by momentum and decay only.

    Args:
        prediction: (B, 2).
        labels: (B, 2).

    Returns:
        Scalar in [-2, 2].
    """
    return -ccc_or_zero(labels, prediction).sum()


LOSSES = {"mse": compute_mse_loss, "ccc": compute_ccc_loss}

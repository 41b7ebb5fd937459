"""Rows of a feature of sound become 512 numbers: ANet may use this in place of VGG-16 (not in the paper).

Letters: P pieces of 3 s, R rows of each, D numbers of a row, B utterances, N pieces per utterance.
"""

import torch
from torch import nn

from models.choices import POOLINGS, Pooling
from models.networks.precision import runs_lstm_in_bfloat16
from models.paper import ATTENTION_GAIN, FEATURE_SIZE, MOST_DEVIATIONS


class SequenceFeature(nn.Module):
    """ANet without its last layer, for rows of a feature; it replaces `AcousticFeature`."""

    row_mean: torch.Tensor
    row_scale: torch.Tensor

    def __init__(self, row_size: int, pooling: Pooling = "lstm") -> None:
        """Build the layers.

        Args:
            row_size: D.
            pooling: "lstm" sums the two directions of a bidirectional LSTM and takes the mean over time, as VNet does;
                "attention" takes a mean of the rows' 512 numbers with a learned weight for each row (as Mirsamadi et
                al. 2017, ICASSP, do for frames of speech).
        """
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling ({pooling!r}) must be one of {', '.join(POOLINGS)}")
        if not 1 <= row_size <= 1 << 20:
            raise ValueError(f"row_size ({row_size}) must be from 1 to {1 << 20} numbers")
        self.register_buffer("row_mean", torch.zeros(row_size))
        self.register_buffer("row_scale", torch.ones(row_size))
        is_lstm = pooling == "lstm"
        self.lstm = nn.LSTM(row_size, FEATURE_SIZE, batch_first=True, bidirectional=True) if is_lstm else None
        self.hidden = None if is_lstm else nn.Linear(row_size, FEATURE_SIZE)
        self.weight = None if is_lstm else nn.Linear(FEATURE_SIZE, 1)

    def forward(self, pieces: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Compute 512 numbers for each piece, and their mean over the pieces of each utterance.

        Args:
            pieces: (P, R, D + 1) float32, see `mark_rows`.
            index: (B, N) int64 in [0, P): the pieces of each utterance.

        Returns:
            (B, 512).
        """
        real = pieces[..., -1]  # (P, R), 1 for a row and 0 for padding
        rows = (pieces[..., :-1] - self.row_mean) * self.row_scale  # (P, R, D)
        rows = rows.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS) * real[..., None]
        pooled = self._attend(rows, real) if self.lstm is None else self._run_lstm(rows, real)  # (P, 512)
        return pooled[index.flatten()].unflatten(0, index.shape).mean(1)

    def set_standardisation(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        """Set the layers' input to (row - mean) * scale, limited to [-10, 10]; (D,) float32 each, scales above 0."""
        self.row_mean.copy_(mean)
        self.row_scale.copy_(scale)

    @torch.no_grad()
    def initialise(self) -> None:
        """Set random weights: the LSTM's as VNet's; for "attention" Kaiming's, with equal weights of all rows."""
        for name, parameter in self.named_parameters():
            if name.startswith("weight.") or "bias" in name:
                nn.init.zeros_(parameter)
            elif name.startswith("lstm."):
                nn.init.orthogonal_(parameter)
            else:
                # The gain makes the outputs small, as an LSTM's are: larger ones would saturate tanh in a few steps.
                nn.init.kaiming_normal_(parameter, nonlinearity="relu").mul_(ATTENTION_GAIN)
        self.set_standardisation(torch.zeros_like(self.row_mean), torch.ones_like(self.row_scale))

    def _attend(self, rows: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        assert self.hidden is not None, "a network without an LSTM has it"
        assert self.weight is not None, "a network without an LSTM has it"
        hidden = torch.relu(self.hidden(rows))  # (P, R, 512)
        scores = self.weight(hidden).float().masked_fill(real[..., None] == 0, -torch.inf)  # (P, R, 1)
        return (scores.softmax(dim=1) * hidden).sum(dim=1)

    def _run_lstm(self, rows: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        assert self.lstm is not None, "the caller has checked"
        kind = rows.device.type
        if torch.is_autocast_enabled(kind) and not runs_lstm_in_bfloat16(kind):
            with torch.autocast(kind, enabled=False):
                return self._run_lstm(rows.float(), real)
        lengths = real.sum(1)  # (P,), at least 1 each
        # Packed, so that the backward direction begins with the last row and not with padding.
        packed = nn.utils.rnn.pack_padded_sequence(
            rows, lengths.to("cpu", torch.int64), batch_first=True, enforce_sorted=False
        )
        both, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)  # (P, longest, 2 * 512)
        forward, backward = both.chunk(2, dim=2)
        return (forward + backward).sum(1) / lengths[:, None]  # padding is 0 and adds nothing


def mark_rows(rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Append a number to each row: 1 for a real row, 0 for padding.

    Args:
        rows: (P, R, D) float32, zeros from `lengths` on.
        lengths: (P,) int64, in [1, R].

    Returns:
        (P, R, D + 1) float32.
    """
    is_real = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]  # (P, R)
    return torch.cat([rows, is_real[..., None].to(rows.dtype)], dim=2)

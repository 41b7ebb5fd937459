"""Maps of the sound for ANet: 3 s of the STFT, each normalised by its own values.

Letters: M maps, C channels (2, real and imaginary part; 1 for the log magnitude), F = 257 frequencies, T = 300 STFT
frames.
"""

import torch

from models.choices import SoundInput
from models.paper import LOG_DECADES, NUM_PARTS


def count_channels(input: SoundInput) -> int:
    """Count the channels of a map: both parts, or one magnitude."""
    return NUM_PARTS if input == "stft" else 1


def normalise_maps(raw: torch.Tensor, lengths: torch.Tensor, input: SoundInput = "stft") -> torch.Tensor:
    """Normalise each STFT map by its own values, over its real frames, then pad it with zeros at its end.

    The formula is the notebooks': (x - mean) / max(|min|, |max|). Mean, min and max are those of the raw map, over
    frames, frequencies and parts. Silence gives zeros.

    Args:
        raw: (M, T, 257, 2) float32 as stored, time first; frames from `lengths` on must be 0.
        lengths: (M,) int64, the real frames of each map, in [1, T].
        input: "stft" for both parts; "log_magnitude" (not in the paper) for x = 1 + log10(|X| / max |X|) / 4, which is
            1 at the map's loudest place and 0 at 80 dB below it or less.

    Returns:
        (M, C, 257, T) float32.
    """
    if input == "log_magnitude":
        raw = _compute_log_magnitude(raw)
    scale = raw.abs().amax((1, 2, 3))  # padding is 0 and so never the largest
    mean = raw.sum((1, 2, 3)) / (lengths * raw.shape[2] * raw.shape[3])
    is_real = torch.arange(raw.shape[1], device=raw.device) < lengths[:, None]  # (M, T)
    # In silence, the scale is 0 and so is every x - mean.
    x = (raw - mean[:, None, None, None]) / torch.where(scale > 0, scale, 1)[:, None, None, None]
    return (x * is_real[:, :, None, None]).permute(0, 3, 2, 1)  # (M, T, F, 2) -> (M, 2, F, T)


def _compute_log_magnitude(raw: torch.Tensor) -> torch.Tensor:
    """Map (M, T, 257, 2) to (M, T, 257, 1) in [0, 1]; silence and padding are 0."""
    magnitude = raw.square().sum(3, keepdim=True).sqrt()
    loudest = magnitude.amax((1, 2, 3), keepdim=True)
    share = magnitude / torch.where(loudest > 0, loudest, 1)
    return 1 + share.clamp(min=10.0**-LOG_DECADES).log10() / LOG_DECADES

"""The networks' last step: two numbers without limits become arousal and valence."""

import torch

from models.choices import AROUSAL_OUTPUTS, ArousalOutput


def squash(x: torch.Tensor, arousal_output: ArousalOutput) -> torch.Tensor:
    """Bring predictions into their range: valence by tanh to [-1, 1], arousal by tanh or by sigmoid to [0, 1].

    The paper has tanh for both, although its arousal labels lie in [0, 1].

    Args:
        x: (B, 2) arousal and valence.
        arousal_output: "tanh" or "sigmoid".
    """
    if arousal_output == "tanh":
        return torch.tanh(x)
    return torch.stack([torch.sigmoid(x[:, 0]), torch.tanh(x[:, 1])], dim=1)


def check_arousal_output(arousal_output: str) -> None:
    """Refuse an `arousal_output` that is neither "tanh" nor "sigmoid".

    Raises:
        ValueError: names the value and what it may be.
    """
    if arousal_output not in AROUSAL_OUTPUTS:
        raise ValueError(f"arousal_output ({arousal_output!r}) must be one of {', '.join(AROUSAL_OUTPUTS)}")

"""Making networks without weights, filling them strictly with tensors, and putting them where they run."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def build_empty(build: Callable[[], Network]) -> Network:
    """Build a network on the CPU whose weights are undefined, for a caller who fills in every one of them.

    torch's constructors fill in random numbers of their own, which takes seconds for ANet and draws from the global
    generator.

    Args:
        build: a constructor.
    """
    with torch.device("meta"):
        network = build()
    # Not `to_empty`, for which torch imports a computer algebra system: .6 s in every process.
    empty = {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in network.state_dict().items()}
    network.load_state_dict(empty, assign=True)
    return network


def load_strictly(network: nn.Module, state: Mapping[str, torch.Tensor], *, source: str, hint: str) -> None:
    """Fill a network with tensors under exactly its own keys.

    Args:
        network: is changed, unless an error is raised.
        state: the tensors.
        source: named in the error.
        hint: the error's last words: what the tensors should be and where they come from.

    Raises:
        ValueError: keys are missing or unknown, or a shape is wrong; all of them are named.
    """
    wanted = network.state_dict()
    missing, unknown = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    wrong = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & state.keys())
        if state[key].shape != wanted[key].shape
    ]
    if missing or unknown or wrong:
        raise ValueError(f"{source} does not fit: missing {missing}, unknown {unknown}, wrong shape {wrong}; {hint}")
    network.load_state_dict(state)


def place_network(network: Network, *, device: str, dtype: torch.dtype = torch.float32) -> Network:
    """Move a network to a device, its convolutions' weights channels-last: a third faster on CPUs, more on GPUs."""
    # torch's annotation of `to` knows no memory_format with a device; its documentation does.
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

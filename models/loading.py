"""Build networks without weights, load tensors into them strictly, and move them to a device."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from models.tensor_files import make_printable

#: Largest number of names in one message: a file may hold any number of them.
MOST_NAMES = 10

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
    # `to_empty` is not used: torch imports a computer algebra system for it, which takes .6 s in every process.
    empty = {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in network.state_dict().items()}
    network.load_state_dict(empty, assign=True)
    return network


def load_strictly(network: nn.Module, state: Mapping[str, torch.Tensor], *, source: str, hint: str) -> None:
    """Load tensors into a network; their keys must be exactly the network's.

    Args:
        network: is changed, unless an error is raised.
        state: the tensors by key.
        source: named in the error.
        hint: the error's last words: what the tensors should be and where they come from.

    Raises:
        ValueError: see `check_state`.
    """
    check_state(network, state, source=source, hint=hint)
    network.load_state_dict(state)


def check_state(network: nn.Module, state: Mapping[str, torch.Tensor], *, source: str, hint: str) -> None:
    """Refuse tensors that are not a network's weights; their file may come from anyone.

    Args:
        network: its tensors may be on the meta device.
        state: by name, on the CPU.
        source: named in the error.
        hint: the error's last words.

    Raises:
        ValueError: keys are missing or unknown, a shape is wrong, or a value is not a finite floating-point number; up
            to ten of each are named.
    """
    wanted = network.state_dict()
    found = {key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
    faults = {
        "missing": [key for key in wanted if key not in found],
        "unknown": [key for key in state if key not in wanted],
        "wrong shape": [
            f"{key} {tuple(value.shape)} instead of {tuple(wanted[key].shape)}"
            for key, value in found.items()
            if key in wanted and value.shape != wanted[key].shape
        ],
    }
    if any(faults.values()):
        named = ", ".join(f"{fault} {_name_some(keys)}" for fault, keys in faults.items())
        raise ValueError(f"{source} does not fit: {named}; {hint}")
    # Checked after the shapes: a tensor of another shape may claim any size.
    bad = [key for key, value in found.items() if not _holds_numbers(value)]
    if bad:
        raise ValueError(f"{source} has values that are not finite numbers in {_name_some(bad)}; {hint}")


def _name_some(keys: list[Any]) -> str:
    names = sorted(make_printable(str(key)) for key in keys)
    return str(names) if len(names) <= MOST_NAMES else f"{names[:MOST_NAMES]} and {len(names) - MOST_NAMES} more"


def _holds_numbers(tensor: torch.Tensor) -> bool:
    is_dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    return is_dense and tensor.is_floating_point() and bool(torch.isfinite(tensor).all())


def place_network(network: Network, *, device: str, dtype: torch.dtype = torch.float32) -> Network:
    """Move a network to a device, its convolutions' weights channels-last: a third faster on CPUs, more on GPUs."""
    # torch documents memory_format together with a device, but its type annotation of `to` lacks it.
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

"""Which instructions this processor has: the one place that decides which compiled code runs."""

from collections.abc import Sequence
from typing import TypeVar

import torch

Kernel = TypeVar("Kernel")


def list_runnable(kernels: Sequence[tuple[Kernel, frozenset[str]]]) -> list[Kernel]:
    """List the kernels whose instructions this processor has, in the given order.

    Args:
        kernels: each with the names of the instructions that it needs, as in `torch.cpu.get_capabilities`.
    """
    has = {name for name, is_there in torch.cpu.get_capabilities().items() if is_there is True}
    return [kernel for kernel, needed in kernels if needed <= has]

"""Which instructions this processor has: the one place that decides which compiled code runs."""

from collections.abc import Sequence
from typing import TypeVar

import torch

Kernel = TypeVar("Kernel")


def list_runnable(kernels: Sequence[tuple[Kernel, frozenset[str]]]) -> list[Kernel]:
    """List those of some kernels whose instructions this processor has, in their order.

    Args:
        kernels: each with the names of what it needs, as `torch.cpu.get_capabilities` has them.
    """
    has = {name for name, is_there in torch.cpu.get_capabilities().items() if is_there is True}
    return [kernel for kernel, needed in kernels if needed <= has]

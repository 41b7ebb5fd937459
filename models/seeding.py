"""Random numbers that depend on a seed and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global generators inside the block, and restore their former state after it.

    torch's dropout and the constructors of its layers draw only from the global generators.

    Args:
        seed: one or more non-negative numbers; different sequences give independent streams.
        device: if it is a CUDA device, its own generator is seeded and restored too.
    """
    target = torch.device(device)
    cuda_devices = [target] if target.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda_devices):
        torch.manual_seed(mix_seed(*seed))
        yield


def mix_seed(*seed: int) -> int:
    """Combine several non-negative numbers into one seed; different sequences give unrelated seeds.

    Returns:
        In [0, 2**63).
    """
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))

"""Random numbers that depend on a seed and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch inside the block and give its generators their former state back after it.

    torch's dropout and the constructors of its layers draw from the global generators only, so these are borrowed.

    Args:
        seed: one or more non-negative numbers; different sequences give independent streams.
        device: a CUDA device has a generator of its own, which is borrowed too.
    """
    target = torch.device(device)
    cuda_devices = [target] if target.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda_devices):
        torch.manual_seed(mix_seed(*seed))
        yield


def mix_seed(*seed: int) -> int:
    """Make one seed of several non-negative numbers; those of different sequences have nothing in common.

    Returns:
        In [0, 2**63).
    """
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))

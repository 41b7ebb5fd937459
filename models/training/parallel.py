"""Training of one network by several processes: how they share each batch, and how their results are joined.

Every process draws the same random samples and takes its share of each batch. The predictions are joined before the
loss, so that the CCC is that of the whole batch. The gradients of the shares add up to that of the whole batch.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Group:
    """The processes of a training.

    Attributes:
        rank: number of this process, counted from 0; process 0 writes the files.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def take_share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's rows, in order; the sizes of the shares differ by at most one."""
        return np.array_split(rows, self.size)[self.rank]

    def join(self, own: torch.Tensor, total: int) -> torch.Tensor:
        """Join the shares of all processes, in order; gradients flow only to this process's own share.

        Args:
            own: (share, ...) of this process.
            total: number of rows of all processes.

        Returns:
            (total, ...).
        """
        if self.size == 1:
            return own
        sizes = [len(part) for part in np.array_split(np.arange(total), self.size)]
        # Every process has to send the same number of rows.
        padded = torch.zeros((max(sizes), *own.shape[1:]), dtype=own.dtype, device=own.device)
        padded[: len(own)] = own.detach()
        received = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(received, padded)
        parts = [part[:size] for part, size in zip(received, sizes, strict=True)]
        parts[self.rank] = own
        return torch.cat(parts)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Make all processes start from the first one's weights, and average their gradients after each backward."""
        return network if self.size == 1 else nn.parallel.DistributedDataParallel(network)

    def wait(self) -> None:
        """Wait until all processes have come to this call."""
        if self.size > 1:
            distributed.barrier()


def find_group() -> Group:
    """Return the group of this process; a group of one outside `grouped`."""
    if distributed.is_available() and distributed.is_initialized():
        return Group(distributed.get_rank(), distributed.get_world_size())
    return Group()


@contextmanager
def grouped(device: str) -> Iterator[str]:
    """Join the group that torchrun has started this process for (RANK, WORLD_SIZE, LOCAL_RANK in the environment).

    Args:
        device: "cpu", where the processes exchange data by gloo, or "cuda", where each has a GPU and they use NCCL.

    Yields:
        The device of this process.

    Raises:
        RuntimeError: there are more processes than GPUs on this machine.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        count = torch.cuda.device_count()
        if local >= count:
            raise RuntimeError(f"process {local} has no GPU: this machine has {count}; start at most one process each")
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:
        yield device
        return
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield device
        # A process that ended while another still sends to it would break that one's threads, and torch would abort.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def end_process() -> NoReturn:
    """End a process of a group whose work is done and written.

    At Python's normal exit, gloo's threads may still hold tensors but can no longer take Python's lock: C++ then
    sometimes aborts the process (github.com/pytorch/pytorch/pull/179291).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

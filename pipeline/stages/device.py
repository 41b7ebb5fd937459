"""Where networks run, and on how many threads."""

import contextlib
from collections.abc import Iterator

import torch

from pipeline import config


def find_device() -> str:
    """Give the device that `[run] device` means here."""
    device = config.run().device
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(device)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let each operation of torch use `count` threads, and what it used before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

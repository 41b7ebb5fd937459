"""Errors that are the user's to mend, and those that may pass by themselves."""

import errno
from pathlib import Path


class UserError(Exception):
    """Something in the settings or the data has to be changed; the message says what, where and how."""


class TransientError(Exception):
    """Something that may be gone at the next try; it fails the task and leaves no status behind."""


def describe_failure(error: BaseException, store: Path) -> str:
    """Say why a task failed, and what to do where the system's own words do not.

    Args:
        error: What the task raised.
        store: The feature store's folder.
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{text}: the disk of {store} (or of [run] scratch) is full; make room and give the same command again"
    # torch's own error is told by its name, since what imports this module may not import torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        remedy = "set [embeddings] batch_size = 8 or lower, or lower [run] threads, and give the same command again"
        return f"out of memory ({text}); {remedy}"
    return text

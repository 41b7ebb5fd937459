"""What a person is told of a failed task."""

import errno
import os
from pathlib import Path

import pytest
import torch

from pipeline.errors import describe_failure


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("epochs = 0"), "epochs = 0"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            "[Errno 28] No space left on device: the disk of data/store (or of [run] scratch) is full; "
            "make room and give the same command again",
        ),
        (
            MemoryError(),
            "out of memory (MemoryError); set [embeddings] batch_size = 8 or lower, or lower [run] threads, "
            "and give the same command again",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            "out of memory (CUDA out of memory.); set [embeddings] batch_size = 8 or lower, or lower [run] threads, "
            "and give the same command again",
        ),
    ],
)
def test_a_failure_says_what_to_do_next(error, text):
    assert describe_failure(error, Path("data/store")) == text

"""What a person is told of a failed task."""

import errno
import os
from pathlib import Path

import pytest

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
            "out of memory (MemoryError); lower [embeddings] batch_size or [run] threads "
            "and give the same command again",
        ),
    ],
)
def test_a_failure_says_what_to_do_next(error, text):
    assert describe_failure(error, Path("data/store")) == text

"""Compressed images of one utterance. Each is read when it is accessed: an hour of video would fill the memory."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Images(Sequence[bytes]):
    """A sequence of compressed images, none of which is in memory; a slice is such a sequence, too.

    Args:
        read: Called with start and size, gives so many bytes from there.
        starts: (N,) first byte of each image.
        sizes: (N,) number of bytes of each.

    """

    def __init__(self, read: Callable[[int, int], bytes], starts: np.ndarray, sizes: np.ndarray) -> None:
        self._read = read
        self._starts, self._sizes = starts, sizes

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, row: Any) -> Any:
        """Read one image; with a slice, read nothing."""
        if isinstance(row, slice):
            return Images(self._read, self._starts[row], self._sizes[row])
        return self._read(int(self._starts[row]), int(self._sizes[row]))

"""Files mapped into memory: how to release their pages."""

import mmap

import numpy as np

from store.shard.mapped import MappedRows


def release_pages(array: np.ndarray) -> None:
    """Tell the system that it may drop the pages of a mapped file that were read; they are read again when needed.

    Pages of a mapped file count as the process's memory until the system needs them otherwise: reading an hour of crops
    would look like 3 GB. Arrays that are not mapped are not changed.
    """
    if isinstance(array, MappedRows):
        array.release_pages()
        return
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)

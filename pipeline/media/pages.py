"""Files mapped into memory: giving their pages back."""

import mmap

import numpy as np

from store.shard.mapped import MappedRows


def release_pages(array: np.ndarray) -> None:
    """Tell the system that what has been read of a mapped file may leave memory; it is read again when needed.

    Pages of a mapped file count as the process's memory until something else wants them: reading an hour of crops would
    look like 3 GB. Arrays that lie in memory of their own are left alone.
    """
    if isinstance(array, MappedRows):
        array.release_pages()
        return
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)

import mmap

import numpy as np
import pytest

from pipeline.media.pages import release_pages


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system cannot be told")
def test_pages_of_a_file_leave_memory_and_can_be_read_again(tmp_path):
    content = np.random.default_rng(0).integers(0, 256, 32 << 20, dtype=np.uint8)
    content.tofile(tmp_path / "file")
    mapped = np.memmap(tmp_path / "file", np.uint8, "r").view(np.ndarray)[4096:]
    total = int(mapped.sum())
    before = resident_bytes()
    release_pages(mapped)
    assert before - resident_bytes() > 24 << 20
    assert int(mapped.sum()) == total == int(content[4096:].sum())


def test_other_arrays_are_left_alone():
    array = np.arange(5)
    release_pages(array[1:])
    assert array.tolist() == [0, 1, 2, 3, 4]

"""Compressed images, each read when it is taken."""

import numpy as np

from store.shard.images import Images


def test_an_image_is_read_when_it_is_taken_and_not_before():
    asked = []

    def read(start, size):
        asked.append((start, size))
        return b"x" * size

    images = Images(read, np.array([0, 4, 9]), np.array([4, 5, 2]))
    assert len(images) == 3
    later = images[1:]
    assert (len(later), asked) == (2, [])
    assert later[-1] == b"xx"
    assert asked == [(9, 2)]
    assert list(images) == [b"xxxx", b"xxxxx", b"xx"]

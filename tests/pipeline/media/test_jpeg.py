"""Images as JPEG."""

import numpy as np
import pytest

from pipeline.media.jpeg import decode_jpeg, encode_jpeg


def test_an_image_comes_back_in_its_colours_the_better_the_higher_the_quality():
    rows, columns = np.mgrid[0:112, 0:96]
    image = np.stack([rows * 2, columns * 2, (rows + columns) % 200], axis=2).astype(np.uint8)
    found = {quality: decode_jpeg(encode_jpeg(image, quality=quality)) for quality in (50, 95)}
    assert found[95].shape == image.shape
    errors = {q: np.abs(found[q].astype(int) - image)[:, :, :2].mean() for q in found}
    assert errors[95] < errors[50] < 10
    assert len(encode_jpeg(image, quality=50)) < len(encode_jpeg(image, quality=95))


@pytest.mark.parametrize("data", [b"\xff\xd8 no image", encode_jpeg(np.zeros((8, 8, 3), np.uint8), quality=90)[:20]])
def test_a_damaged_image_says_so(data):
    with pytest.raises(ValueError, match=rf"{len(data)} bytes of a kept image are no JPEG; its shard is damaged"):
        decode_jpeg(data)

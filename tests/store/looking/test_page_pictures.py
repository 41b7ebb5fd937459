"""The pictures of a clip's page, as another library decodes them."""

import io

import numpy as np
import pytest
from PIL import Image

from store.looking.page_pictures import draw_spectrogram, encode_faces, encode_png
from store.looking.plots import compute_decibels


def decode(data):
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture


def test_faces_stand_side_by_side_in_their_colours():
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]  # blue, green, red
    crops = np.array(colours, np.uint8)[:, None, None] * np.ones((112, 96, 1), np.uint8)
    picture = decode(encode_faces(crops))
    assert (picture.format, picture.size) == ("JPEG", (3 * 96, 112))
    for k, colour in enumerate(colours):
        face = np.asarray(picture)[:, 96 * k + 1 : 96 * (k + 1) - 1].astype(int)
        assert abs(face - colour[::-1]).max() < 8, "but for the last pixel at its edge"


def test_the_picture_has_the_places_it_was_given():
    places = np.random.default_rng(0).integers(0, 256, (129, 7)).astype(np.uint8)
    picture = decode(encode_png(places))
    assert picture.mode == "P"
    assert (np.asarray(picture) == places).all()
    palette = np.array(picture.getpalette()).reshape(-1, 3)
    assert palette[[0, 255]].tolist() == [[0, 0, 4], [252, 255, 164]]


@pytest.mark.parametrize("length", [1, 3, 400])
def test_a_spectrogram_shows_the_levels_in_decibels(length):
    stft = np.random.default_rng(length).normal(0, 1, (length, 257, 2)).astype(np.float32)
    stft[0, 5] = 100
    levels = compute_decibels(stft)
    loudest = np.maximum.reduceat(levels, np.arange(0, 257, 2), axis=0)
    shown = np.asarray(decode(draw_spectrogram(stft)))[::-1]
    np.testing.assert_allclose(shown, np.floor((loudest / 80 + 1) * 255), atol=1)
    assert shown.max() == 255


def test_silence_and_values_that_are_no_numbers_have_their_picture():
    assert not np.asarray(decode(draw_spectrogram(np.zeros((2, 257, 2), np.float32)))).any()
    stft = np.zeros((3, 257, 2), np.float32)
    stft[0, 0, 0], stft[1, 0, 0], stft[2, 256, 0] = np.nan, np.inf, 1e30
    assert np.asarray(decode(draw_spectrogram(stft))).shape == (129, 3)

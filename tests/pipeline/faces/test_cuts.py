import numpy as np
import pytest

from pipeline.faces.cuts import CutFinder, centre_picture, make_thumbnail, measure_change


def test_a_change_is_relative_to_contrast_and_free_of_brightness():
    rng = np.random.default_rng(0)
    first, second = (rng.normal(128, 40, (32, 32, 3)).astype(np.float32) for _ in range(2))
    change = measure_change(centre_picture(first), centre_picture(first + 60))
    assert change == pytest.approx(0, abs=1e-5)
    # The difference of two independent normal values spreads sqrt(2) times as much as one of them.
    for divisor in (1, 3):
        change = measure_change(centre_picture(first / divisor), centre_picture(second / divisor))
        assert change == pytest.approx(np.sqrt(2), rel=0.03)
    flat = centre_picture(np.full((32, 32, 3), 100, np.float32))
    assert measure_change(flat, flat) == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (1080, 1920)])
def test_thumbnails_have_one_size(size):
    assert make_thumbnail(np.zeros((*size, 3), np.uint8)).centred.shape == (32, 32, 3)


def test_a_cut_is_found_once():
    rng = np.random.default_rng(5)
    scenes = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2)]
    finder = CutFinder()
    assert [finder.look(scenes[number // 4]) for number in range(8)] == [False] * 4 + [True] + [False] * 3


def test_a_change_of_shape_is_a_cut_although_thumbnails_are_alike():
    scene = np.random.default_rng(5).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    wide, high = scene.repeat(8, 0).repeat(16, 1), scene.repeat(16, 0).repeat(8, 1)
    assert measure_change(make_thumbnail(wide), make_thumbnail(high)) < 0.1
    finder = CutFinder()
    assert [finder.look(image) for image in (wide, wide, high, high, wide)] == [False, False, True, False, True]

"""The times of decoded pictures, and how they become upright images, without a file."""

import re
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from pipeline.media import MediaError
from pipeline.media.decoding import MOST_IMAGES, Clock, Converter, check_pixels, has_guessed_times, limit_pixels
from pipeline.media.shapes import AS_STORED, Shape, Upright
from pipeline.media.timeline import Piece, Timeline


def make_stream(**more):
    """A stream of 25 pictures a second whose times count milliseconds."""
    codec = SimpleNamespace(has_b_frames=0, width=64, height=48, options={"threads": "1"})
    given = {"index": 0, "time_base": Fraction(1, 1000), "average_rate": 25, "guessed_rate": 25, "codec_context": codec}
    return SimpleNamespace(**{**given, **more})


def make_clock(timeline=None, *, name="mov,mp4", origin=0.0, **stream):
    def read():
        assert timeline is not None, "a whole file is read for nothing"
        return timeline

    return Clock(SimpleNamespace(format=SimpleNamespace(name=name)), make_stream(**stream), origin, read)


def times_of(clock, *milliseconds):
    return [clock.time_of(pts) for pts in milliseconds]


def test_times_count_from_the_clips_origin():
    assert times_of(make_clock(origin=2.0), 2000, 2040, 2500) == pytest.approx([0, 0.04, 0.5])


def test_pictures_without_times_or_whose_time_stands_still_are_a_frame_apart():
    assert times_of(make_clock(), None, None, None) == pytest.approx([0, 0.04, 0.08])
    assert times_of(make_clock(), 0, 0, 40, 200) == pytest.approx([0, 0.04, 0.08, 0.2])
    unknown = make_clock(average_rate=None, guessed_rate=None)
    assert times_of(unknown, None, None) == pytest.approx([0, 1 / 25]), "of raw streams"


def test_guessed_times_of_avi_are_not_believed():
    out_of_order = SimpleNamespace(has_b_frames=2)
    assert has_guessed_times("avi", make_stream(codec_context=out_of_order))
    assert not has_guessed_times("avi", make_stream())
    assert not has_guessed_times("mov,mp4", make_stream(codec_context=out_of_order))
    assert times_of(make_clock(name="avi", codec_context=out_of_order), 0, 900, 20) == pytest.approx([0, 0.04, 0.08])


def test_a_jump_is_closed_up_by_the_clips_timeline():
    clock = make_clock(Timeline((Piece(0, 0, 0), Piece(0, 60, 59.92))))
    assert times_of(clock, 0, 40, 60000, 60040) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_what_overlaps_is_left_out_and_counted():
    clock = make_clock(Timeline((Piece(0, 0, 0),), going_back=(0,)))
    assert times_of(clock, 0, 400, 200, 360, 440) == [0, 0.4, None, None, pytest.approx(0.44)]
    assert clock.num_left_out == 2
    assert clock.steps_back == [(0.4, pytest.approx(0.2))]


def test_a_single_picture_that_is_early_by_less_than_a_frame_is_shown():
    clock = make_clock(Timeline((Piece(0, 0, 0),), going_back=(0,)))
    assert times_of(clock, 0, 40, 20, 80) == pytest.approx([0, 0.04, 0.045, 0.08])
    assert clock.num_left_out == 0


def test_pictures_over_the_limit_are_refused_by_name_and_value():
    check_pixels(100, 50, 5000)
    expected = "the pictures have 100 x 51 pixels, more than [frames] max_pixels = 5000 allows"
    with pytest.raises(MediaError, match=re.escape(expected)) as caught:
        check_pixels(100, 51, 5000)
    assert caught.value.status == "decode_error"


def test_the_decoder_is_given_the_limit_beside_its_other_options():
    stream = make_stream()
    limit_pixels(stream, 64 * 48)
    assert stream.codec_context.options == {"threads": "1", "max_pixels": str(128 * 112)}
    with pytest.raises(MediaError, match="max_pixels = 3071"):
        limit_pixels(stream, 64 * 48 - 1)


def make_picture(width, height):
    """A picture whose left half is red and whose right half is blue, and its blue, green and red."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 2] = image[:, width // 2 :, 0] = 255
    return av.VideoFrame.from_ndarray(image, "bgr24"), image


def test_pictures_become_upright_in_blue_green_red():
    picture, image = make_picture(66, 32)  # rows of 198 bytes, which ffmpeg fills up
    assert np.array_equal(Converter(66, 32)(picture, Shape(66, 32, 1.0, AS_STORED)), image)
    turned = Converter(32, 66)(picture, Shape(66, 32, 1.0, Upright(transpose=True, flip_x=True, flip_y=False)))
    assert np.array_equal(turned, np.rot90(image, -1)), "by 90 degrees clockwise"


def test_a_picture_of_another_shape_is_scaled_to_fit_the_clips_largest():
    convert = Converter(64, 48)
    assert convert(make_picture(64, 48)[0], Shape(64, 48, 1.0, AS_STORED)).shape == (48, 64, 3)
    assert convert(make_picture(32, 24)[0], Shape(32, 24, 1.0, AS_STORED)).shape == (48, 64, 3)


def test_an_image_that_someone_holds_is_not_written_again():
    convert, shape = Converter(64, 48), Shape(64, 48, 1.0, AS_STORED)
    held = [convert(make_picture(64, 48)[0], shape) for _ in range(MOST_IMAGES + 2)]
    assert len({image.ctypes.data for image in held}) == MOST_IMAGES + 2
    view, place = held[0][10:], held[0].ctypes.data
    before = view.copy()
    del held
    black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "bgr24")
    again = [convert(black, shape) for _ in range(MOST_IMAGES)]
    assert np.array_equal(view, before), "a view holds its image"
    assert place not in {image.ctypes.data for image in again}
    assert len({image.ctypes.data for image in again}) == MOST_IMAGES

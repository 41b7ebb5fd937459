"""What the report's plots are drawn with."""

import io
import re

import numpy as np
import pytest

from pipeline.report.figures import drawing
from pipeline.report.figures.drawing import (
    Place,
    bin_medians,
    collect_points,
    draw_dots,
    find_limits,
    make_figure,
    save_figure,
    tell_dots,
)
from pipeline.report.rows import DetailRow
from pipeline.training.combining import MEAN

NAN = float("nan")


def row(name, values, truth=(0.0, 0.0), rests_on="vnet", **more):
    return DetailRow("v", f"{name}.mp4", values, rests_on, "ok", "ok", truth, **more)


def make_points(count=3):
    return collect_points(row(str(k), (0.3 * k, 0.4 * k), seconds=float(k)) for k in range(count))


def test_points_are_the_labelled_clips_that_a_network_saw():
    points = collect_points(
        [
            row("a", (0.3, 0.4), seconds=2.0, face_share=0.5),
            row("b", (0.3, 0.4), truth=None),
            row("c", (0.3, 0.4), rests_on=MEAN),
            row("d", (0.0, 0.5), truth=(0.0, 0.25)),
        ]
    )
    assert points.names == ("v/a", "v/d")
    assert points.errors == pytest.approx([0.5, 0.25])
    np.testing.assert_array_equal(points.seconds, [2, NAN])
    np.testing.assert_array_equal(points.face_shares, [0.5, NAN])
    assert collect_points([]).values.shape == (0, 2)


def test_a_point_says_which_clip_it_is():
    (told,) = collect_points([row("a", (0.25, -0.5), truth=(0.125, 1.0))]).tell(lambda name: f"{name}.html")
    assert (told.title, told.link) == ("v/a: predicted 0.25 / -0.50, true 0.12 / 1.00", "v/a.html")


@pytest.mark.parametrize(
    ("arrays", "limits"), [([[0.5]], (-0.1, 1.05)), ([[-0.5], [2.0]], (-0.55, 2.05)), ([[]], (-0.1, 1.05))]
)
def test_limits_hold_all_values_and_the_usual_ones(arrays, limits):
    assert find_limits(np.array(array) for array in arrays) == pytest.approx(limits)


def test_medians_of_bins_of_as_many_points():
    x = np.arange(80.0)
    middles, medians = bin_medians(x[::-1], 2 * x[::-1])
    assert middles == [4.5, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 74.5]
    assert medians == [2 * middle for middle in middles]
    assert bin_medians(x[:4], x[:4]) == ([], []), "of four points no line is drawn"
    assert len(bin_medians(x[:10], x[:10])[0]) == 2


def test_of_many_points_the_farthest_say_who_they_are_and_the_others_are_pixels(monkeypatch):
    monkeypatch.setattr(drawing, "MOST_VECTOR_POINTS", 2)
    monkeypatch.setattr(drawing, "MOST_TOLD_POINTS", 1)
    points = make_points(3)
    with make_figure(1, 1, height=2) as (figure, axes):
        draw_dots(axes[0][0], points.values[:, 0], points.values[:, 1], "black")
        tell_dots(axes[0][0], points, points.values[:, 0], points.values[:, 1], "black", Place("p", "a plot"))
        text = Place("p", "a plot").render(figure)
    assert "<image" in text
    assert re.findall(r"v/\d", text) == ["v/2"] * text.count("v/2")
    assert "v/2: predicted 0.60 / 0.80" in text


def test_a_point_that_lies_nowhere_says_nothing():
    points = make_points(2)
    with make_figure(1, 1, height=2) as (figure, axes):
        tell_dots(axes[0][0], points, np.array([NAN, 1.0]), points.errors, "black", Place("p", "a plot"))
        text = Place("p", "a plot").render(figure)
    assert "v/1: predicted" in text
    assert "v/0: predicted" not in text


def test_the_same_figure_has_the_same_bytes():
    with make_figure(1, 1, height=1) as (figure, _):
        files = [io.BytesIO(), io.BytesIO()]
        for file in files:
            save_figure(figure, file)
    assert files[0].getvalue() == files[1].getvalue()
    assert b"<dc:date>" not in files[0].getvalue()

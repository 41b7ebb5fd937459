"""The report's plots, each as SVG inside the page: nothing is loaded, and each point shows which clip it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.report.figures.drawing import (
    COLOURS,
    OTHER_COLOUR,
    STYLE,
    TRUTH_COLOUR,
    Place,
    Points,
    as_numbers,
    bin_medians,
    colour_of,
    draw_dots,
    find_limits,
    make_figure,
    tell_dots,
    tell_line,
)
from pipeline.report.scoring import DIMENSIONS
from pipeline.report.tables import title_of


def draw_scatter(points: Mapping[str, Points], place: Place) -> str:
    """Draw prediction against truth: a row per dimension, a column per model."""
    limits = [find_limits(array[:, row] for p in points.values() for array in (p.truth, p.values)) for row in (0, 1)]
    with make_figure(2, len(points), height=6.2) as (figure, axes):
        for column, (model, found) in enumerate(points.items()):
            for row, dimension in enumerate(DIMENSIONS):
                panel, (low, high) = axes[row][column], limits[row]
                panel.plot([low, high], [low, high], color=OTHER_COLOUR, linewidth=0.8, linestyle="--")
                draw_dots(panel, found.truth[:, row], found.values[:, row], colour_of(model))
                tell_dots(panel, found, found.truth[:, row], found.values[:, row], colour_of(model), place)
                panel.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=f"true {dimension}")
                panel.set_ylabel("predicted" if column == 0 else "")
                panel.set_title(f"{title_of(model)}, {dimension}")
        return place.render(figure)


def draw_plane(points: Mapping[str, Points], place: Place) -> str:
    """Draw truth and predictions as points in the valence-arousal plane, a panel per model."""
    low, high = find_limits(array for found in points.values() for array in (found.truth, found.values))
    with make_figure(1, len(points), height=3.9) as (figure, axes):
        for panel, (model, found) in zip(axes[0], points.items(), strict=True):
            draw_dots(panel, found.truth[:, 1], found.truth[:, 0], TRUTH_COLOUR, label="truth")
            draw_dots(panel, found.values[:, 1], found.values[:, 0], colour_of(model), label="prediction")
            tell_dots(panel, found, found.values[:, 1], found.values[:, 0], colour_of(model), place)
            panel.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="valence", title=title_of(model))
            panel.set_ylabel("arousal" if panel is axes[0][0] else "")
            panel.axhline(0, color=OTHER_COLOUR, linewidth=0.6)
            panel.axvline(0, color=OTHER_COLOUR, linewidth=0.6)
            panel.legend(loc="lower left", fontsize=7)
        return place.render(figure)


def draw_videos(videos: Mapping[str, Mapping[str, Mapping[str, Any]]], place: Place) -> str:
    """Draw the CCC of every video, sorted, a panel per dimension and a line per model.

    Args:
        videos: model to video to its scores (see `scoring.score_videos`).
    """
    with make_figure(1, 2, height=3.2) as (figure, axes):
        for panel, dimension in zip(axes[0], DIMENSIONS, strict=True):
            for model, scores in videos.items():
                named = sorted((e[dimension], video) for video, e in scores.items() if e[dimension] is not None)
                ccc = [value for value, _ in named]
                places = np.arange(1, len(ccc) + 1)
                panel.plot(
                    places, ccc, "o-", color=colour_of(model), markersize=3, linewidth=0.8, label=title_of(model)
                )
                tell_line(panel, places, ccc, [f"{title_of(model)}, {video}: {value:.3f}" for value, video in named])
            panel.axhline(0, color=OTHER_COLOUR, linewidth=0.6)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set(ylim=(-1.05, 1.05), xlabel="video, from worst to best", title=f"CCC of {dimension}")
            panel.legend(loc="lower right", fontsize=7)
        return place.render(figure)


def draw_curves(
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
    place: Place,
    others: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]] | None = None,
    *,
    chosen_on: str = "validation",
) -> str:
    """Draw loss and CCC over the epochs, a column per network; the chosen epoch is marked.

    Args:
        curves: network to the lines of its metrics.jsonl.
        others: network to the lines of its other seeds, drawn faintly: loss and total CCC.
        place: the plot's place in the page.
        chosen_on: the clips on which the CCC was computed, for the title.
    """
    with make_figure(2, len(curves), height=4.6, share_y=False) as (figure, axes):
        for column, (network, lines) in enumerate(curves.items()):
            epochs = [line["epoch"] for line in lines]
            loss, ccc = axes[0][column], axes[1][column]
            for other in (others or {}).get(network, []):
                for panel, key in ((loss, "loss"), (ccc, "total_ccc")):
                    places = [line["epoch"] for line in other]
                    panel.plot(places, as_numbers(line[key] for line in other), color=TRUTH_COLOUR, linewidth=0.8)
            loss.plot(epochs, [line["loss"] for line in lines], ".-", color=colour_of(network))
            told = [f"{title_of(network)}, epoch {line['epoch']}: loss {line['loss']:.4g}" for line in lines]
            tell_line(loss, epochs, [line["loss"] for line in lines], told)
            loss.set(title=f"{title_of(network)}, loss", xlabel="epoch")
            for name, style in (("arousal", "--"), ("valence", ":"), ("total", "-")):
                key = "total_ccc" if name == "total" else f"ccc_{name}"
                numbers = as_numbers(line[key] for line in lines)
                ccc.plot(epochs, numbers, style, color=colour_of(network), label=name)
                told = [
                    f"{title_of(network)}, epoch {epoch}: CCC, {name}, {number:.3f}"
                    for epoch, number in zip(epochs, numbers, strict=True)
                ]
                tell_line(ccc, epochs, numbers, told)
            best = [line["epoch"] for line in lines if line["is_best"]][-1:]
            for panel in (loss, ccc):
                panel.xaxis.set_major_locator(MaxNLocator(integer=True))
                for epoch in best:
                    panel.axvline(epoch, color=OTHER_COLOUR, linewidth=0.8, linestyle="--")
            ccc.set(title=f"{chosen_on} CCC", xlabel="epoch")
            ccc.legend(fontsize=7)
        return place.render(figure)


def draw_history(
    series: Mapping[str, Mapping[str, Sequence[tuple[int, Mapping[str, float | None]]]]],
    num_reports: int,
    place: Place,
) -> str:
    """Draw the total CCC from report to report with its intervals, a panel per split.

    Args:
        series: split to model to a list of pairs: the report's number, counted from 1, and its numbers `total`,
            `total_low` and `total_high`.
        num_reports: number of reports.
        place: the plot's place in the page.
    """
    with make_figure(1, len(series), height=3.4) as (figure, axes):
        for panel, (split, models) in zip(axes[0], series.items(), strict=True):
            for model, points in models.items():
                places = [place for place, _ in points]
                total, low, high = (as_numbers(n[f"total{end}"] for _, n in points) for end in ("", "_low", "_high"))
                panel.plot(places, total, "o-", color=colour_of(model), markersize=4, label=title_of(model))
                panel.vlines(places, low, high, color=colour_of(model), linewidth=0.8)
                told = [f"{title_of(model)}, report {n}: {value:.3f}" for n, value in zip(places, total, strict=True)]
                tell_line(panel, places, total, told)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set(xlim=(0.5, num_reports + 0.5), xlabel="report, the oldest first", title=f"total CCC on {split}")
            panel.legend(fontsize=7)
        return place.render(figure)


def draw_errors(points: Mapping[str, Points], place: Place) -> str:
    """Draw the error against the share of frames with a face, and against length; a line joins the bins' medians."""
    with make_figure(2, len(points), height=4.8) as (figure, axes):
        for column, (model, found) in enumerate(points.items()):
            for row, (values, what) in enumerate(
                ((found.face_shares, "share of frames with a face"), (found.seconds, "length, s"))
            ):
                panel, known = axes[row][column], np.isfinite(values)
                draw_dots(panel, values[known], found.errors[known], colour_of(model))
                tell_dots(panel, found, values, found.errors, colour_of(model), place)
                middles, medians = bin_medians(values[known], found.errors[known])
                panel.plot(middles, medians, "-", color="black", linewidth=1.2)
                panel.set(xlabel=what, ylim=(0, None), title=title_of(model) if row == 0 else "")
                panel.set_ylabel("error" if column == 0 else "")
        return place.render(figure)


def draw_over_time(seconds: np.ndarray, values: np.ndarray) -> Figure:
    """Draw arousal and valence along a video.

    Args:
        seconds: (W,) centres of the windows.
        values: (W, 2) arousal and valence, NaN where no network had an input.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3), layout="constrained")
        panel = figure.subplots()
        for i, dimension in enumerate(DIMENSIONS):
            panel.plot(seconds, values[:, i], ".-", color=list(COLOURS.values())[i], label=dimension)
        panel.axhline(0, color=OTHER_COLOUR, linewidth=0.6)
        panel.set(ylim=(-1.05, 1.05), xlabel="time, s")
        panel.legend(loc="upper right")
    return figure

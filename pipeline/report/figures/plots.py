"""The report's plots, each as SVG inside of the page: nothing is fetched, and a point says which clip it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.dataset.utterances import utterance_name
from pipeline.report.figures.inline_svg import Told, as_urls, render_inline
from pipeline.report.rows import DetailRow
from pipeline.report.scoring import DIMENSIONS
from pipeline.report.tables import title_of

#: Colours that remain apart for readers who do not see all of them (Okabe and Ito).
COLOURS = {"anet": "#0072b2", "vnet": "#d55e00", "joint": "#009e73"}
OTHER_COLOUR = "#6b6b6b"
TRUTH_COLOUR = "#b5b5b5"
#: Above this many points they are drawn as pixels: an SVG of each would be megabytes.
MOST_VECTOR_POINTS = 400
#: So many points, the farthest from the truth, say which clip they are; over pixels they are drawn once more.
MOST_TOLD_POINTS = 150
MOST_BINS = 8
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "valar",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "savefig.dpi": 130,
}

#: The page's ground shows through; only legends cover what is below.
IN_PAGE: Any = {"figure.facecolor": "none", "axes.facecolor": "none", "legend.facecolor": "white"}


@dataclass(frozen=True)
class Place:
    """Where a plot stands in a page.

    Attributes:
        name: no other plot of the page has it.
        label: what it shows, for those who do not see it.
        link: an utterance's name to the address of its page, "" for none.
    """

    name: str
    label: str
    link: Callable[[str], str] = lambda name: ""

    def render(self, figure: Figure) -> str:
        """Give the figure as an element of the page."""
        return render_inline(figure, self.name, self.label)


@dataclass(frozen=True)
class Points:
    """What a model said of the labelled clips it could see.

    Attributes:
        names: N names of utterances.
        truth: (N, 2) arousal and valence.
        values: (N, 2), the model's.
        seconds: (N,) lengths, NaN where not known.
        face_shares: (N,) shares of frames with a face, NaN where not known.
    """

    names: tuple[str, ...]
    truth: np.ndarray
    values: np.ndarray
    seconds: np.ndarray
    face_shares: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Distances between prediction and truth in the valence-arousal plane, (N,)."""
        return np.linalg.norm(self.values - self.truth, axis=1)

    def tell(self, link: Callable[[str], str]) -> list[Told]:
        """Give what each point says: its clip, what was predicted and what is true, arousal before valence."""
        return [
            Told(f"{name}: predicted {a:.2f} / {v:.2f}, true {true_a:.2f} / {true_v:.2f}", link(name))
            for name, (a, v), (true_a, true_v) in zip(self.names, self.values, self.truth, strict=True)
        ]


def collect_points(rows: Iterable[DetailRow]) -> Points:
    """Choose the rows that are seen and labelled."""
    chosen = [row for row in rows if row.is_seen and row.truth is not None]
    return Points(
        names=tuple(utterance_name(row.video, row.utterance) for row in chosen),
        truth=np.array([row.truth for row in chosen], float).reshape(-1, 2),
        values=np.array([row.values for row in chosen], float).reshape(-1, 2),
        seconds=np.array([row.seconds for row in chosen], float),
        face_shares=np.array([row.face_share for row in chosen], float),
    )


def draw_scatter(points: Mapping[str, Points], place: Place) -> str:
    """Draw prediction against truth: a row per dimension, a column per model."""
    limits = [_limits(array[:, row] for p in points.values() for array in (p.truth, p.values)) for row in (0, 1)]
    with _figure(2, len(points), height=6.2) as (figure, axes):
        for column, (model, found) in enumerate(points.items()):
            for row, dimension in enumerate(DIMENSIONS):
                panel, (low, high) = axes[row][column], limits[row]
                panel.plot([low, high], [low, high], color=OTHER_COLOUR, linewidth=0.8, linestyle="--")
                _dots(panel, found.truth[:, row], found.values[:, row], colour_of(model))
                _tell_dots(panel, found, found.truth[:, row], found.values[:, row], colour_of(model), place)
                panel.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=f"true {dimension}")
                panel.set_ylabel("predicted" if column == 0 else "")
                panel.set_title(f"{title_of(model)}, {dimension}")
        return place.render(figure)


def draw_plane(points: Mapping[str, Points], place: Place) -> str:
    """Draw where truth and predictions lie in the valence-arousal plane, a panel per model."""
    low, high = _limits(array for found in points.values() for array in (found.truth, found.values))
    with _figure(1, len(points), height=3.9) as (figure, axes):
        for panel, (model, found) in zip(axes[0], points.items(), strict=True):
            _dots(panel, found.truth[:, 1], found.truth[:, 0], TRUTH_COLOUR, label="truth")
            _dots(panel, found.values[:, 1], found.values[:, 0], colour_of(model), label="prediction")
            _tell_dots(panel, found, found.values[:, 1], found.values[:, 0], colour_of(model), place)
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
    with _figure(1, 2, height=3.2) as (figure, axes):
        for panel, dimension in zip(axes[0], DIMENSIONS, strict=True):
            for model, scores in videos.items():
                named = sorted((e[dimension], video) for video, e in scores.items() if e[dimension] is not None)
                ccc = [value for value, _ in named]
                places = np.arange(1, len(ccc) + 1)
                panel.plot(
                    places, ccc, "o-", color=colour_of(model), markersize=3, linewidth=0.8, label=title_of(model)
                )
                _tell_line(panel, places, ccc, [f"{title_of(model)}, {video}: {value:.3f}" for value, video in named])
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
        others: network to those of its other seeds, drawn faintly; of the CCC only the total.
        chosen_on: what the CCC is of.
    """
    with _figure(2, len(curves), height=4.6, share_y=False) as (figure, axes):
        for column, (network, lines) in enumerate(curves.items()):
            epochs = [line["epoch"] for line in lines]
            loss, ccc = axes[0][column], axes[1][column]
            for other in (others or {}).get(network, []):
                for panel, key in ((loss, "loss"), (ccc, "total_ccc")):
                    places = [line["epoch"] for line in other]
                    panel.plot(places, _numbers(line[key] for line in other), color=TRUTH_COLOUR, linewidth=0.8)
            loss.plot(epochs, [line["loss"] for line in lines], ".-", color=colour_of(network))
            told = [f"{title_of(network)}, epoch {line['epoch']}: loss {line['loss']:.4g}" for line in lines]
            _tell_line(loss, epochs, [line["loss"] for line in lines], told)
            loss.set(title=f"{title_of(network)}, loss", xlabel="epoch")
            for name, style in (("arousal", "--"), ("valence", ":"), ("total", "-")):
                key = "total_ccc" if name == "total" else f"ccc_{name}"
                numbers = _numbers(line[key] for line in lines)
                ccc.plot(epochs, numbers, style, color=colour_of(network), label=name)
                told = [
                    f"{title_of(network)}, epoch {epoch}: CCC, {name}, {number:.3f}"
                    for epoch, number in zip(epochs, numbers, strict=True)
                ]
                _tell_line(ccc, epochs, numbers, told)
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
        series: split to model to the number of each report, counted from 1, with its `total` and the interval's ends.
        num_reports: how many there are.
    """
    with _figure(1, len(series), height=3.4) as (figure, axes):
        for panel, (split, models) in zip(axes[0], series.items(), strict=True):
            for model, points in models.items():
                places = [place for place, _ in points]
                total, low, high = (_numbers(n[f"total{end}"] for _, n in points) for end in ("", "_low", "_high"))
                panel.plot(places, total, "o-", color=colour_of(model), markersize=4, label=title_of(model))
                panel.vlines(places, low, high, color=colour_of(model), linewidth=0.8)
                told = [f"{title_of(model)}, report {n}: {value:.3f}" for n, value in zip(places, total, strict=True)]
                _tell_line(panel, places, total, told)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set(xlim=(0.5, num_reports + 0.5), xlabel="report, the oldest first", title=f"total CCC on {split}")
            panel.legend(fontsize=7)
        return place.render(figure)


def draw_errors(points: Mapping[str, Points], place: Place) -> str:
    """Draw the error against share of frames with a face and against length; a line joins the medians of bins."""
    with _figure(2, len(points), height=4.8) as (figure, axes):
        for column, (model, found) in enumerate(points.items()):
            for row, (values, what) in enumerate(
                ((found.face_shares, "share of frames with a face"), (found.seconds, "length, s"))
            ):
                panel, known = axes[row][column], np.isfinite(values)
                _dots(panel, values[known], found.errors[known], colour_of(model))
                _tell_dots(panel, found, values, found.errors, colour_of(model), place)
                middles, medians = _bin_medians(values[known], found.errors[known])
                panel.plot(middles, medians, "-", color="black", linewidth=1.2)
                panel.set(xlabel=what, ylim=(0, None), title=title_of(model) if row == 0 else "")
                panel.set_ylabel("error" if column == 0 else "")
        return place.render(figure)


def draw_over_time(seconds: np.ndarray, values: np.ndarray) -> Figure:
    """Draw arousal and valence along a video.

    Args:
        seconds: (W,) centres of the windows.
        values: (W, 2) arousal and valence, NaN where nothing could be seen.
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


def save_figure(figure: Figure, file: Any, *, kind: str = "svg") -> None:
    """Write a figure as SVG or PNG, the same bytes for the same figure."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)


def colour_of(model: str) -> str:
    """Return a model's colour."""
    return COLOURS.get(model, OTHER_COLOUR)


@contextmanager
def _figure(
    rows: int, columns: int, *, height: float, share_y: bool = True
) -> Iterator[tuple[Figure, list[list[Axes]]]]:
    # Figures of their own, not pyplot's: nothing global is touched and no window asked for.
    with matplotlib.rc_context(STYLE | IN_PAGE):
        figure = Figure(figsize=(max(3.2 * columns, 9.6), height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if share_y else False)
        yield figure, axes.tolist()


def _dots(panel: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str | None = None) -> None:
    many = len(x) > MOST_VECTOR_POINTS
    panel.scatter(
        x, y, s=6 if many else 14, color=colour, alpha=0.6, linewidths=0, rasterized=many, label=label, zorder=2
    )


def _tell_dots(panel: Axes, found: Points, x: np.ndarray, y: np.ndarray, colour: str, place: Place) -> None:
    """Let points say which clip they are; where there are many, those farthest from the truth."""
    many = len(x) > MOST_VECTOR_POINTS
    chosen = np.sort(np.argsort(-found.errors, kind="stable")[:MOST_TOLD_POINTS])
    chosen = chosen[np.isfinite(x[chosen]) & np.isfinite(y[chosen])]
    told = found.tell(place.link)
    panel.scatter(
        x[chosen],
        y[chosen],
        s=20,
        color=colour,
        alpha=0.6 if many else 0.0,
        linewidths=0,
        clip_on=False,
        zorder=3,
        urls=as_urls([told[i] for i in chosen]),
    )


def _tell_line(panel: Axes, x: Sequence[float] | np.ndarray, y: Sequence[float], told: Sequence[str]) -> None:
    """Let the points of a line say what they are."""
    known = [i for i, value in enumerate(y) if np.isfinite(value)]
    panel.scatter(
        [x[i] for i in known],
        [y[i] for i in known],
        s=40,
        color="black",
        alpha=0.0,
        linewidths=0,
        clip_on=False,
        zorder=3,
        urls=as_urls([Told(told[i]) for i in known]),
    )


def _limits(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
    """Return limits that hold all values, a little wider, and at least -0.1 to 1."""
    values = np.concatenate([array.ravel() for array in arrays])
    return min(float(values.min(initial=0)), -0.05) - 0.05, max(float(values.max(initial=1)), 0.95) + 0.05


def _bin_medians(x: np.ndarray, y: np.ndarray) -> tuple[list[float], list[float]]:
    """Return median x and median y of bins of about equal numbers of points."""
    bins = min(MOST_BINS, len(x) // 5)
    parts = np.array_split(np.argsort(x, kind="stable"), bins) if bins else []
    return [float(np.median(x[part])) for part in parts], [float(np.median(y[part])) for part in parts]


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]

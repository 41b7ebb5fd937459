"""Tools for the report's plots: style and colours, panels, and points that show which clip they are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.dataset.utterances import utterance_name
from pipeline.report.figures.inline_svg import Told, as_urls, render_inline
from pipeline.report.rows import DetailRow

#: Colours that colour-blind readers can tell apart (Okabe and Ito).
COLOURS = {"anet": "#0072b2", "vnet": "#d55e00", "joint": "#009e73"}
OTHER_COLOUR = "#6b6b6b"
TRUTH_COLOUR = "#b5b5b5"
#: More points than this are drawn as pixels: as SVG elements they would take megabytes.
MOST_VECTOR_POINTS = 400
#: The number of points, those farthest from the truth, that show which clip they are. They are drawn over the pixels.
MOST_TOLD_POINTS = 150
MOST_BINS = 8
#: Inches around a figure's panels and between them, for titles, axis labels and tick labels. They are set by hand,
#: because matplotlib's automatic layout takes as long as the drawing itself.
LEFT, RIGHT, TOP, BOTTOM = 0.62, 0.08, 0.3, 0.46
BETWEEN_COLUMNS, BETWEEN_COLUMNS_WITH_NUMBERS, BETWEEN_ROWS = 0.2, 0.55, 0.8
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

#: Transparent backgrounds, so that the page's own shows; only legends have a white one.
IN_PAGE: Any = {"figure.facecolor": "none", "axes.facecolor": "none", "legend.facecolor": "white"}


@dataclass(frozen=True)
class Place:
    """A plot's place in a page.

    Attributes:
        name: unique among the page's plots.
        label: a description of the plot, for readers who cannot see it.
        link: gives the address of an utterance's page by its name, "" for none.
    """

    name: str
    label: str
    link: Callable[[str], str] = lambda name: ""

    def render(self, figure: Figure) -> str:
        """Give the figure as an element of the page."""
        return render_inline(figure, self.name, self.label)


@dataclass(frozen=True)
class Points:
    """A model's predictions of the labelled clips for which it had an input.

    Attributes:
        names: N names of utterances.
        truth: (N, 2) arousal and valence.
        values: (N, 2), the model's predictions.
        seconds: (N,) lengths in seconds, NaN where not known.
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
        """Give the title and link of each point: its clip, predicted and true arousal and valence."""
        return [
            Told(f"{name}: predicted {a:.2f} / {v:.2f}, true {true_a:.2f} / {true_v:.2f}", link(name))
            for name, (a, v), (true_a, true_v) in zip(self.names, self.values, self.truth, strict=True)
        ]


def collect_points(rows: Iterable[DetailRow]) -> Points:
    """Choose the rows with a label whose model had an input."""
    chosen = [row for row in rows if row.is_seen and row.truth is not None]
    return Points(
        names=tuple(utterance_name(row.video, row.utterance) for row in chosen),
        truth=np.array([row.truth for row in chosen], float).reshape(-1, 2),
        values=np.array([row.values for row in chosen], float).reshape(-1, 2),
        seconds=np.array([row.seconds for row in chosen], float),
        face_shares=np.array([row.face_share for row in chosen], float),
    )


def save_figure(figure: Figure, file: Any, *, kind: str = "svg") -> None:
    """Write a figure as SVG or PNG; the same figure gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)


def colour_of(model: str) -> str:
    """Return a model's colour."""
    return COLOURS.get(model, OTHER_COLOUR)


@contextmanager
def make_figure(
    rows: int, columns: int, *, height: float, share_y: bool = True
) -> Iterator[tuple[Figure, list[list[Axes]]]]:
    """Make a figure of panels; the page's style is set inside the `with` block.

    Args:
        rows: number of rows of panels.
        columns: number of columns of panels.
        height: the figure's height in inches.
        share_y: whether the panels of a row share their y axis.
    """
    # Figure instead of pyplot: it changes nothing global and needs no window.
    with matplotlib.rc_context(STYLE | IN_PAGE):
        width = max(3.2 * columns, 9.6)
        figure = Figure(figsize=(width, height))
        left, right, bottom, top = LEFT / width, 1 - RIGHT / width, BOTTOM / height, 1 - TOP / height
        between = BETWEEN_COLUMNS if share_y else BETWEEN_COLUMNS_WITH_NUMBERS
        grid = figure.add_gridspec(
            rows,
            columns,
            left=left,
            right=right,
            bottom=bottom,
            top=top,
            wspace=_as_share(between, columns, (right - left) * width),
            hspace=_as_share(BETWEEN_ROWS, rows, (top - bottom) * height),
        )
        yield figure, grid.subplots(squeeze=False, sharey="row" if share_y else False).tolist()


def _as_share(gap: float, panels: int, inches: float) -> float:
    """Convert a gap from inches to a share of one panel's length, the unit of matplotlib's wspace and hspace."""
    return gap * panels / (inches - gap * (panels - 1))


def draw_dots(panel: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str | None = None) -> None:
    """Draw points, as pixels where there are many."""
    many = len(x) > MOST_VECTOR_POINTS
    panel.scatter(
        x, y, s=6 if many else 14, color=colour, alpha=0.6, linewidths=0, rasterized=many, label=label, zorder=2
    )


def tell_dots(panel: Axes, found: Points, x: np.ndarray, y: np.ndarray, colour: str, place: Place) -> None:
    """Add titles and links that show which clip a point is, to at most `MOST_TOLD_POINTS` points."""
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


def tell_line(panel: Axes, x: Sequence[float] | np.ndarray, y: Sequence[float], told: Sequence[str]) -> None:
    """Add titles to the points of a line."""
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


def find_limits(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
    """Return an axis's limits: a little wider than all values, and at least -0.1 to 1.05."""
    values = np.concatenate([array.ravel() for array in arrays])
    return min(float(values.min(initial=0)), -0.05) - 0.05, max(float(values.max(initial=1)), 0.95) + 0.05


def bin_medians(x: np.ndarray, y: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the median x and the median y of bins with about equal numbers of points."""
    bins = min(MOST_BINS, len(x) // 5)
    parts = np.array_split(np.argsort(x, kind="stable"), bins) if bins else []
    return [float(np.median(x[part])) for part in parts], [float(np.median(y[part])) for part in parts]


def as_numbers(values: Iterable[float | None]) -> list[float]:
    """Replace None by NaN, which can be drawn."""
    return [np.nan if value is None else value for value in values]

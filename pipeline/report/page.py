"""`report.html`: the report for people, one file that needs no network. Renders a report in memory; reads no file."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.dataset.utterances import utterance_name
from pipeline.progress import format_seconds
from pipeline.report.clip_pages import MOST_WORST, find_shown_model, find_worst
from pipeline.report.figures import plots
from pipeline.report.figures.drawing import Place, collect_points
from pipeline.report.report_files import Report
from pipeline.report.rows import DetailRow
from pipeline.report.scoring import DIMENSIONS, format_comparison, format_interval, format_number
from pipeline.report.tables import (
    CHOICE_TITLE,
    SOURCES,
    ResultRow,
    fold_title,
    is_free_of_choice,
    list_splits,
    make_choice_rows,
    make_fold_rows,
    make_rows,
    make_seed_rows,
    name_held_out,
    seed_title,
    title_of,
)
from store.pages_mark import page_number
from store.text import read_cell

TEMPLATES = Path(__file__).parent / "templates"
#: The number of rows shown of a long list; the files beside the page have all rows.
MOST_MISSING = 300
USABLE = ("ok", "source_missing")
#: The descriptions of a split's plots.
PICTURES = {
    "scatter": "Predicted against true arousal and valence on {split}, a column per model",
    "plane": "Truth and predictions on {split} in the valence-arousal plane, a panel per model",
    "videos": "CCC of each video of {split}, sorted",
    "errors": "Distance of prediction and truth on {split} against the share of frames with a face and against length",
}


def render_page(report: Report, *, has_pages: bool = False) -> str:
    """Compose the page.

    Args:
        report: its content has `coverage`, `curves` and `changed` where they are known, and its files have ledger.csv.
        has_pages: whether the report's folder has a link `browse` to the clips' pages.

    Returns:
        HTML. Every text of the data is escaped.
    """
    content = report.content
    environment = make_environment()
    return environment.get_template("report.html.j2").render(
        notes=content["notes"],
        data=content.get("data", ""),
        headlines=_make_headlines(content),
        splits=[_describe_split(report, split, has_pages=has_pages) for split in list_splits(content)],
        curves=_draw_curves(content),
        is_free_of_choice=is_free_of_choice(content),
        chosen_on=name_held_out(content) if is_free_of_choice(content) else "the validation split",
        sources=SOURCES,
        choices=make_choice_rows(content),
        choice_title=CHOICE_TITLE,
        seeds=make_seed_rows(content),
        seed_title=seed_title(content) if "ensemble" in content else "",
        first_seed=content["ensemble"]["seeds"][0] if "ensemble" in content else None,
        folds=make_fold_rows(content),
        fold_title=fold_title(content) if "cross_validation" in content else "",
        is_fold_free=content.get("cross_validation", {}).get("chosen_on") == "train",
        coverage=content.get("coverage", {}),
        missing=_list_missing(report.files.get("ledger.csv", "")),
        most_missing=MOST_MISSING,
        provenance=content["provenance"],
        changed=content.get("changed", {}),
        has_pages=has_pages,
    )


def make_environment() -> Environment:
    """Make the Jinja environment of the pages; it escapes every text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "seconds": format_seconds,
        "number": format_number,
        "title_of": title_of,
        "page_number": page_number,
    }
    return environment


def _make_headlines(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the totals that the page shows in large figures: of each model on each split but the training split."""
    splits = [split for split in list_splits(content) if split != "train"] or list_splits(content)
    found = []
    for split in splits:
        for model, entries in content["models"].items():
            entry = entries.get(split, {})
            if "total_ccc" in entry:
                quoted = [row for row in make_rows(content, split) if row.kind == "quoted"]
                paper = [row for row in quoted if row.name.startswith(title_of(model))]
                found.append(
                    {
                        "title": f"{title_of(model)} on {split}",
                        "value": format_number(entry["total_ccc"]),
                        "coverage": f"{entry['scored']} of {entry['listed']} scored",
                        "paper": format_number(paper[0].scores["total_ccc"]) if paper else "",
                    }
                )
    return found


def _draw_curves(content: Mapping[str, Any]) -> Markup | None:
    """Draw the learning curves; None where there are none."""
    curves = {network: lines for network, lines in content.get("curves", {}).items() if lines}
    chosen_on = "held-out" if is_free_of_choice(content) else "validation"
    place = Place("learning-curves", f"Loss and {chosen_on} CCC of each network over the epochs")
    others = content.get("ensemble", {}).get("curves")
    return Markup(plots.draw_curves(curves, place, others, chosen_on=chosen_on)) if curves else None


def _describe_split(report: Report, split: str, *, has_pages: bool) -> dict[str, Any]:
    """Return everything that the page shows of one split."""
    content = report.content
    models = {model: report.rows[model, split] for model in content["models"] if (model, split) in report.rows}
    points = {model: collect_points(rows) for model, rows in models.items()}
    points = {model: found for model, found in points.items() if len(found.truth)}
    videos = {model: content["models"][model][split].get("videos", {}) for model in points}
    best = find_shown_model(points)

    def place(name: str) -> Place:
        link = _link_page if has_pages else Place.link
        return Place(f"{name}-{split}", PICTURES[name].format(split=split), link)

    pictures = {"scatter": Markup(plots.draw_scatter(points, place("scatter")))} if points else {}
    if points and split != "train":
        pictures["plane"] = Markup(plots.draw_plane(points, place("plane")))
        pictures["videos"] = Markup(plots.draw_videos(videos, place("videos")))
        pictures["errors"] = Markup(plots.draw_errors(points, place("errors")))
    return {
        "name": split,
        "is_training": split == "train",
        "rows": [_describe_result(row) for row in make_rows(content, split, all_views=True)],
        "comparisons": [_describe_comparison(found) for found in content.get("comparisons", {}).get(split, [])],
        "pictures": pictures,
        "best": title_of(best) if best else None,
        "worst_videos": _find_worst_videos(videos[best]) if best else [],
        "worst": _find_worst(models[best]) if best else [],
    }


def _link_page(name: str) -> str:
    return f"browse/clips/{page_number(name)}.html"


def _describe_result(row: ResultRow) -> dict[str, Any]:
    """Return the texts of a row of the table of results."""
    name, arousal, valence, total, coverage = row.cells()
    described: dict[str, Any] = {"name": name, "kind": row.kind, "coverage": coverage, "more": None}
    if row.kind != "quoted" and "arousal" in row.scores:
        scores = row.scores
        total = format_interval(scores["total_ccc"], scores.get("total_ccc_low"), scores.get("total_ccc_high"))
        described["more"] = [
            " / ".join(format_number(scores[dimension][key], 3) for dimension in DIMENSIONS)
            for key in ("pearson", "mse", "ccc_per_video")
        ]
    return {**described, "cells": [arousal, valence, total]}


def _describe_comparison(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{title_of(found['one'])} minus {title_of(found['other'])}",
        "cells": [format_comparison(found[dimension]) for dimension in DIMENSIONS],
        "scored": found["scored"],
    }


def _find_worst_videos(videos: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the videos with the lowest sum of the CCC of both dimensions."""
    defined = [(name, entry) for name, entry in videos.items() if None not in (entry["arousal"], entry["valence"])]
    defined.sort(key=lambda pair: pair[1]["arousal"] + pair[1]["valence"])
    return [{"video": name, **entry} for name, entry in defined[:MOST_WORST]]


def _find_worst(rows: Iterable[DetailRow]) -> list[dict[str, Any]]:
    """Return the utterances whose prediction is farthest from the truth."""
    return [
        {"name": utterance_name(row.video, row.utterance), "row": row, "truth": row.truth, "error": error}
        for error, row in find_worst(rows)
    ]


def _list_missing(ledger: str) -> list[dict[str, str]]:
    """Return the ledger's rows whose sound or picture cannot be used, with the reasons."""
    reader = csv.DictReader(io.StringIO(ledger, newline=""))
    rows = ({name: read_cell(cell) for name, cell in row.items()} for row in reader)
    return [
        {**row, "reasons": "; ".join(dict.fromkeys(filter(None, (row["sound_message"], row["picture_message"]))))}
        for row in rows
        if not {row["sound"], row["picture"]} <= set(USABLE)
    ]

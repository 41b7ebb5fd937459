"""`history.html`: all reports of a folder of runs on one page that needs no network; rendering and updating it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.report.figures import plots
from pipeline.report.figures.drawing import Place
from pipeline.report.history.history import HISTORY, HistoryEntry, HistoryScore, collect_history, format_history
from pipeline.report.page import make_environment
from pipeline.report.scoring import format_interval
from store import files

PAGE = "history.html"

logger = logging.getLogger("valar")


def keep_history(root: Path) -> None:
    """Update `history.csv` and `history.html` of a folder of runs; an error is logged and does not stop the run."""
    try:
        _write(root)
    except Exception as error:  # old reports may contain anything, and the new report is written already
        logger.warning("%s could not be brought up to date: %s", root / HISTORY, error)


def _write(root: Path) -> None:
    entries = collect_history(root)
    files.write_text(root / HISTORY, format_history(entries))
    there = {entry.report for entry in entries if (root / "reports" / entry.report / "report.html").is_file()}
    files.write_text(root / PAGE, render_history(entries, there))


def render_history(entries: Sequence[HistoryEntry], there: Collection[str]) -> str:
    """Compose the page, the newest report first.

    Args:
        entries: the reports, the oldest first.
        there: names of the reports whose folders exist and can be linked.

    Returns:
        HTML. Every text of the data is escaped.
    """
    series = {split: _collect(entries, split) for split in ("validation", "test")}
    series = {split: models for split, models in series.items() if models}
    place = Place("history", "Total CCC of each model on validation and test, report by report")
    return (
        make_environment()
        .get_template("history.html.j2")
        .render(
            entries=[_describe(entry, entry.report in there) for entry in reversed(entries)],
            picture=Markup(plots.draw_history(series, len(entries), place)) if series and len(entries) > 1 else None,
        )
    )


def _collect(entries: Sequence[HistoryEntry], split: str) -> dict[str, list[tuple[int, Mapping[str, float | None]]]]:
    """Give each model's numbers on a split, each with the number of its report, counted from 1."""
    found: dict[str, list[tuple[int, Mapping[str, float | None]]]] = {}
    for number, entry in enumerate(entries, 1):
        for score in entry.scores:
            if score.split == split:
                found.setdefault(score.model, []).append((number, score.numbers))
    return found


def _describe(entry: HistoryEntry, is_there: bool) -> dict[str, Any]:
    shown = [score for score in entry.scores if score.split != "train"] or list(entry.scores)
    return {
        "written": entry.written,
        "report": entry.report,
        "is_there": is_there,
        "clips": entry.clips,
        "changed": entry.changed.split("; "),
        "scores": [
            {"model": score.model, "split": score.split, "scored": score.scored, "cells": _cells(score)}
            for score in shown
        ],
    }


def _cells(score: HistoryScore) -> list[str]:
    names = ("arousal", "valence", "total")
    return [format_interval(*(score.numbers[f"{name}{end}"] for end in ("", "_low", "_high"))) for name in names]

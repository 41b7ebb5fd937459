"""The table of CCC on the console, beside the paper's."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from pipeline.scoring import format_score

TITLES = {"anet": "ANet", "vnet": "VNet", "joint": "Joint"}
HEADER = ("", "arousal", "valence", "total", "scored/listed")


@dataclass(frozen=True)
class Published:
    """A result of others: model it stands beside, split, name, CCC of arousal, valence and their sum."""

    model: str
    split: str
    name: str
    arousal: float
    valence: float
    total: float


# Peng et al. 2018, Tables I-III (validation); the challenge's page (test), whose totals are sums made here.
PUBLISHED = (
    Published("anet", "validation", "audio baseline, RAVDESS (Barros & Wermter)", 0.08, 0.10, 0.18),
    Published("anet", "validation", "audio baseline, openSMILE", 0.15, 0.21, 0.36),
    Published("anet", "validation", "ANet, paper", 0.1879, 0.256, 0.4439),
    Published("vnet", "validation", "video baseline (Barros & Wermter)", 0.12, 0.23, 0.35),
    Published("vnet", "validation", "VNet, paper", 0.2798, 0.4688, 0.7486),
    Published("joint", "validation", "Joint, paper", 0.3036, 0.4796, 0.7832),
    Published("vnet", "test", "VNet, challenge's page", 0.2441, 0.4378, 0.6819),
    Published("joint", "test", "Joint, challenge's page", 0.2360, 0.4420, 0.6780),
)


def make_rows(models: Mapping[str, Mapping[str, Any]], split: str) -> list[tuple[str, ...]]:
    """Return the table's rows of a split: for each model what was published, then this run's scores.

    Args:
        models: report.json's "models".
        split: train, validation or test.

    Returns:
        Rows of five texts, as HEADER. A split without labels has no scores but says how many are listed.
    """
    rows: list[tuple[str, ...]] = []
    for model, splits in models.items():
        entry = splits.get(split)
        if entry is None:
            continue
        rows += [
            (p.name, f"{p.arousal:.4f}", f"{p.valence:.4f}", f"{p.total:.4f}", "")
            for p in PUBLISHED
            if (p.model, p.split) == (model, split)
        ]
        title = TITLES.get(model, model)
        views = [(f"{title}, this run", entry)]
        if entry["scored"] < entry["listed"] and "filled" in entry:
            views += [(f"{title}, seen by all models", entry["common"]), (f"{title}, rest filled", entry["filled"])]
        for name, scores in views:
            rows.append((name, *_cells(scores), f"{scores['scored']}/{scores['listed']}"))
    return rows


def format_tables(content: Mapping[str, Any]) -> str:
    """Return report.json's scores and notes as plain text, columns aligned."""
    lines = [f"! {note}" for note in content["notes"]]
    for split in _splits(content["models"]):
        rows = [HEADER, *make_rows(content["models"], split)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
        lines += ["", f"CCC on {split}"] if lines else [f"CCC on {split}"]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append(f"  {'  '.join(cells)}".rstrip())
    return "\n".join(lines)


def print_tables(content: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print report.json's scores: as tables with rules on a terminal, as plain text elsewhere."""
    out = sys.stdout if file is None else file
    if not out.isatty():
        print(format_tables(content), file=out)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out)
    for note in content["notes"]:
        console.print(Text(f"! {note}", style="bold yellow"))
    for split in _splits(content["models"]):
        table = Table(title=f"CCC on {split}", title_justify="left")
        for name in HEADER:
            table.add_column(name)
        for row in make_rows(content["models"], split):
            style = "bold" if row[-1] else "dim"
            table.add_row(*(Text(cell) for cell in row), style=style)
        console.print(table)


def _splits(models: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """Return the splits in the order in which the models have them."""
    return list(dict.fromkeys(split for splits in models.values() for split in splits))


def _cells(scores: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return arousal, valence and total as text."""
    if "arousal" not in scores:
        return "no labels", "no labels", ""
    total = scores["total_ccc"]
    arousal, valence = format_score(scores["arousal"]), format_score(scores["valence"])
    return arousal, valence, "undefined" if total is None else f"{total:.4f}"

"""Splits and labels of a run's clips, from the ledger that it leaves beside its reports."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from store.text import read_cell

#: Split of clips that were only predicted.
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Label:
    """What a run's CSV files said of one clip.

    Args:
        split: train, validation or test, unlabelled for what was only predicted, "" where it is not known.
        arousal: From -1 to 1, NaN where there is none.
        valence: Likewise.
    """

    split: str = ""
    arousal: float = math.nan
    valence: float = math.nan


def read_labels(ledger: Path) -> dict[str, Label]:
    """Read a run's ledger.csv: utterance to its split and labels; nothing where there is no such file."""
    if not ledger.is_file():
        return {}
    with ledger.open(newline="", encoding="utf-8") as file:
        return {
            read_cell(row["utterance"]): Label(row["split"], _number(row.get("arousal")), _number(row.get("valence")))
            for row in csv.DictReader(file)
        }


def _number(text: str | None) -> float:
    return float(text) if text else math.nan  # a ledger of an earlier release has no labels

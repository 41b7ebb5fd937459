"""Splits and labels of a run's clips, from the ledger that it leaves beside its reports."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from store.features import is_feature
from store.text import read_cell

#: Columns that a ledger has of its own, in their order; behind them come columns of the CSV files.
LEDGER_COLUMNS = (
    *("utterance", "split", "sound", "picture", "num_stft_frames", "num_faces", "sound_message", "picture_message"),
    *("shard", "source_sha256", "arousal", "valence", "override"),
)
#: Split of clips that were only predicted.
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Label:
    """What a run's CSV files said of one clip.

    Args:
        split: train, validation or test, unlabelled for what was only predicted, "" where it is not known.
        arousal: From -1 to 1, NaN where there is none.
        valence: From -1 to 1, NaN where there is none.
        more: Further columns of the CSV file, by name; empty cells are left out.
    """

    split: str = ""
    arousal: float = math.nan
    valence: float = math.nan
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        """Whether it has both labels."""
        return not math.isnan(self.arousal) and not math.isnan(self.valence)


def read_labels(ledger: Path) -> dict[str, Label]:
    """Read a run's ledger.csv: utterance to its split and labels; nothing where there is no such file."""
    if not ledger.is_file():
        return {}
    with ledger.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        kept = [column for column in reader.fieldnames or () if not _is_own(column)]
        return {
            read_cell(row["utterance"]): Label(
                row["split"],
                _number(row.get("arousal")),
                _number(row.get("valence")),
                {read_cell(column): read_cell(row[column]) for column in kept if row[column]},
            )
            for row in reader
        }


def _is_own(column: str) -> bool:
    """Tell whether a column is the ledger's; those of declared features are called `<stage>_status` and so on."""
    ends = (end for end in ("_status", "_num_rows", "_message") if column.endswith(end))
    return column in LEDGER_COLUMNS or any(is_feature(column.removesuffix(end)) for end in ends)


def _number(text: str | None) -> float:
    return float(text) if text else math.nan  # a ledger of an earlier release has no labels

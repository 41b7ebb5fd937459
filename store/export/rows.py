"""What the exports share: an utterance's rows, and splits and labels beside them."""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog import Clip
from store.labels import Label
from store.text import guard_cell

#: Utterance to its split and labels.
Labels = Mapping[str, Label]


def read_rows(clip: Clip, stage: str, dataset: str) -> np.ndarray | None:
    """Give an utterance's rows; None where there are none."""
    shard = clip.find_shard(stage)
    return None if shard is None or shard.fact(clip.name, "length") == 0 else shard.rows(clip.name, dataset)


def list_label_columns(labels: Labels) -> list[str]:
    """Give the names of what `label_cells` gives."""
    more = dict.fromkeys(column for label in labels.values() for column in label.more)
    return ["split", "arousal", "valence", *more]


def label_cells(label: Label, columns: Iterable[str]) -> list[Any]:
    """Give split, labels ("" where there is none) and the columns kept of one utterance."""
    known = {"split": label.split, "arousal": _number(label.arousal), "valence": _number(label.valence)}
    return [known.get(column, label.more.get(column, "")) for column in columns]


def _number(value: float) -> float | str:
    return "" if math.isnan(value) else value


def write_csv(path: Path, head: Iterable[str], rows: Iterable[list[Any]]) -> None:
    """Write a CSV file of which no cell is a formula."""
    with files.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([guard_cell(cell) for cell in row] for row in rows)


def write_labels(path: Path, labels: Labels, names: Iterable[str], keys: Mapping[str, str] | None = None) -> None:
    """Write `labels.csv`: utterance, where asked for the key by which the export knows it, split and labels."""
    columns = list_label_columns(labels)
    head = ["utterance", *(["key"] if keys is not None else []), *columns]
    rows = (
        [name, *([keys[name]] if keys is not None else []), *label_cells(labels.get(name, Label()), columns)]
        for name in names
    )
    write_csv(path, head, rows)

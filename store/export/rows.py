"""What the exports share: an utterance's rows, and splits and labels beside them."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.errors import StoreError
from store.features import find_width, is_feature
from store.labels import Label
from store.text import guard_cell

#: The stages whose rows are exported, beside declared features.
_EXPORTED = ("stft", "faces", "embeddings")
#: Utterance to its split and labels.
Labels = Mapping[str, Label]


def read_rows(clip: Clip, stage: str, dataset: str) -> np.ndarray | None:
    """Give an utterance's rows of a dataset; None if it has none."""
    shard = clip.find_shard(stage)
    return None if shard is None or shard.fact(clip.name, "length") == 0 else shard.rows(clip.name, dataset)


def count_lacking(store: FeatureStore) -> dict[str, int]:
    """Count the utterances without rows, for each exported stage that lacks some."""
    stages = [stage for stage in store.stages if stage in _EXPORTED or is_feature(stage)]
    found = Counter(stage for name in store for stage in stages if not _has_rows(store[name], stage))
    return {stage: found[stage] for stage in stages if found[stage]}


def _has_rows(clip: Clip, stage: str) -> bool:
    shard = clip.find_shard(stage)
    return shard is not None and shard.fact(clip.name, "length") > 0


def find_feature_width(store: FeatureStore, stage: str) -> int:
    """Give how many numbers a row of a declared feature has in all clips of a store; 0 where no clip has its stage.

    Raises:
        StoreError: Two runs have made it with different widths.
    """
    first: dict[int, str] = {}
    for name in store:
        shard = store[name].find_shard(stage)
        if shard is not None:
            first.setdefault(find_width(shard.schema), name)
    if len(first) > 1:
        (one, name), (other, second) = list(first.items())[:2]
        raise StoreError(
            f"{stage} has {one} numbers a row for {name} and {other} for {second}: two runs declare it differently; "
            "run `valar features` with the older run's settings, too, or give one of the two another name"
        )
    return next(iter(first), 0)


def list_label_columns(labels: Labels) -> list[str]:
    """Give the names of the columns that `label_cells` can give."""
    more = (column for label in labels.values() for column in label.more)
    return list(dict.fromkeys(["split", "arousal", "valence", *more]))


def label_cells(label: Label, columns: Iterable[str]) -> list[Any]:
    """Give an utterance's cells for these columns: split, labels and further columns; "" for a missing one."""
    known = {"split": label.split, "arousal": _number(label.arousal), "valence": _number(label.valence)}
    return [known.get(column, label.more.get(column, "")) for column in columns]


def _number(value: float) -> float | str:
    return "" if math.isnan(value) else value


def write_csv(path: Path, head: Iterable[str], rows: Iterable[list[Any]]) -> None:
    """Write a CSV file in which no cell is a formula."""
    with files.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([guard_cell(cell) for cell in row] for row in rows)


def write_labels(path: Path, labels: Labels, names: Iterable[str], keys: Mapping[str, str] | None = None) -> None:
    """Write `labels.csv`: utterance, its key in the export (if `keys` is given), split and labels."""
    columns = list_label_columns(labels)
    head = ["utterance", *(["key"] if keys is not None else []), *columns]
    rows = (
        [name, *([keys[name]] if keys is not None else []), *label_cells(labels.get(name, Label()), columns)]
        for name in names
    )
    write_csv(path, head, rows)

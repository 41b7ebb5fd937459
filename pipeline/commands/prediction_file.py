"""A file of predictions: reading it, joining it with the truth by name, and reporting what does not fit."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.csv_files import find_columns, read_rows
from pipeline.dataset.utterances import DatasetError, Utterance, utterance_name
from pipeline.report.scoring import DIMENSIONS
from store.text import read_cell

COLUMNS = ("video", "utterance", *DIMENSIONS)


@dataclass(frozen=True)
class Prediction:
    """A row of a file of predictions: its line, its name, and (arousal, valence), NaN where a cell is not a number."""

    line: int
    video: str
    utterance: str
    values: tuple[float, float]

    @property
    def name(self) -> str:
        """The utterance's name, "video/utterance" without the file's ending."""
        return utterance_name(self.video, self.utterance)


def read_predictions(path: Path, problems: list[str]) -> list[Prediction]:
    """Read a file of predictions; for rows without a name, sentences are added to `problems`.

    Raises:
        DatasetError: the file cannot be read, or a column is missing or occurs twice.

    """
    faults: list[str] = []
    rows = read_rows(path, faults)
    header = next(rows, None)
    if header is None:
        raise DatasetError(faults or [f"{path}: the file is empty; expected a header with {', '.join(COLUMNS)}"])
    columns = find_columns(path, header[1], required=COLUMNS, optional=(), problems=faults)
    if columns is None:
        raise DatasetError(faults)
    predictions = []
    for line, cells in rows:
        values = {name: cells[index] if index < len(cells) else "" for name, index in columns.items()}
        if not values["video"] or not values["utterance"]:
            problems.append(f"{path}:{line}: the row has no video or no utterance")
            continue
        arousal, valence = (_as_number(values[name]) for name in DIMENSIONS)
        predictions.append(
            Prediction(line, read_cell(values["video"]), read_cell(values["utterance"]), (arousal, valence))
        )
    if faults:
        raise DatasetError(faults)
    return predictions


def _group_by_name(predictions: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    by_name: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_name.setdefault(prediction.name, []).append(prediction)
    return by_name


def choose_scored(
    truth: Sequence[Utterance], predictions: Sequence[Prediction]
) -> list[tuple[Utterance, tuple[float, float]]]:
    """Return every labelled utterance with exactly one prediction of two finite numbers, with that prediction."""
    by_name = _group_by_name(predictions)
    return [
        (row, by_name[row.name][0].values)
        for row in truth
        if row.arousal is not None
        and len(by_name.get(row.name, [])) == 1
        and all(map(math.isfinite, by_name[row.name][0].values))
    ]


def find_problems(truth: Sequence[Utterance], predictions: Sequence[Prediction], source: str) -> list[str]:
    """Return a sentence for everything in the predictions that does not fit the truth."""
    place, by_name = {row.name: index for index, row in enumerate(truth)}, _group_by_name(predictions)
    problems = []
    latest = -1
    in_order = True
    for row in predictions:
        index = place.get(row.name)
        if index is None:
            problems.append(f"{source}:{row.line}: unknown utterance {row.video}/{row.utterance}, not in the truth")
            continue
        if index < latest and in_order:
            in_order = False
            problems.append(
                f"{source}:{row.line}: wrong order: {row.name} comes after {truth[latest].name}; the official script "
                "compares by position and would score it wrongly; here rows are joined by name"
            )
        latest = max(latest, index)
        listed = truth[index]
        if not _same_text((row.video, row.utterance), (listed.video, listed.utterance)):
            problems.append(f"{source}:{row.line}: {row.utterance} is written {listed.utterance} in the truth file")
        if not all(map(math.isfinite, row.values)):
            problems.append(f"{source}:{row.line}: {row.name} has a prediction that is not a finite number; not scored")
    for name, rows in by_name.items():
        if len(rows) > 1 and name in place:
            lines = ", ".join(str(row.line) for row in rows)
            problems.append(f"{source}: {name} occurs {len(rows)} times (lines {lines}); not scored")
    problems += [
        f"{source}: missing utterance {row.video}/{row.utterance} (truth line {row.line}); not scored"
        for row in truth
        if row.name not in by_name
    ]
    return problems


def _as_number(text: str) -> float:
    """Return a cell's number; NaN where it is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _same_text(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Tell whether names are equal in Unicode's composed form (NFC)."""
    return [unicodedata.normalize("NFC", part) for part in one] == [unicodedata.normalize("NFC", p) for p in other]

"""The challenge's score of a file of predictions; the `evaluate` command.

The official script compares row by row, so a file in another order gets a score that means nothing. Here rows are
joined by name, and whatever does not fit is told: such a file would not be scored as its author thinks.
"""

import argparse
import json
import math
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.csv_files import find_columns, read_rows
from pipeline.dataset import DatasetError, Utterance, read_dataset, utterance_name
from pipeline.scoring import DIMENSIONS, format_score, score_both, score_videos

HELP = "score a file of predictions as the OMG-Emotion challenge does"
COLUMNS = ("video", "utterance", *DIMENSIONS)
MOST_PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Prediction:
    """A row of a file of predictions: where it is, its name, and (arousal, valence), NaN for what is no number."""

    line: int
    video: str
    utterance: str
    values: tuple[float, float]

    @property
    def name(self) -> str:
        """The utterance's identity."""
        return utterance_name(self.video, self.utterance)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("truth", type=Path, help="CSV file with labels")
    parser.add_argument("predictions", type=Path, help="CSV file with video, utterance, arousal, valence")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Print the score; return 1 when something does not fit, else 0."""
    try:
        result = evaluate_files(arguments.truth, arguments.predictions)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(format_result(result))
    return 1 if result["problems"] else 0


def evaluate_files(truth_path: Path, predictions_path: Path) -> dict[str, Any]:
    """Score a file of predictions against a file of labels.

    Returns:
        What `evaluate_predictions` gives, with the two paths and the truth file's warnings.

    Raises:
        DatasetError: one of the files cannot be used at all, or the truth has no labels.

    """
    dataset = read_dataset({"truth": truth_path})
    labelled = [row for row in dataset.utterances if row.arousal is not None]
    if not labelled:
        raise DatasetError([f"{truth_path}: no labels in it; arousal and valence are needed to score"])
    problems: list[str] = []
    predictions = read_predictions(predictions_path, problems)
    found = evaluate_predictions(dataset.utterances, predictions, source=str(predictions_path))
    return {
        "truth": str(truth_path),
        "predictions": str(predictions_path),
        **found,
        "problems": problems + found["problems"],
        "warnings": list(dataset.warnings),
    }


def read_predictions(path: Path, problems: list[str]) -> list[Prediction]:
    """Read a file of predictions; rows that name nothing go to `problems`.

    Raises:
        DatasetError: the file cannot be read, or a column is missing or doubled.

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
            problems.append(f"{path}:{line}: the row names no video or no utterance")
            continue
        arousal, valence = (_as_number(values[name]) for name in DIMENSIONS)
        predictions.append(Prediction(line, values["video"], values["utterance"], (arousal, valence)))
    if faults:
        raise DatasetError(faults)
    return predictions


def evaluate_predictions(
    truth: Sequence[Utterance], predictions: Sequence[Prediction], *, source: str
) -> dict[str, Any]:
    """Join by name, tell what does not fit, and score the rest.

    Scored is every labelled utterance with exactly one prediction, of two finite numbers.

    Args:
        truth: the listed utterances, in order.
        predictions: rows in the order of their file.
        source: what to call that file in messages.

    Returns:
        Plain data: "listed", "scored", the scores (see `score_both`), "videos" (CCC of each), and "problems",
            sentences.
    """
    place = {row.name: index for index, row in enumerate(truth)}
    by_name: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_name.setdefault(prediction.name, []).append(prediction)
    problems = _find_problems(truth, predictions, by_name, place, source)
    scored = [
        (row, by_name[row.name][0].values)
        for row in truth
        if row.arousal is not None
        and len(by_name.get(row.name, [])) == 1
        and all(map(math.isfinite, by_name[row.name][0].values))
    ]
    labels = np.array([[row.arousal, row.valence] for row, _ in scored], dtype=np.float64).reshape(-1, 2)
    values = np.array([pair for _, pair in scored], dtype=np.float64).reshape(-1, 2)
    videos = [row.video for row, _ in scored]
    scores = score_both(labels, values, videos)
    return {"listed": len(truth), **scores, "videos": score_videos(labels, values, videos), "problems": problems}


def _find_problems(
    truth: Sequence[Utterance],
    predictions: Sequence[Prediction],
    by_name: dict[str, list[Prediction]],
    place: dict[str, int],
    source: str,
) -> list[str]:
    """Return a sentence for everything in the predictions that does not fit the truth."""
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
            problems.append(f"{source}:{row.line}: {row.name} has a prediction that is no finite number; not scored")
    for name, rows in by_name.items():
        if len(rows) > 1 and name in place:
            lines = ", ".join(str(row.line) for row in rows)
            problems.append(f"{source}: {name} is there {len(rows)} times (lines {lines}); not scored")
    problems += [
        f"{source}: missing utterance {row.video}/{row.utterance} (truth line {row.line}); not scored"
        for row in truth
        if row.name not in by_name
    ]
    return problems


def format_result(result: dict[str, Any]) -> str:
    """Return the evaluation as text."""
    share = result["scored"] / result["listed"] if result["listed"] else 0.0
    lines = [f"scored {result['scored']} of {result['listed']} listed utterances ({share:.1%})", ""]
    lines.append(f"{'':8}  {'CCC [95 % interval]':22}  {'Pearson':>9}  {'MSE':>9}  {'per video':>9}")
    for dimension in DIMENSIONS:
        score = result[dimension]
        cells = [_cell(score[key]) for key in ("pearson", "mse", "ccc_per_video")]
        lines.append(f"{dimension:8}  {format_score(score):22}  {cells[0]:>9}  {cells[1]:>9}  {cells[2]:>9}")
    lines.append(f"{'total':8}  {_cell(result['total_ccc'])}")
    problems = result["problems"]
    if problems:
        lines += ["", f"{len(problems)} problems:"]
        lines += [f"  {problem}" for problem in problems[:MOST_PROBLEMS_SHOWN]]
        if len(problems) > MOST_PROBLEMS_SHOWN:
            lines.append(f"  ... and {len(problems) - MOST_PROBLEMS_SHOWN} more (--json lists all)")
    if result.get("warnings"):
        lines += ["", f"{len(result['warnings'])} rows of the truth file have warnings (--json lists them)"]
    return "\n".join(lines)


def _as_number(text: str) -> float:
    """Return the number a cell holds; NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _same_text(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Compare names in composed form."""
    return [unicodedata.normalize("NFC", part) for part in one] == [unicodedata.normalize("NFC", p) for p in other]


def _cell(value: float | None) -> str:
    """Return a number with four digits."""
    return "undefined" if value is None else f"{value:.4f}"

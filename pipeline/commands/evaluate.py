"""The `evaluate` command: the challenge's score of a file of predictions.

The official script compares row by row, so a file in another order gets a score without meaning. Here rows are joined
by name, and everything that does not fit is reported: the official script would not score such a file as expected.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from pipeline.commands.evaluation_text import format_result, format_side_by_side
from pipeline.commands.label_range import add_label_range, read_label_range
from pipeline.commands.prediction_file import Prediction, choose_scored, find_problems, read_predictions
from pipeline.dataset.utterances import (
    USUAL_RANGE,
    Dataset,
    DatasetError,
    Utterance,
    read_dataset,
)
from pipeline.errors import UserError
from pipeline.report.scoring import compare_both, score_both, score_videos
from store.text import escape_json, escape_lines

HELP = "score files of predictions like the OMG-Emotion challenge"
Resample = Literal["recordings", "videos", "utterances"]
RESAMPLE: tuple[Resample, ...] = get_args(Resample)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("truth", type=Path, help="CSV file with labels")
    parser.add_argument(
        "predictions",
        type=Path,
        nargs="+",
        metavar="PREDICTIONS",
        help="CSV file with video, utterance, arousal, valence; several are compared",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--resample",
        choices=list(RESAMPLE),
        default="recordings",
        help="what intervals and tests draw: whole recordings (by link, otherwise by the video's name without _N), "
        "whole videos, or single utterances (intervals are then too narrow)",
    )
    parser.add_argument("--group", default="", metavar="COLUMN", help="column of TRUTH that tells recordings apart")
    add_label_range(parser, "the labels of TRUTH (predictions are always from -1 to 1)")


def run(arguments: argparse.Namespace) -> int:
    """Print the score; return 1 when a row does not fit, 2 when a file cannot be used, else 0."""
    try:
        how: dict[str, Any] = {
            "resample": arguments.resample,
            "group_column": arguments.group,
            "label_range": read_label_range(arguments),
        }
        if len(arguments.predictions) == 1:
            result = evaluate_files(arguments.truth, arguments.predictions[0], **how)
            text, problems = format_result(result, arguments.resample), result["problems"]
        else:
            result = evaluate_side_by_side(arguments.truth, arguments.predictions, **how)
            text = format_side_by_side(result, arguments.resample)
            problems = [problem for found in result["files"] for problem in found["problems"]]
    except UserError as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2
    as_json = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    print(escape_json(as_json) if arguments.json else escape_lines(text))
    return 1 if problems else 0


def evaluate_files(
    truth_path: Path,
    predictions_path: Path,
    *,
    resample: Resample = "recordings",
    group_column: str = "",
    label_range: tuple[float, float] = USUAL_RANGE,
) -> dict[str, Any]:
    """Score a file of predictions against a file of labels.

    Args:
        truth_path: CSV file with labels.
        predictions_path: CSV file with predictions.
        resample: the units that the intervals draw.
        group_column: column of the truth that tells recordings apart; see `group_utterances`.
        label_range: lower and upper end of the truth's labels; they are mapped to [-1, 1].

    Returns:
        The result of `evaluate_predictions`, with the two paths and the truth file's warnings.

    Raises:
        DatasetError: one of the files cannot be used at all, or the truth has no labels.

    """
    dataset = _read_truth(truth_path, group_column, label_range)
    units = _find_units(dataset, resample)
    return {"truth": str(truth_path), **_evaluate(dataset, predictions_path, units)[0]}


def evaluate_side_by_side(
    truth_path: Path,
    paths: Sequence[Path],
    *,
    resample: Resample = "recordings",
    group_column: str = "",
    label_range: tuple[float, float] = USUAL_RANGE,
) -> dict[str, Any]:
    """Score several files of predictions against one file of labels.

    Args:
        truth_path: CSV file with labels.
        paths: CSV files with predictions.
        resample: the units that intervals and tests draw.
        group_column: column of the truth that tells recordings apart; see `group_utterances`.
        label_range: lower and upper end of the truth's labels; they are mapped to [-1, 1].

    Returns:
        "truth"; "files", a result of `evaluate_files` for each file; and "common", which is about the utterances that
            are scored in all files: "scored", "files" (their scores) and "comparisons" (each later file minus the
            first, see `compare_both`).

    Raises:
        DatasetError: one of the files cannot be used at all, or the truth has no labels.

    """
    dataset = _read_truth(truth_path, group_column, label_range)
    units = _find_units(dataset, resample)
    files, scored = zip(*(_evaluate(dataset, path, units) for path in paths), strict=True)
    common = [row for row in dataset.utterances if all(row.name in values for values in scored)]
    videos, groups = [row.video for row in common], [units[row.name] for row in common]
    labels = np.array([[row.arousal, row.valence] for row in common], dtype=np.float64).reshape(-1, 2)
    values = [np.array([found[row.name] for row in common], dtype=np.float64).reshape(-1, 2) for found in scored]
    return {
        "truth": str(truth_path),
        "files": list(files),
        "common": {
            "scored": len(common),
            "files": [score_both(labels, found, videos, groups=groups) for found in values],
            "comparisons": [compare_both(labels, found, values[0], groups) for found in values[1:]],
        },
    }


def _read_truth(path: Path, group_column: str, label_range: tuple[float, float]) -> Dataset:
    dataset = read_dataset({"truth": path}, group_column=group_column, label_range=label_range)
    if all(row.arousal is None for row in dataset.utterances):
        raise DatasetError([f"{path}: there are no labels in it; a score needs arousal and valence"])
    return dataset


def _find_units(dataset: Dataset, resample: Resample) -> Mapping[str, str]:
    """Give for each utterance the name of its unit, which the bootstrap draws as a whole."""
    if resample == "recordings":
        return dataset.grouping.of
    return {row.name: row.video if resample == "videos" else row.name for row in dataset.utterances}


def _evaluate(
    dataset: Dataset, path: Path, units: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, tuple[float, float]]]:
    """Score one file; also give the scored predictions, by name."""
    problems: list[str] = []
    predictions = read_predictions(path, problems)
    found = evaluate_predictions(dataset.utterances, predictions, source=str(path), units=units)
    result = {
        "predictions": str(path),
        **found,
        "problems": problems + found["problems"],
        "warnings": list(dataset.warnings),
    }
    return result, {row.name: values for row, values in choose_scored(dataset.utterances, predictions)}


def evaluate_predictions(
    truth: Sequence[Utterance],
    predictions: Sequence[Prediction],
    *,
    source: str,
    units: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Join truth and predictions by name, score them, and list what does not fit.

    Every labelled utterance with exactly one prediction of two finite numbers is scored.

    Args:
        truth: the listed utterances, in order.
        predictions: rows in the order of their file.
        source: the file's name in messages.
        units: utterance to the unit in which the intervals draw it; by default its video.

    Returns:
        Plain data: "listed", "scored", the scores (see `score_both`), "videos" (CCC of each), and "problems", one
            sentence for each.
    """
    scored = choose_scored(truth, predictions)
    labels = np.array([[row.arousal, row.valence] for row, _ in scored], dtype=np.float64).reshape(-1, 2)
    values = np.array([pair for _, pair in scored], dtype=np.float64).reshape(-1, 2)
    videos = [row.video for row, _ in scored]
    groups = videos if units is None else [units[row.name] for row, _ in scored]
    return {
        "listed": len(truth),
        **score_both(labels, values, videos, groups=groups),
        "videos": score_videos(labels, values, videos),
        "problems": find_problems(truth, predictions, source),
    }

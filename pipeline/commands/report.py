"""`python -m pipeline report`: prints a report's tables, or compares two reports."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.dataset.utterances import utterance_name
from pipeline.errors import UserError
from pipeline.report.history.changes import Basis, find_data, find_settings, read_text
from pipeline.report.report_files import Report
from pipeline.report.rows import DetailRow, parse_details
from pipeline.report.scoring import DIMENSIONS, compare_both, format_comparison, format_number, format_score, score_both
from pipeline.report.tables import format_rows, print_tables, title_of
from pipeline.runs.outcome.report_json import REPORT_JSON, read_report_json
from pipeline.settings import config
from store.text import escape, escape_json, escape_lines, format_count

HELP = "show a report's tables, or compare two reports"
HEADER = ("", "arousal", "valence", "total", "scored")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, nargs="?", help="a report's folder (default: the newest one)")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A", "B"), help="two reports' folders")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print one report's tables or two reports' differences; return 2 when a report cannot be read."""
    try:
        if arguments.compare:
            found = compare_reports(*(read_report(folder) for folder in arguments.compare))
            names = [str(folder) for folder in arguments.compare]
            print(_as_json({"a": names[0], "b": names[1], **found}) if arguments.json else format_found(found, names))
            return 0
        config.load()
        newest = Path(config.run().root) / "latest"
        if arguments.folder is None and not newest.exists():
            raise UserError(f"{newest} does not exist: there is no report yet; `valar run` writes it, or name a folder")
        content = read_report(arguments.folder or newest).content
    except UserError as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2
    if arguments.json:
        print(_as_json(content))
    else:
        print_tables(content)
    return 0


def read_report(folder: Path) -> Report:
    """Read a report that `write_report` wrote.

    Raises:
        UserError: The folder has no report, or one that this release cannot read.
    """
    try:
        content = read_report_json(folder / REPORT_JSON)
        rows = {
            (model, split): parse_details(
                (folder / "predictions" / f"{model}-{split}.detail.csv").read_text(encoding="utf-8")
            )
            for kind in ("models", "baselines")
            for model, splits in content.get(kind, {}).items()
            for split in splits
        }
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename} does not exist; name a report's folder, such as runs/latest or one of runs/reports"
        ) from error
    except ValueError as error:
        raise UserError(f"{folder} cannot be read as a report: {error}") from error
    ledger = read_text(folder / "ledger.csv")
    return Report(content, {} if ledger is None else {"ledger.csv": ledger}, rows)


def compare_reports(one: Report, other: Report) -> dict[str, Any]:
    """Compare the predictions of two reports for the same utterances.

    Compared are the utterances that are in both with equal labels, and for which the model had an input in both.

    Returns:
        "results": for each split and model that both have "split", "model", "scored" (the number of compared
            utterances), "a" and "b" (scores on these) and "difference" (`compare_both`, b minus a);
            "changed": setting to its values in a and b;
            "data": phrases that say how clips, labels and the making of the features differ;
            "notes": the notes of each; "relabelled": the number of utterances with other labels in b.
    """
    results, relabelled = [], set()
    for (model, split), rows in one.rows.items():
        theirs = {utterance_name(row.video, row.utterance): row for row in other.rows.get((model, split), [])}
        pairs = [(row, theirs.get(utterance_name(row.video, row.utterance))) for row in rows]
        both = [(a, b) for a, b in pairs if b is not None and a.truth is not None and b.truth is not None]
        relabelled |= {utterance_name(a.video, a.utterance) for a, b in both if a.truth != b.truth}
        compared = [(a, b) for a, b in both if a.truth == b.truth and a.is_seen and b.is_seen]
        if theirs:
            results.append({"split": split, "model": model, **_compare_rows(compared)})
    bases = [Basis.of(report.content, report.files.get("ledger.csv")) for report in (one, other)]
    changed, data = find_settings(*bases), find_data(*bases)
    notes = [list(report.content["notes"]) for report in (one, other)]
    return {"results": results, "changed": changed, "data": data, "notes": notes, "relabelled": len(relabelled)}


def _compare_rows(pairs: list[tuple[DetailRow, DetailRow]]) -> dict[str, Any]:
    truth = np.array([a.truth for a, _ in pairs], np.float64).reshape(-1, 2)
    values = [np.array([pair[i].values for pair in pairs], np.float64).reshape(-1, 2) for i in (0, 1)]
    videos, groups = [a.video for a, _ in pairs], [a.recording or a.video for a, _ in pairs]
    return {
        "scored": len(pairs),
        "a": score_both(truth, values[0], videos, groups=groups),
        "b": score_both(truth, values[1], videos, groups=groups),
        "difference": compare_both(truth, values[1], values[0], groups),
    }


def format_found(found: Mapping[str, Any], names: list[str]) -> str:
    """Return two reports side by side as text."""
    lines = [f"A = {names[0]}", f"B = {names[1]}"]
    for letter, notes in zip("AB", found["notes"], strict=True):
        lines += [f"! {letter}: {note}" for note in notes]
    if found["relabelled"]:
        others = format_count(
            found["relabelled"], "utterance has other labels in B and is", "utterances have other labels in B and are"
        )
        lines.append(f"! {others} not compared")
    for split in dict.fromkeys(result["split"] for result in found["results"]):
        rows: list[tuple[str, ...]] = []
        for result in found["results"]:
            if result["split"] == split:
                rows += _make_rows(result)
        lines += ["", f"CCC on {split}", *format_rows(HEADER, rows)]
    lines += ["", "settings that differ (A, B)" if found["changed"] else "the settings are the same"]
    lines += [f"  {name}: {pair[0]}, {pair[1]}" for name, pair in found["changed"].items()]
    lines += ["", "clips and features that differ (A to B)" if found["data"] else "the clips and features are the same"]
    lines += [f"  {phrase}" for phrase in found["data"]]
    return "\n".join(map(escape, lines))


def _make_rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    title, scored = title_of(result["model"]), str(result["scored"])
    for letter in ("a", "b"):
        scores = result[letter]
        cells = [format_score(scores[dimension]) for dimension in DIMENSIONS]
        yield f"{title}, {letter.upper()}", *cells, format_number(scores["total_ccc"]), scored
    yield f"{title}, B - A", *(format_comparison(result["difference"][dimension]) for dimension in DIMENSIONS), "", ""


def _as_json(value: Mapping[str, Any]) -> str:
    return escape_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))

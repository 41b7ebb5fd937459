"""The history of all reports of a folder of runs: `history.csv` and `history.html`, which outlive the reports.

Both are written after each report. The lines of history.csv about earlier reports are kept; reports that are not in it
are read from their folders. From a damaged report, or one of an earlier release, the readable parts are used.
"""

import csv
import io
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.dataset.utterances import SPLITS
from pipeline.report.history.changes import Basis, describe_changes
from pipeline.report.rows import as_csv
from pipeline.runs.outcome.report_json import REPORT_JSON, read_report_json
from store.text import read_cell

HISTORY = "history.csv"
NUMBERS = tuple(f"{name}{end}" for name in ("arousal", "valence", "total") for end in ("", "_low", "_high"))
COLUMNS = (
    "written",
    "report",
    *(f"{split}_clips" for split in SPLITS),
    "changed",
    "model",
    "split",
    "scored",
    *NUMBERS,
)
FIRST = "the first report here"

logger = logging.getLogger("valar")


@dataclass(frozen=True)
class HistoryScore:
    """The scores of one model on one split.

    Attributes:
        model: anet, vnet or joint.
        split: train, validation or test.
        scored: number of scored utterances.
        numbers: CCC of arousal, of valence and their sum, each with the ends of its interval, by name (`NUMBERS`); None
            where a number is undefined.
    """

    model: str
    split: str
    scored: int
    numbers: Mapping[str, float | None]


@dataclass(frozen=True)
class HistoryEntry:
    """One report.

    Attributes:
        written: date and time, such as "2018-07-13 12:30".
        report: name of its folder.
        clips: split to the number of listed utterances.
        changed: what differs from the report before.
        scores: one for each model and split with labels.
    """

    written: str
    report: str
    clips: Mapping[str, int]
    changed: str
    scores: tuple[HistoryScore, ...]


def collect_history(root: Path) -> list[HistoryEntry]:
    """Collect the entries of all reports, the oldest first.

    Args:
        root: the folder of runs.
    """
    known = _read_known(root / HISTORY)
    found: list[HistoryEntry] = []
    folders = [path for path in (root / "reports").glob("*") if path.is_dir() and not path.name.startswith(".")]
    dated = sorted((_read_date(folder), _read_time(folder), folder) for folder in folders)
    gone = [entry for name, entry in known.items() if name not in {folder.name for folder in folders}]
    before: Path | None = None
    for written, _, folder in dated:
        entry = known.get(folder.name)
        if entry is None or entry.written != written or not entry.scores:
            entry = _read_entry(folder, written, before, bool(gone))
        before = folder if entry.scores else before
        found.append(entry)
    return sorted([*gone, *found], key=lambda entry: entry.written)


def _read_known(path: Path) -> dict[str, HistoryEntry]:
    try:
        return {entry.report: entry for entry in parse_history(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error) as error:
        logger.warning("%s cannot be read and is written again from the existing reports: %s", path, error)
        return {}


def _read_date(folder: Path) -> str:
    try:
        return str(read_report_json(folder / REPORT_JSON)["provenance"]["written"])
    except (OSError, ValueError, KeyError):
        return f"{datetime.fromtimestamp(_read_time(folder)):%Y-%m-%d %H:%M}"


def _read_time(folder: Path) -> float:
    path = folder / "report.json"
    return (path if path.exists() else folder).stat().st_mtime


def _read_entry(folder: Path, written: str, before: Path | None, others: bool) -> HistoryEntry:
    """Read a report's folder; the entry of a damaged one says that it cannot be read."""
    try:
        content = read_report_json(folder / REPORT_JSON)
        scores = tuple(_find_scores(content))
        changed = "not known, because the report before is gone" if others else FIRST
        if before is not None:
            changed = "; ".join(describe_changes(Basis.read(before), Basis.read(folder))) or "nothing"
        clips = {split: int(found["listed"]) for split, found in content.get("coverage", {}).items()}
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read for the history: %s", folder, error)
        return HistoryEntry(written, folder.name, {}, f"it cannot be read: {error}", ())
    return HistoryEntry(written, folder.name, clips, changed, scores)


def _find_scores(content: Mapping[str, Any]) -> Iterator[HistoryScore]:
    for model, splits in content["models"].items():
        for split, entry in splits.items():
            if "arousal" not in entry:
                continue
            numbers: dict[str, float | None] = {}
            for name in ("arousal", "valence"):
                numbers |= {f"{name}{end}": entry[name].get(f"ccc{end}") for end in ("", "_low", "_high")}
            numbers |= {f"total{end}": entry.get(f"total_ccc{end}") for end in ("", "_low", "_high")}
            numbers = {name: _as_number(numbers[name]) for name in NUMBERS}
            yield HistoryScore(str(model), str(split), int(entry["scored"]), numbers)


def _as_number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None


def format_history(entries: Iterable[HistoryEntry]) -> str:
    """Give the history as CSV: a row for each report, model and split."""
    rows: list[Sequence[str]] = [COLUMNS]
    for entry in entries:
        clips = [str(entry.clips.get(split, "")) for split in SPLITS]
        head = [entry.written, entry.report, *clips, entry.changed]
        for score in entry.scores:
            numbers = ["" if value is None else repr(round(value, 6)) for value in score.numbers.values()]
            rows.append([*head, score.model, score.split, str(score.scored), *numbers])
        if not entry.scores:
            rows.append([*head, *[""] * (3 + len(NUMBERS))])
    return as_csv(rows)


def parse_history(text: str) -> list[HistoryEntry]:
    """Read the text that `format_history` gave.

    Raises:
        ValueError: The text is not a history.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError("its columns are not those of a history")
    found: dict[str, HistoryEntry] = {}
    for cells in reader:
        if None in cells or None in cells.values():
            raise ValueError(f"line {reader.line_num} has another number of columns")
        row = {name: read_cell(cell) for name, cell in cells.items()}
        clips = {split: int(row[f"{split}_clips"]) for split in SPLITS if row[f"{split}_clips"]}
        entry = found.get(row["report"]) or HistoryEntry(row["written"], row["report"], clips, row["changed"], ())
        scores = entry.scores
        if row["model"]:
            numbers = {name: float(row[name]) if row[name] else None for name in NUMBERS}
            scores = (*scores, HistoryScore(row["model"], row["split"], int(row["scored"]), numbers))
        found[entry.report] = HistoryEntry(entry.written, entry.report, entry.clips, entry.changed, scores)
    return list(found.values())

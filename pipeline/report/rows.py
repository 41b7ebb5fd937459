"""The report's two files of one model and split: the challenge's file, and one with details of each row."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.training.combining import MEAN
from store.text import guard_cell, read_cell

#: Decimals of predictions in the files. Scores are computed from the rounded values, so they are those of the files.
DECIMALS = 6
COLUMNS = ("video", "utterance", "arousal", "valence")
DETAIL_COLUMNS = (
    *COLUMNS,
    *("rests_on", "sound", "picture", "true_arousal", "true_valence", "seconds", "face_share"),
    "recording",
)
#: Columns that files of earlier releases lack.
_LATER_COLUMNS = {"recording"}

_PLAIN_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class DetailRow:
    """One row of `<model>-<split>.detail.csv`.

    Attributes:
        video: the video as written in the CSV file.
        utterance: the utterance as written in the CSV file.
        values: predicted arousal and valence; the mean training labels where no network had an input.
        rests_on: the model that made the values, or "mean".
        sound: the status of its sound.
        picture: the status of its picture.
        truth: true arousal and valence; None where the utterance has none.
        seconds: the clip's length in seconds; None where it is not known.
        face_share: the share of its frames with the speaker's face; None where it is not known.
        recording: the recording that it is a part of; "" where that is not known.
    """

    video: str
    utterance: str
    values: tuple[float, float]
    rests_on: str
    sound: str
    picture: str
    truth: tuple[float, float] | None = None
    seconds: float | None = None
    face_share: float | None = None
    recording: str = ""

    @property
    def is_seen(self) -> bool:
        """Whether a model had an input, so that the values are not the mean training labels."""
        return self.rests_on != MEAN


def format_predictions(rows: Iterable[DetailRow]) -> str:
    """Return the text of the challenge's file."""
    return _as_text(
        [COLUMNS, *([*map(_guard_name, (row.video, row.utterance)), *_numbers(row.values)] for row in rows)]
    )


def format_details(rows: Iterable[DetailRow]) -> str:
    """Return the text of the file with details of each row."""
    return as_csv([DETAIL_COLUMNS, *(_detail_cells(row) for row in rows)])


def parse_details(text: str) -> list[DetailRow]:
    """Return the rows that `format_details` wrote.

    Raises:
        ValueError: A column is missing (a report of an earlier release), or a row is damaged.
    """
    try:
        return _parse_rows(text)
    except (csv.Error, TypeError, AttributeError) as error:  # a cell of any length, a row that is too short
        raise ValueError(f"it has a row that no report writes: {error}") from error


def _parse_rows(text: str) -> list[DetailRow]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in DETAIL_COLUMNS if name not in {*(reader.fieldnames or ()), *_LATER_COLUMNS}]
    if missing:
        raise ValueError(f"column {missing[0]} is missing; run FullRun again with this release")
    return [_parse_row(row) for row in reader]


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV text; cells that a spreadsheet would take for a formula are guarded."""
    return _as_text([guard_cell(cell) for cell in row] for row in rows)


def _as_text(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _guard_name(name: str) -> str:
    # The challenge's file has the names of the truth file. A name of letters, digits, `_`, `.` and `-`, such as
    # `-571d8cVauQ`, is no danger as a formula and stays unchanged.
    return name if _PLAIN_NAME.fullmatch(name) else guard_cell(name)


def _detail_cells(row: DetailRow) -> list[str]:
    truth = ["", ""] if row.truth is None else [repr(value) for value in row.truth]
    extra = ["" if value is None else f"{value:.4g}" for value in (row.seconds, row.face_share)]
    return [
        row.video,
        row.utterance,
        *_numbers(row.values),
        row.rests_on,
        row.sound,
        row.picture,
        *truth,
        *extra,
        row.recording,
    ]


def _numbers(values: tuple[float, float]) -> list[str]:
    return [f"{value:.{DECIMALS}f}" for value in values]


def _number(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{cell} is not a finite number")
    return value


def _parse_row(row: dict[str, str]) -> DetailRow:
    truth = None
    if row["true_arousal"]:
        truth = (_number(row["true_arousal"]), _number(row["true_valence"]))
    return DetailRow(
        video=read_cell(row["video"]),
        utterance=read_cell(row["utterance"]),
        values=(_number(row["arousal"]), _number(row["valence"])),
        rests_on=row["rests_on"],
        sound=row["sound"],
        picture=row["picture"],
        truth=truth,
        seconds=float(row["seconds"]) if row["seconds"] else None,
        face_share=float(row["face_share"]) if row["face_share"] else None,
        recording=row.get("recording") or "",
    )

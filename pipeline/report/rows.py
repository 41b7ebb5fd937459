"""The report's files of one model and split: the challenge's, and the one that says what each row rests on."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.training.combining import MEAN
from store.text import guard_cell, read_cell

DECIMALS = 6  # of a prediction in the files: below what float32 carries, and the scores are those of the files
COLUMNS = ("video", "utterance", "arousal", "valence")
DETAIL_COLUMNS = (
    *COLUMNS,
    *("rests_on", "sound", "picture", "true_arousal", "true_valence", "seconds", "face_share"),
    "recording",
)
#: What files of earlier releases lack.
_LATER_COLUMNS = {"recording"}

_PLAIN_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class DetailRow:
    """One row of `<model>-<split>.detail.csv`.

    Attributes:
        video: as in the truth file.
        utterance: as in the truth file.
        values: arousal and valence as submitted.
        rests_on: the network that made them, or "mean".
        sound: the ledger's status of its sound.
        picture: the ledger's status of its picture.
        truth: true arousal and valence; None where the utterance has none.
        seconds: length of the clip; None where it is not known.
        face_share: share of its frames with the speaker's face; None where it is not known.
        recording: what it is a part of; "" where that is not known.
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
        """Whether a network could see something of the clip."""
        return self.rests_on != MEAN


def format_predictions(rows: Iterable[DetailRow]) -> str:
    """Return the challenge's file."""
    return _as_text(
        [COLUMNS, *([*map(_guard_name, (row.video, row.utterance)), *_numbers(row.values)] for row in rows)]
    )


def format_details(rows: Iterable[DetailRow]) -> str:
    """Return the file that says what each row rests on."""
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
    """Return rows as CSV text, in which no cell is a formula to a spreadsheet."""
    return _as_text([guard_cell(cell) for cell in row] for row in rows)


def _as_text(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _guard_name(name: str) -> str:
    # The challenge's file has the truth file's names. One of letters, digits, `_`, `.` and `-` can compute nothing and
    # stays, such as a recording `-571d8cVauQ`.
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

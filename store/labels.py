"""Splits and labels of a run's clips, from the ledger that it leaves beside its reports."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from store.errors import StoreError
from store.features import is_feature
from store.json_files import check_text
from store.text import escape, read_cell

#: The ledger's own columns, in their order; columns of the CSV files follow them.
LEDGER_COLUMNS = (
    *("utterance", "split", "sound", "picture", "num_stft_frames", "num_faces", "sound_message", "picture_message"),
    *("shard", "source_sha256", "arousal", "valence", "override"),
)
#: Split of clips that were only predicted.
UNLABELLED = "unlabelled"
#: Bytes; the ledger of a million clips has a fifth of this.
_LARGEST_FILE = 1 << 30
_LONGEST_SPLIT = 100
#: Labels on another scale are converted to [-1, 1]; a rounding error of this size is accepted.
_ROUNDING = 1e-9
#: Key of the cells after the last column; no column can have this name.
_TOO_MANY = "\0"


@dataclass(frozen=True)
class Label:
    """What a run's CSV files said of one clip.

    Args:
        split: train, validation or test; unlabelled for a clip that was only predicted; "" if it is not known.
        arousal: From -1 to 1; NaN if there is none.
        valence: From -1 to 1; NaN if there is none.
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


def read_labels(ledger: Path, next_step: str = "remove it; the next run writes it again") -> dict[str, Label]:
    """Read a run's ledger.csv: utterance to its split and labels; empty if there is no such file.

    Args:
        ledger: The file.
        next_step: What the user can do about a damaged one; the end of the message.

    Raises:
        StoreError: It cannot be read, is not UTF-8, lacks a column, or has a label that is not a number from -1 to 1.
    """
    if not ledger.is_file():
        return {}
    try:
        if (size := ledger.stat().st_size) > _LARGEST_FILE:
            raise ValueError(f"it has {size} bytes; at most {_LARGEST_FILE} are read")
        with ledger.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet may have put a mark first
            return _parse(csv.DictReader(file, restkey=_TOO_MANY))
    except OSError as error:
        raise StoreError(f"{ledger} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{ledger} is damaged (its byte {error.start} is not UTF-8); {next_step}") from error
    except (ValueError, csv.Error) as error:
        raise StoreError(f"{ledger} is damaged ({error}); {next_step}") from error


def _parse(reader: "csv.DictReader[str]") -> dict[str, Label]:
    """Read all rows.

    Raises:
        ValueError: A row is not valid; the message says which.
        csv.Error: The file is not a CSV table.
    """
    columns = list(reader.fieldnames or ())
    for wanted in ("utterance", "split"):
        if columns.count(wanted) != 1:
            raise ValueError(f"it has {columns.count(wanted) or 'no'} columns called {wanted}; it must have one")
    kept = [column for column in columns if not _is_own(column)]
    found: dict[str, Label] = {}
    for row in reader:
        where = f"line {reader.line_num}"
        if _TOO_MANY in row or None in row.values():
            raise ValueError(f"{where} does not have {len(columns)} cells, as the first line has")
        name = check_text(read_cell(row["utterance"]), f"the utterance in {where}")
        if name in found:
            raise ValueError(f"{where} lists {escape(name):.200} a second time")
        found[name] = Label(
            check_text(read_cell(row["split"]), f"the split in {where}", _LONGEST_SPLIT),
            _read_number(row.get("arousal"), f"the arousal in {where}"),
            _read_number(row.get("valence"), f"the valence in {where}"),
            {read_cell(column): read_cell(row[column]) for column in kept if row[column]},
        )
    return found


def _is_own(column: str) -> bool:
    """Tell whether a column is the ledger's own; declared features have columns such as `<stage>_status`."""
    ends = (end for end in ("_status", "_num_rows", "_message") if column.endswith(end))
    return column in LEDGER_COLUMNS or any(is_feature(column.removesuffix(end)) for end in ends)


def _read_number(text: str | None, what: str) -> float:
    if not text:
        return math.nan  # a ledger of an earlier release has no labels
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= 1 + _ROUNDING:
        raise ValueError(f"{what} is {text!r:.100}; it must be a number from -1 to 1, or empty")
    return number

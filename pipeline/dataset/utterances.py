"""Utterances from CSV files.

The columns are OMG-Emotion's: `video` and `utterance` are required; `arousal` and `valence` come together or not at
all; other columns are kept unchanged for the ledger. A row with neither video nor utterance is left out with a
warning. A fault that would make a run's results wrong is an error; one message has all such errors.
"""

import functools
import math
import operator
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.dataset.csv_files import find_columns, read_rows
from pipeline.dataset.groups import Grouping, group_utterances
from pipeline.dataset.names import compose, strip_ending
from pipeline.errors import UserError
from store.text import escape, format_count

REQUIRED_COLUMNS = ("video", "utterance")
LABEL_COLUMNS = ("arousal", "valence")
OTHER_COLUMNS = ("link", "start", "end")
_NAMED = frozenset((*REQUIRED_COLUMNS, *LABEL_COLUMNS))
SPLITS = ("train", "validation", "test")
#: Lowest and highest label inside Valar.
USUAL_RANGE = (-1.0, 1.0)
# Unicode's category Cc.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")


class DatasetError(UserError):
    """The data set cannot be used as it is; the message has one problem a line, with file and line.

    It quotes the files, which may come from anyone: control characters are removed, so that none steers a terminal.

    Attributes:
        problems: the lines of the message.

    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(map(escape, problems))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type, tuple[tuple[str, ...]]]:
        """Keep the problems when the error comes from another process."""
        return type(self), (self.problems,)


@dataclass(slots=True)
class Utterance:
    """A row of a CSV file: a clip, with a label or without.

    It must not be changed. A frozen class would need two thirds more time: 100 000 of them are made in each run.

    Attributes:
        video: the folder, as in the CSV file.
        utterance: the file, as in the CSV file, such as "utterance_1.mp4".
        split: the split of its file.
        arousal: in [-1, 1], mapped from the range of the file's labels, or None.
        valence: in [-1, 1]; None if and only if arousal is None.
        link: as in the CSV file, or None.
        start: as in the CSV file, or None.
        end: as in the CSV file, or None.
        csv_path: its file.
        line: the first line of its row, counted from 1.
        group: its cell of the column that `[dataset] group` names, or None.
        more: the cells of all columns but names and labels that are not empty, by the column's name.
        name: its identity, "video/utterance" without the file's ending, in Unicode's composed form (NFC).

    """

    video: str
    utterance: str
    split: str
    arousal: float | None
    valence: float | None
    link: str | None
    start: str | None
    end: str | None
    csv_path: Path
    line: int
    group: str | None = None
    more: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the name, the same object as in plans and tables of shards."""
        self.name = sys.intern(utterance_name(self.video, self.utterance))


@dataclass(frozen=True)
class Dataset:
    """All utterances in the order of the files, and warnings on rows that were left out.

    Attributes:
        utterances: of all splits.
        warnings: a sentence for each row that was left out.
        group_column: the column that tells recordings apart; "" for links or names.
        label_range: the lowest and the highest possible label of the files.
        whole: the data set that these are a part of, which knows all recordings; None if they are not a part.
    """

    utterances: tuple[Utterance, ...]
    warnings: tuple[str, ...]
    group_column: str = ""
    label_range: tuple[float, float] = USUAL_RANGE
    whole: "Dataset | None" = field(default=None, repr=False)

    @functools.cached_property
    def grouping(self) -> Grouping:
        """The recording of each utterance. The whole data set decides: its other rows may join two recordings."""
        if self.whole is not None:
            return self.whole.grouping
        return group_utterances(self.utterances, column=self.group_column)


def utterance_name(video: str, utterance: str) -> str:
    """Return an utterance's identity.

    >>> utterance_name("5b44393ed", "utterance_4.mp4"), utterance_name("a", "take_1.5")
    ('5b44393ed/utterance_4', 'a/take_1.5')
    """
    return compose(f"{video}/{strip_ending(utterance)}")


def map_label(value: float, source: tuple[float, float], target: tuple[float, float]) -> float:
    """Map a label or a prediction linearly, end to end, from one range to another.

    >>> [map_label(value, (1, 9), (-1, 1)) for value in (1, 3, 9)]
    [-1.0, -0.5, 1.0]
    """
    share = (value - source[0]) / (source[1] - source[0])
    return target[0] + share * (target[1] - target[0])


def tell_label_range(label_range: tuple[float, float]) -> list[str]:
    """Say how labels were mapped and how predictions are mapped back; nothing if they were not mapped.

    >>> tell_label_range((1, 9))
    ['labels from 1 to 9 were mapped to -1 to 1, the scale of all numbers here: 4 x + 5 gives those of the file']
    """
    if label_range == USUAL_RANGE:
        return []
    low, high = label_range
    back = f"{(high - low) / 2:g} x + {(high + low) / 2:g}".replace("+ -", "- ")
    mapped = f"labels from {low:g} to {high:g} were mapped to -1 to 1, the scale of all numbers here"
    return [f"{mapped}: {back} gives those of the file"]


def read_dataset(
    csv_paths: Mapping[str, Path], *, group_column: str = "", label_range: tuple[float, float] = USUAL_RANGE
) -> Dataset:
    """Read the CSV file of each split.

    Args:
        csv_paths: split to file, such as {"train": ..., "validation": ..., "test": ...}.
        group_column: name of the column that tells recordings (or speakers) apart; it has to be in each file.
        label_range: the lowest and the highest possible label of the files; labels are mapped to [-1, 1].

    Returns:
        The utterances in file order, split after split.

    Raises:
        DatasetError: a file cannot be read; a column is missing or doubled; a name leads out of the folder; a label is
            no number in the range, or only one of arousal and valence is there; an utterance is there twice, in one
            split or in two; a file has no utterance.

    """
    utterances: list[Utterance] = []
    warnings: list[str] = []
    problems: list[str] = []
    first_seen: dict[str, Utterance] = {}
    for split, path in csv_paths.items():
        rows = read_utterances(path, split, warnings, problems, group_column=group_column, label_range=label_range)
        for row in rows:
            before = first_seen.setdefault(row.name, row)
            if before is not row:
                problems.append(
                    f"{path}:{row.line}: utterance {row.name} is there twice: "
                    f"first at {before.csv_path}:{before.line} ({before.split})"
                )
        utterances += rows
    if problems:
        raise DatasetError(problems)
    return Dataset(tuple(utterances), tuple(warnings), group_column, label_range)


def read_utterances(
    path: Path,
    split: str,
    warnings: list[str],
    problems: list[str],
    *,
    group_column: str = "",
    label_range: tuple[float, float] = USUAL_RANGE,
) -> list[Utterance]:
    """Read one file; append a sentence to `warnings` for each row left out, and to `problems` for each fault."""
    num_problems = len(problems)
    rows = read_rows(path, problems)
    header = next(rows, None)
    if header is None:
        if len(problems) == num_problems:
            problems.append(f"{path}: the file is empty; expected a header with {', '.join(REQUIRED_COLUMNS)}")
        return []
    labelled = not set(LABEL_COLUMNS).isdisjoint(name.casefold() for name in header[1])
    column = group_column.casefold()
    required = REQUIRED_COLUMNS + (LABEL_COLUMNS if labelled else ()) + ((column,) if column else ())
    columns = find_columns(path, header[1], required=required, optional=OTHER_COLUMNS, problems=problems)
    if columns is None:
        return []
    if column:
        columns = {**columns, "group": columns[column]}
    reader = _RowReader(path, split, columns, header[1], label_range)
    read = [reader.read(line, cells, warnings, problems) for line, cells in rows]
    found = [utterance for utterance in read if utterance is not None]
    if not found and len(problems) == num_problems:
        problems.append(f"{path}: there is no utterance in it")
    unlabelled = [row.line for row in found if row.arousal is None]
    if 0 < len(unlabelled) < len(found):
        warnings += [f"{path}:{line}: no labels: the utterance is not trained on and not scored" for line in unlabelled]
    return found


class _RowReader:
    """Makes utterances from the rows of one file.

    Args:
        path: The file.
        split: The split of the file.
        columns: Place of each known column.
        header: All columns.
        label_range: The lowest and the highest possible label of the file.
    """

    def __init__(
        self,
        path: Path,
        split: str,
        columns: Mapping[str, int],
        header: Sequence[str],
        label_range: tuple[float, float],
    ) -> None:
        self._path = path
        self._split = split
        self._width = width = len(header)
        self._label_range = label_range
        self._more = [(name, header.index(name)) for name in header if name and name.casefold() not in _NAMED]
        # Each row gets one more cell, an empty one; columns that the file does not have are read from it.
        names = (*REQUIRED_COLUMNS, *LABEL_COLUMNS, *OTHER_COLUMNS, "group")
        self._pick = operator.itemgetter(*(columns.get(name, width) for name in names))

    def read(self, line: int, cells: list[str], warnings: list[str], problems: list[str]) -> Utterance | None:
        """Return a row's utterance; None if the row has none or a wrong one."""
        num_cells, width = len(cells), self._width
        padded = [*cells[:width], *[""] * (width + 1 - min(num_cells, width))]
        video, utterance, *labels, link, start, end, group = self._pick(padded)
        if not video and not utterance:
            warnings.append(f"{self._path}:{line}: row left out: it has neither a video nor an utterance")
            return None
        if num_cells > width and any(cells[width:]):
            warnings.append(
                f"{self._path}:{line}: row left out: it has {format_count(num_cells, 'field')}, the header has {width}"
            )
            return None
        (arousal, valence), label_fault = _read_labels(labels, self._label_range)
        found = [*filter(None, (_name_fault("video", video), _name_fault("utterance", utterance), label_fault))]
        if found:
            problems += [f"{self._path}:{line}: {fault}" for fault in found]
            return None
        more = {name: cell for name, index in self._more if (cell := padded[index])}
        return Utterance(
            sys.intern(video),  # few different names
            sys.intern(utterance),
            self._split,
            arousal,
            valence,
            link or None,
            start or None,
            end or None,
            self._path,
            line,
            group or None,
            more,
        )


@functools.lru_cache(maxsize=4096)  # a video has several rows, and clips of different videos have the same names
def _name_fault(column: str, value: str) -> str:
    """Return "" for a name of one plain entry of a folder, otherwise what is wrong with it."""
    if not value:
        return f"{column} is empty"
    if value in (".", "..") or "/" in value or "\\" in value:
        return f"{column} is {value!r}; it must be a plain name inside the folder of videos"
    if not value.isprintable() and _CONTROL.search(value):
        return f"{column} is {value!r}; it must not have control characters"
    return ""


def _read_labels(
    texts: Sequence[str], label_range: tuple[float, float]
) -> tuple[tuple[float | None, float | None], str]:
    """Return arousal and valence, and "" or what is wrong with them."""
    arousal, valence = texts
    if not arousal and not valence:
        return (None, None), ""
    first, second = _read_label(arousal, label_range), _read_label(valence, label_range)
    if first is not None and second is not None:
        return (first, second), ""
    name, text = next(
        (name, text) for name, text, label in zip(LABEL_COLUMNS, texts, (first, second), strict=True) if label is None
    )
    low, high = label_range
    is_number = label_range == USUAL_RANGE and not math.isnan(_parse_number(text))
    hint = "; for another scale, set [dataset] label_range or --label-range" if is_number else ""
    return (None, None), f"{name} is {text!r}; it must be a number in [{low:g}, {high:g}]{hint}"


@functools.lru_cache(maxsize=4096)  # many rows share few values
def _read_label(text: str, label_range: tuple[float, float]) -> float | None:
    """Return a label in [-1, 1]; None if the text is no label."""
    number = _parse_number(text)
    if not label_range[0] <= number <= label_range[1]:
        return None
    # Not computed if nothing has to be mapped: a checkpoint's fingerprint has the labels' exact bits.
    return number if label_range == USUAL_RANGE else map_label(number, label_range, USUAL_RANGE)


def _parse_number(text: str) -> float:
    """Return a number; NaN for text that is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan

"""A user's labels, in one or several CSV files of any layout, become the CSV files of the splits."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pipeline.dataset.csv_files import read_rows
from pipeline.dataset.groups import find_bases
from pipeline.dataset.utterances import USUAL_RANGE, utterance_name
from pipeline.errors import UserError
from valar.init.inventory import Inventory

#: Columns that name a clip's file, the best first.
FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "file_path", "clip", "video_path", "name", "id")
#: Columns that name the split, and the words for each split.
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold")
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev", "devel", "devset", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "tst"), "test"),
}
#: Words of a name: "omg_TrainVideos" has three.
_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
LABELS = ("arousal", "valence")
#: The column with the recording of each clip, written if all clips are in one folder.
RECORDING = "recording"
#: Share of the labelled groups of clips that are held out for validation if no file names the splits.
VALIDATION_SHARE = 0.2
#: With at least so many videos, whole videos are held out instead of single clips.
_FEWEST_VIDEOS = 5


@dataclass
class Table:
    """One CSV file, its rows matched with the clips.

    Args:
        path: The file.
        columns: The columns that are kept.
        rows: (video, utterance, split or "", values of the kept columns).
        problems: A sentence for each row that names no clip.
        names_split: The split that the file's name contains, or "".
        is_ready: Whether the file has the columns `video` and `utterance`, and can be used without changes.
        splits_rows: Whether a column names the split of each row.
        places: File and line of each of the rows.
        recordings: File names of whole recordings, of which the rows name parts by `start` and `end`.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    names_split: str = ""
    is_ready: bool = False
    splits_rows: bool = False
    places: list[str] = field(default_factory=list)
    recordings: set[str] = field(default_factory=set)

    @property
    def is_labelled(self) -> bool:
        """Whether it has both labels."""
        return set(LABELS) <= {column.casefold() for column in self.columns}


def read_table(path: Path, inventory: Inventory) -> Table | str:
    """Read a CSV file that lists clips.

    Returns:
        The table, or a sentence that says why the file does not list clips.

    Raises:
        UserError: The column of splits names a split in some rows, but not in others.
    """
    problems: list[str] = []
    rows = read_rows(path, problems)
    _, header = next(rows, (0, []))
    if problems or not header:
        return problems[0] if problems else f"{path}: the file is empty"
    names = [name.casefold() for name in header]
    is_ready = {"video", "utterance"} <= set(names)
    naming = None if is_ready else next((name for name in FILE_COLUMNS if name in names), None)
    if not is_ready and naming is None:
        return f"{path}: not taken: it has neither `video` and `utterance` nor a column such as `file`"
    splitting = next((name for name in SPLIT_COLUMNS if name in names), None)
    left_out = {"video", "utterance", naming, splitting}
    kept = [index for index, name in enumerate(names) if name not in left_out and name]
    table = Table(path, tuple(_shown(header[index]) for index in kept), names_split=find_split(path.stem))
    table.is_ready = is_ready
    clips = _Clips(inventory)
    unknown: list[str] = []
    is_said = False
    for line, cells in rows:
        values = [*cells, *[""] * (len(header) - len(cells))]
        times = [values[names.index(column)] if column in names else "" for column in ("start", "end")]
        if is_ready:
            video, utterance = values[names.index("video")], values[names.index("utterance")]
            found = (video, utterance) if video and utterance else f"{path}:{line}: the row names no clip"
            recording = clips.find(video, "") if inventory.is_flat and all(times) else ""
            if not isinstance(recording, str) and (video, utterance) not in inventory.clips:
                table.recordings.add(recording[1])
        else:
            assert naming is not None
            found = clips.find(values[names.index(naming)], f"{path}:{line}")
            if not isinstance(found, str) and all(times):
                table.recordings.add(found[1])
                found = _name_part(found[1], *times)
        if isinstance(found, str):
            table.problems.append(found)
            continue
        said = values[names.index(splitting)] if splitting else ""
        if splitting and not find_split(said):
            unknown.append(f"{path}:{line}: {splitting} is {said!r}")
        is_said |= bool(said)
        table.rows.append((*found, find_split(said), tuple(values[index] for index in kept)))
        table.places.append(f"{path}:{line}")
    table.splits_rows = any(row[2] for row in table.rows)
    if unknown and (table.splits_rows or (is_said and splitting == "split")):
        raise UserError(
            f"{unknown[0]}, which names no split ({len(unknown)} such rows); write train, validation or test in each "
            "row"
        )
    return table


def _shown(name: str) -> str:
    return name.casefold() if name.casefold() in (*LABELS, "start", "end") else name


def _name_part(recording: str, start: str, end: str) -> tuple[str, str]:
    """Return video and utterance of a part: the recording's name, and the part's start and end.

    >>> _name_part("talk.mp4", "12.5", "1:05")
    ('talk', '12.5-1.05')
    """
    return utterance_name("", recording)[1:], f"{start}-{end}".replace(":", ".")


def find_range_fault(table: Table, label_range: tuple[float, float] = USUAL_RANGE) -> str:
    """Say which labels are outside the range, with their smallest and largest value; "" if all are inside."""
    low, high = label_range
    for index, column in enumerate(table.columns):
        if column in LABELS:
            numbers = [number for row in table.rows if (number := _as_number(row[3][index])) is not None]
            if numbers and (min(numbers) < low or max(numbers) > high):
                return (
                    f"{table.path}: {column} goes from {min(numbers):g} to {max(numbers):g}; labels must be from "
                    f"{low:g} to {high:g}. Give the command again with both ends of the labels' scale (not the "
                    "smallest and largest label in the file): --label-range LOW HIGH, such as --label-range 1 9"
                )
    return ""


def _as_number(text: str) -> float | None:
    """Return a finite number; None for any other text, which the run reports with its line."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None  # NaN has no order: it would hide labels out of the range


def find_split(text: str) -> str:
    """Return the split that a file's name or a cell contains, or "".

    >>> find_split("omg_ValidationVideos"), find_split("dev"), find_split("labels"), find_split("arousal_valence")
    ('validation', 'validation', '', '')
    """
    words = (word.casefold() for word in _WORD.findall(text))
    found = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return found.pop() if len(found) == 1 else ""


class _Clips:
    """Finds a clip by its path, or by its name with or without the ending."""

    def __init__(self, inventory: Inventory) -> None:
        self._by_name: dict[str, list[tuple[str, str]]] = {}
        for video, utterance in inventory.clips:
            whole = utterance_name(video, utterance)
            for key in (whole, whole.partition("/")[2]):
                self._by_name.setdefault(key, []).append((video, utterance))

    def find(self, text: str, place: str) -> tuple[str, str] | str:
        """Return (video, utterance), or a sentence that says why there is no such clip."""
        parts = PurePath(text.replace("\\", "/")).parts
        if not parts:
            return f"{place}: the row names no clip"
        keys = [utterance_name(*parts[-2:])] if len(parts) > 1 else []
        for key in (*keys, utterance_name("", parts[-1])[1:]):
            found = self._by_name.get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                return f"{place}: {text} is the name of {len(found)} clips; write it with its folder"
        return f"{place}: {text} is not there"


def check_once(tables: Sequence[Table]) -> None:
    """Refuse a clip that is listed twice.

    Raises:
        UserError: Names both places.
    """
    seen: dict[tuple[str, str], str] = {}
    for table in tables:
        for (video, utterance, *_), place in zip(table.rows, table.places, strict=True):
            before = seen.setdefault((video, utterance), place)
            if before != place:
                raise UserError(
                    f"{video}/{utterance} is listed twice, at {before} and {place}; keep one row, or name the CSV "
                    "files that count by --csv"
                )


def find_recordings(tables: Sequence[Table], inventory: Inventory) -> dict[tuple[str, str], str]:
    """Return the recording of each clip if all clips are in one folder: its name without `_1`, `_2`, ...

    All such clips have the folder's name as their video, so the video does not distinguish recordings.

    Returns:
        (video, utterance) to recording; empty if folders or a column distinguish recordings.
    """
    told = {column.casefold() for table in tables for column in table.columns} & {"link", RECORDING}
    clips = [(video, name) for table in tables for video, name, *_ in table.rows]
    if told or not inventory.is_flat or len({video for video, _ in clips}) != 1:
        return {}
    bases = find_bases({utterance_name("", name)[1:] for _, name in clips})
    return {clip: bases[utterance_name("", clip[1])[1:]] for clip in clips}


def assign_splits(
    tables: Sequence[Table], recordings: Mapping[tuple[str, str], str] | None = None
) -> tuple[dict[str, list[tuple[str, ...]]], tuple[str, ...], str]:
    """Assign a split to every row: the one that its file or column names, else by a rule.

    Args:
        tables: The tables of all CSV files.
        recordings: (video, utterance) to recording, if videos do not distinguish recordings.

    Returns:
        Split to rows (video, utterance, then the columns), the columns, and a sentence that says the rule.
    """
    columns = tuple(dict.fromkeys(column for table in tables for column in table.columns))
    splits: dict[str, list[tuple[str, ...]]] = {"train": [], "validation": [], "test": []}
    undecided: list[tuple[str, ...]] = []
    for table in tables:
        for video, utterance, split, values in table.rows:
            given = dict(zip(table.columns, values, strict=True))
            row = (video, utterance, *(given.get(column, "") for column in columns))
            chosen = split or table.names_split or ("" if table.is_labelled else "test")
            splits[chosen].append(row) if chosen else undecided.append(row)
    if not undecided:
        return splits, columns, "the splits are those that the CSV names"
    name_group, what = _choose_groups(undecided, recordings or {})
    held_out = choose_held_out(list(map(name_group, undecided)), 2 if what == "clips" else 1)
    for row in undecided:
        splits["validation" if name_group(row) in held_out else "train"].append(row)
    are = "is" if len(held_out) == 1 else "are"
    rule = f"no split is named: {len(held_out)} of the {what} {are} held out for validation, chosen by their names"
    if what == "clips":
        rule += "; a speaker may then be in both, so that the score is too high: name the split in a column `split`"
    return splits, columns, rule


def _choose_groups(
    rows: Sequence[tuple[str, ...]], recordings: Mapping[tuple[str, str], str]
) -> tuple[Callable[[tuple[str, ...]], str], str]:
    """Choose the groups that are held out as a whole: videos or recordings if there are enough, else clips.

    Returns:
        A function that returns the group of a row, and the groups' name in the plural.
    """
    if len({row[0] for row in rows}) >= _FEWEST_VIDEOS:
        return (lambda row: row[0]), "videos"
    found = {recordings.get((row[0], row[1]), "") for row in rows}
    if _FEWEST_VIDEOS <= len(found) < len(rows):
        return (lambda row: recordings[row[0], row[1]]), "recordings"
    return (lambda row: f"{row[0]}/{row[1]}"), "clips"


def choose_held_out(groups: Sequence[str], fewest: int) -> set[str]:
    """Choose a fifth of the groups by a digest of their names, so that the choice changes little with more groups."""
    ordered = sorted(set(groups), key=lambda name: hashlib.sha256(name.encode()).digest())
    return set(ordered[: max(fewest, round(VALIDATION_SHARE * len(ordered)))])


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the text of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([("video", "utterance", *columns), *rows])
    return text.getvalue()


def find_unlisted(inventory: Inventory, splits: Mapping[str, Sequence[Sequence[str]]]) -> Iterator[str]:
    """Yield the clips that no CSV file lists."""
    listed = {utterance_name(row[0], row[1]) for rows in splits.values() for row in rows}
    return (name for name in (utterance_name(*clip) for clip in inventory.clips) if name not in listed)

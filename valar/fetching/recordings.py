"""The recordings to which the rows of CSV files link, and which of them a folder holds already."""

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.dataset.clip_folders import NO_CLIP
from pipeline.dataset.names import compose, is_media_ending, rank_as_clip, strip_ending
from pipeline.dataset.utterances import DatasetError, Utterance, read_utterances
from store.export.rows import write_csv
from store.files import write_json
from store.json_files import read_object
from store.text import read_cell

#: Files in the folder of recordings, beside the recordings.
FETCHED = "fetched.json"
DEAD = "dead-links.csv"
DEAD_COLUMNS = ("link", "reason", "may_pass", "videos", "utterances")
_VERSION = 1


@dataclass(frozen=True)
class Recording:
    """The recording of one link.

    Args:
        link: As in the CSV files.
        videos: The names of its parts in the column `video`, in the order of the files.
        utterances: How many utterances are parts of it.
    """

    link: str
    videos: tuple[str, ...]
    utterances: int

    @property
    def name(self) -> str:
        """The name of its file without an ending: the first of the videos."""
        return self.videos[0]


@dataclass(frozen=True)
class DeadLink:
    """A recording that could not be downloaded.

    Args:
        recording: The recording.
        reason: One sentence.
        may_pass: Whether a later try may succeed: the connection failed, or the host was busy.
    """

    recording: Recording
    reason: str
    may_pass: bool


def plan_recordings(paths: Sequence[Path]) -> tuple[list[Recording], list[str]]:
    """Read CSV files and group their rows by link.

    Args:
        paths: Files with OMG-Emotion's columns, of which `link`, `start`, `end`, `video` and `utterance` are needed.

    Returns:
        The recordings in the order of the files, and a sentence for each row that is left out.

    Raises:
        DatasetError: A file cannot be read, has no links, or gives one video two links; names file and line.
    """
    warnings: list[str] = []
    problems: list[str] = []
    rows: list[Utterance] = []
    for path in paths:
        before = len(problems)
        found = read_utterances(path, "", warnings, problems)
        if found and not any(row.link for row in found):
            problems.append(f"{path}: no row has a link; the column `link` must have the address of each recording")
        elif not found and len(problems) == before:
            problems.append(f"{path}: there is no utterance in it")
        rows += found
    first: dict[str, Utterance] = {}
    by_link: dict[str, list[Utterance]] = defaultdict(list)
    for row in rows:
        place = f"{row.csv_path}:{row.line}"
        if not row.link:
            warnings.append(f"{place}: {row.name} has no link")
            continue
        before_it = first.setdefault(compose(row.video), row)
        if before_it.link != row.link:
            problems.append(
                f"{place}: video {row.video} has the link {row.link}, and {before_it.link} at "
                f"{before_it.csv_path}:{before_it.line}; use one video for the parts of each recording"
            )
        by_link[row.link].append(row)
    if problems:
        raise DatasetError(problems)
    recordings = [
        Recording(link, tuple(dict.fromkeys(row.video for row in parts)), len({row.name for row in parts}))
        for link, parts in by_link.items()
    ]
    return recordings, warnings


class Folder:
    """The folder of recordings: which are there, and under which names.

    A recording's file has the name of its first video; the other videos of the same link are links to that file. The
    folder is read once, because `fetch-omg` holds a lock on it.

    Args:
        path: The folder; it is made when a file is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_link: dict[str, Any] = _read_fetched(path / FETCHED)
        self._files = _list_files(path)

    def find(self, recording: Recording) -> Path | None:
        """Return the file of a recording; None if there is none."""
        names = [
            self._by_link.get(recording.link, {}).get("file", ""),
            *(self._files.get(compose(v)) for v in recording.videos),
        ]
        return next((self.path / name for name in names if name and (self.path / name).is_file()), None)

    def add(self, recording: Recording, file: Path) -> Path:
        """Move a finished file to the recording's name, and record its link."""
        target = self.path / f"{recording.name}{file.suffix}"
        file.replace(target)
        self._files[compose(recording.name)] = target.name
        self._by_link[recording.link] = {"file": target.name, "bytes": target.stat().st_size}
        write_json(self.path / FETCHED, {"format_version": _VERSION, "recordings": self._by_link})
        return target

    def name_videos(self, recording: Recording, file: Path) -> None:
        """Link each video of a recording to its file; an existing file is not changed."""
        for video in recording.videos:
            place = self.path / f"{video}{file.suffix}"
            if compose(video) in self._files or place == file:
                continue
            if place.is_symlink():  # a link whose file was removed
                place.unlink()
            try:
                place.symlink_to(file.name)
            except OSError:  # a file system without symbolic links
                os.link(file, place)
            self._files[compose(video)] = place.name


def _list_files(folder: Path) -> dict[str, str]:
    """Return the files of a folder that may be recordings, by their name without the ending."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {
            compose(strip_ending(entry.name)): entry.name
            for entry in entries
            if not entry.name.startswith(".") and rank_as_clip(entry.name) < NO_CLIP and entry.is_file()
        }


def _read_fetched(path: Path) -> dict[str, Any]:
    """Read the link of each file. Entries that are missing or damaged are left out: such files are found by name."""
    try:
        value = read_object(path)
        found = value["recordings"] if value["format_version"] == _VERSION else {}
        return {
            link: entry
            for link, entry in found.items()
            if isinstance(entry, dict) and isinstance(name := entry.get("file"), str) and name == Path(name).name
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def choose_ending(file: Path) -> str:
    """Return the ending of a finished file; "" if it is neither video nor sound."""
    return file.suffix if is_media_ending(file.suffix) else ""


def read_dead(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table of dead links; none if there is no table."""
    if not path.is_file():
        return
    # A spreadsheet may have saved the table in another encoding; links are ASCII in all encodings.
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            yield {column: read_cell(row.get(column) or "") for column in DEAD_COLUMNS}


def write_dead(path: Path, dead: Iterable[DeadLink], planned: Iterable[Recording]) -> None:
    """Write the table of dead links again; rows of links that were not tried this time stay."""
    asked = {recording.link for recording in planned}
    rows: list[Mapping[str, Any]] = [row for row in read_dead(path) if row["link"] not in asked]
    rows += [
        {
            "link": found.recording.link,
            "reason": found.reason,
            "may_pass": "yes" if found.may_pass else "no",
            "videos": " ".join(found.recording.videos),
            "utterances": found.recording.utterances,
        }
        for found in dead
    ]
    if rows:
        write_csv(path, DEAD_COLUMNS, ([row[column] for column in DEAD_COLUMNS] for row in rows))
    else:
        path.unlink(missing_ok=True)

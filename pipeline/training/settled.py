"""A run that found nothing to do leaves digests of all that it looked at, so that the next run need not look again.

Only the tasks decide that there is nothing to do. This module only tells whether everything that they look at is
unchanged since they last decided so. If anything has changed, or there is a doubt, the tasks are asked again.
"""

import contextlib
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.training.version import TRAINING_VERSION
from pipeline.chain import NETWORK_TITLES
from pipeline.dataset.folder_look import look_into
from pipeline.errors import UserError
from pipeline.json_shapes import Shape, by_plain_name, count, flag, list_of, object_of, text, tuple_of
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.old_checkpoints import NEEDED
from pipeline.runs.opening import Frame, digest_tables
from pipeline.runs.outcome.ledger import count_statuses
from pipeline.training.data import TrainingData
from pipeline.training.experiment import REPORT_VERSION
from store import files
from store.json_files import read_object
from store.layout import listings_folder, plans_folder, stage_folder
from store.records.erased import erased_path
from store.records.plans import plan_path
from store.text import escape_lines

#: The file's name in the folder of runs.
FILE = "settled.json"
_VERSION = 1
_PACKAGES = ("models", "pipeline", "store")
_ROOT = Path(__file__).resolve().parents[2]


def _said(value: Any, what: str) -> None:
    """Check that a value is text without characters that steer a terminal."""
    text(value, what)
    if value != escape_lines(value):
        raise ValueError(f"{what} has characters that steer a terminal")


_COUNTED: Shape = list_of(tuple_of(_said, count))
_SETTLED = object_of(
    {
        "format_version": count,
        "looks": object_of(dict.fromkeys(("frame", "tables", "made", "folders"), text)),
        "folders": list_of(text),
        "trains": flag,
        "stages": _COUNTED,
        "networks": _COUNTED,
        "statuses": list_of(tuple_of(_said, _said, by_plain_name(count))),
        **dict.fromkeys(("missing", "vanished", "present"), count),
        "warnings": list_of(_said),
    }
)


@dataclass(frozen=True)
class Settled:
    """What a run with nothing to do looked at, and what it prints at its end.

    Attributes:
        looks: digests of what was looked at: the frame (settings, weights, code), the tables (CSV files and overrides),
            the files that runs have made, and the folders of videos.
        folders: the folders of videos that were listed.
        trains: whether trainings and report were finished, too, and not the features alone.
        stages: (title, number of clips with its features) for each stage.
        networks: (title, number of its trainings) for each network; empty without `trains`.
        statuses: (split, "sound" or "picture", number of clips by status).
        missing: number of utterances that never had a file.
        vanished: number of utterances whose file is gone.
        present: number of utterances with a file.
        warnings: the warnings about the CSV files, one sentence each.
    """

    looks: Mapping[str, str]
    folders: list[str]
    trains: bool
    stages: list[tuple[str, int]]
    networks: list[tuple[str, int]]
    statuses: list[tuple[str, str, Mapping[str, int]]]
    missing: int
    vanished: int
    present: int
    warnings: list[str]

    @property
    def counts(self) -> dict[tuple[str, str], Counter[str]]:
        """The statuses as `count_statuses` gives them."""
        return {(split, part): Counter(counts) for split, part, counts in self.statuses}


def find_settled(frame: Frame, *, trains: bool) -> Settled | None:
    """Read what the last run left, if everything that it looked at is unchanged.

    Args:
        frame: The frame of the present run.
        trains: Whether trainings and report must be finished, too.

    Returns:
        None where anything has changed, or may have changed.
    """
    _look_at_code()  # now, and kept: files that are installed later are not the code that this process runs
    with contextlib.suppress(OSError, ValueError, TypeError, UserError):
        content = read_object(frame.folder / FILE)
        _SETTLED(content, FILE)
        if content.pop("format_version") != _VERSION:
            return None
        settled = Settled(**content)
        looks = settled.looks
        if (
            settled.trains >= trains
            and _has_titles(settled, frame)
            and looks["frame"] == _look_at_frame(frame)
            and looks["tables"] == digest_tables(frame.settings) != ""
            and looks["made"] == look_at_made(frame)
        ):
            seen = look_into(Path(frame.settings.dataset.videos), settled.folders)
            if seen.is_sure and looks["folders"] == seen.digest:
                return settled
    return None


def _has_titles(settled: Settled, frame: Frame) -> bool:
    """Tell whether the file names exactly the stages, networks and splits of this run: they are printed."""
    networks = [*NETWORK_TITLES.values()] if settled.trains else []
    return (
        [title for title, _ in settled.stages] == [stage.title for stage in frame.chain.values()]
        and [title for title, _ in settled.networks] == networks
        and {split for split, _, _ in settled.statuses} <= {"train", "validation", "test"}
        and {part for _, part, _ in settled.statuses} <= {"sound", "picture"}
    )


def write_settled(data: TrainingData, made: str, *, trains: bool, num_trainings: int) -> None:
    """Write what a run with nothing to do has looked at, unless its result also depends on something else.

    Args:
        data: The statuses of the run's clips.
        made: The result of `look_at_made` from before the tasks decided that there is nothing to do.
        trains: Whether trainings and report are finished, too.
        num_trainings: Number of seeds; each has a training of every network.
    """
    run, frame = data.run, Frame.of(data.run)
    if run.folders is None or not run.folders.is_sure or not run.tables or _rests_on_more(data):
        return
    written = [
        listings_folder(run.store) / f"{run.name}.json",
        *(plan_path(run.store, shard) for shard in run.plan.shards),
    ]
    # A file that was read at the start is gone or has changed: the next run must look again, and write it again.
    if not run.are_tables_current() or not all(path.is_file() for path in written):
        return
    present = len(run.plan.assigned) - len(run.plan.vanished)
    settled = Settled(
        looks={
            "frame": _look_at_frame(frame),
            "tables": run.tables,
            "made": made,
            "folders": run.folders.digest,
        },
        folders=run.folders.names,
        trains=trains,
        stages=[(title, present) for title in run.titles.values()],
        networks=[(title, num_trainings) for title in NETWORK_TITLES.values() if trains],
        statuses=[(*key, dict(counts)) for key, counts in count_statuses(data.ledger.values()).items()],
        missing=len(run.plan.missing),
        vanished=len(run.plan.vanished),
        present=present,
        warnings=list(run.dataset.warnings),
    )
    with contextlib.suppress(OSError, UnicodeEncodeError):  # nothing depends on it
        files.write_json(frame.folder / FILE, {"format_version": _VERSION, **asdict(settled)})


def _rests_on_more(data: TrainingData) -> bool:
    """Tell whether the result depends on more than the digests cover: unreadable files, or other stage sets."""
    run = data.run
    if run.plan.rests_on_more or run.plan.new or run.taken or run.sound_again or run.read_again:
        return True
    return any(
        row.shard and ("missing_file" in (row.sound, row.picture) or _lacks_feature(row.features))
        for row in data.ledger.values()
    )


def _lacks_feature(states: Mapping[str, Any]) -> bool:
    return any(state.status == "missing_file" for state in states.values())


def _look_at_frame(frame: Frame) -> str:
    """Digest the settings, the weights and the code."""
    settings = frame.settings
    named = (settings.dataset.videos, frame.store, frame.folder)
    return compute_fingerprint(
        {
            "code": [_VERSION, TRAINING_VERSION, REPORT_VERSION, _look_at_code()],
            "settings": settings.describe(),
            "features": [repr(feature) for feature in settings.features],
            "stages": frame.stages,
            "fingerprints": frame.fingerprints,
            "weights": {name: found.sha256 for name, found in frame.weights.items()},
            "places": [str(Path(path).resolve()) for path in named],
        }
    )


@functools.cache
def _look_at_code() -> list[str]:
    """List the code's files with size and time, once in a process: another release may look at more than this one."""
    return [
        line
        for package in _PACKAGES
        for folder, _, names in os.walk(_ROOT / package)
        if names
        for line in _list_files(Path(folder), ".py")
    ]


def look_at_made(frame: Frame) -> str:
    """Digest what runs have made: the listing, plans, shards, the ledger, checkpoints and the report.

    Call this before the tasks are asked whether there is something to do: a change after it is then noticed.

    Raises:
        OSError: One of these files cannot be read.
    """
    store, runs = frame.store, frame.folder
    sha256 = hashlib.sha256()
    for path in (erased_path(store), listings_folder(store) / f"{frame.name}.json", runs / "ledger.csv", runs / NEEDED):
        sha256.update(_digest_file(path))
    folders = [(plans_folder(store), ".json")]
    folders += [(stage_folder(store, stage, name), ".h5") for stage, name in frame.fingerprints.items()]
    folders += [(folder, "") for folder in sorted((runs / "checkpoints").glob("*"))]
    for folder, ending in folders:
        sha256.update("\n".join([f"{folder}", *_list_files(folder, ending), ""]).encode(errors="surrogateescape"))
    latest = runs / "latest"
    for link in (latest, latest / "browse"):
        sha256.update(os.fsencode(link.readlink() if link.is_symlink() else "") + f"/{link.is_dir()}\n".encode())
    sha256.update(_digest_file(latest / "report.json"))
    return sha256.hexdigest()


def _digest_file(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except (FileNotFoundError, NotADirectoryError):
        return b"absent"


def _list_files(folder: Path, ending: str) -> list[str]:
    """List a folder's files with their sizes and times, sorted."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(ending) and not entry.name.startswith("."):
                    found.append(f"{entry.name}/{_look_at(entry)}")
    except (FileNotFoundError, NotADirectoryError):
        return ["absent"]
    return sorted(found)


def _look_at(entry: os.DirEntry[str]) -> str:
    try:
        status = entry.stat()
    except OSError as error:  # a broken link must not stop the look at the files beside it
        return f"error {error.errno}"
    return f"{status.st_size} {status.st_mtime_ns}"

"""Checkpoints in a folder of runs that nothing names any more: finding, listing and removing them.

Reports (`report.json`), predictions, and the last run (`needed.json`, also before its report is written) name
checkpoints.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.json_shapes import list_of, object_of, text
from pipeline.runs.outcome.report_json import REPORT_JSON, read_named_checkpoints
from store import files
from store.json_files import read_object
from store.tending.removal import check_no_links, remove

#: The file that says what the last run needs: its store, and the names of the checkpoints' folders.
NEEDED = "needed.json"
_NEEDED_SHAPE = object_of({"store": text, "checkpoints": list_of(text)})
_NAME = re.compile(r"(anet|vnet|joint)-[0-9a-f]{16}")
_FILES = {
    *("best.pt", "last.pt", "average.pt", "state.pt", "anet.pt", "vnet.pt"),
    *("metrics.jsonl", "events.out.tfevents.valar", "training.json", "start.json"),
}
#: The name of a link to the file for TensorBoard, which is in another folder.
_CURVES = "curves"


@dataclass(frozen=True)
class OldCheckpoints:
    """A folder of checkpoints that nothing names.

    Attributes:
        path: relative to the folder of runs.
        reason: why it is not needed, in words.
        num_bytes: bytes that removing it frees, if all folders that were found with it are removed, too.
    """

    path: str
    reason: str
    num_bytes: int


def write_needed(root: Path, store: Path, folders: Iterable[Path]) -> None:
    """Write what this run needs to `needed.json`, unless the file says so already.

    Args:
        root: the folder of runs.
        store: the store of the run, which holds the store's lock while it works.
        folders: the folders of the checkpoints that the run needs.
    """
    value = {"store": str(store.resolve()), "checkpoints": sorted({folder.name for folder in folders})}
    if _read(root / NEEDED) != value:
        files.write_json(root / NEEDED, value)


def find_store(root: Path) -> Path:
    """Give the store whose lock the runs in this folder take.

    Raises:
        UserError: `needed.json` is missing or cannot be read.
    """
    return Path(_read_needed(root)["store"])


def _read_needed(root: Path) -> dict[str, Any]:
    needed = _read(root / NEEDED)
    try:
        _NEEDED_SHAPE(needed, NEEDED)
    except ValueError as error:
        raise UserError(
            f"{root / NEEDED} does not exist or cannot be read, so it is not known which checkpoints are needed; run "
            "once (even with nothing to do), then again"
        ) from error
    return needed


def find_old_checkpoints(root: Path, *, newest: int | None = None) -> list[OldCheckpoints]:
    """Find the checkpoints that no report, no prediction and not the last run names.

    Args:
        root: the folder of runs.
        newest: how many of the newest reports keep their checkpoints; None for all reports. The report to which the
            link `latest` points always keeps its checkpoints.

    Raises:
        UserError: `needed.json`, a report or a prediction cannot be read: then nobody knows which checkpoints are
            needed.
    """
    needed = set(_read_needed(root)["checkpoints"])
    named = needed | _list_starts(root, needed) | _list_predicted(root)
    reports = _list_reports(root)
    latest = (root / "latest").resolve().name
    kept = reports if newest is None else dict(list(reports.items())[:newest])
    named |= {name for report, names in reports.items() if report in kept or report == latest for name in names}
    before = {name for names in reports.values() for name in names}
    found = [path for path in sorted((root / "checkpoints").glob("*")) if _NAME.fullmatch(path.name)]
    old = [path for path in found if path.name not in named]
    freed = _measure(old)
    return [
        OldCheckpoints(str(path.relative_to(root)), _explain(path, path.name in before), freed[path]) for path in old
    ]


def remove_old_checkpoints(root: Path, found: Iterable[OldCheckpoints]) -> None:
    """Remove what `find_old_checkpoints` found, all of it or nothing.

    Raises:
        StoreError: A folder is reached through a link, or contains a file that no training writes; nothing was removed.
    """
    check_no_links(root)
    remove(root, [root / item.path for item in found], is_known=_is_known)


def _explain(path: Path, was_named: bool) -> str:
    if was_named:
        return "only older reports need it"
    if (path / "training.json").exists():
        return "neither a report nor the last run needs it"
    return "its training was stopped, and the last run does not need it"


def _list_reports(root: Path) -> dict[str, set[str]]:
    """List the checkpoints that each report names, the newest report first."""
    dated = []
    for path in (root / "reports").glob(f"*/{REPORT_JSON}"):
        content = _read_named(path)
        names = {Path(folder).name for folder in content["provenance"]["checkpoints"].values()}
        for folders in content.get("ensemble", {}).get("checkpoints", {}).values():
            names |= {Path(folder).name for folder in folders}
        names |= {*content.get("cross_validation", {}).get("checkpoints", [])}
        names |= {*content.get("selection", {}).get("other", {}).get("checkpoints", [])}
        written = content["provenance"].get("written", "")
        dated.append((written, path.stat().st_mtime_ns, path.parent.name, names))
    return {report: names for _, _, report, names in sorted(dated, reverse=True)}


def _list_predicted(root: Path) -> set[str]:
    """List the checkpoints with which predictions were made."""
    found: set[str] = set()
    for path in (root / "predictions").glob("*/prediction.json"):
        for name in _read_named(path)["provenance"]["checkpoints"].values():
            found |= set(Path(name.partition(" sha256:")[0]).parts)
    return found


def _read_named(path: Path) -> dict[str, Any]:
    """Read the names of checkpoints in a report or a prediction.

    Raises:
        UserError: The file cannot be read, so nobody knows which checkpoints it needs.
    """
    try:
        return read_named_checkpoints(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}), so it is not known which checkpoints it needs, and none is removed: "
            f"remove {path.parent}, and the next run writes it again if it can"
        ) from error


def _list_starts(root: Path, needed: Iterable[str]) -> set[str]:
    """List the checkpoints from which trainings started that are not finished yet (warm start)."""
    found: set[str] = set()
    for name in needed:
        folder = root / "checkpoints" / name
        decision = {} if (folder / "training.json").exists() else _read(folder / "start.json")
        if "start" in decision:
            found.add(f"{name.partition('-')[0]}-{decision.get('start')}")
    return found


def _read(path: Path) -> dict[str, Any]:
    """Read a JSON object; give an empty one where the file cannot be read."""
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}


def _measure(folders: Iterable[Path]) -> dict[Path, int]:
    """Add up the bytes that removing all these folders frees.

    A file with several names (hard links) counts only if all of its names are removed; each folder gets its share.
    """
    links: dict[tuple[int, int], int] = {}
    stats = {folder: [os.lstat(path) for path in folder.rglob("*") if not path.is_dir()] for folder in folders}
    for found in stats.values():
        for stat in found:
            links[stat.st_dev, stat.st_ino] = links.get((stat.st_dev, stat.st_ino), 0) + 1
    return {
        folder: sum(stat.st_size // stat.st_nlink for stat in found if links[stat.st_dev, stat.st_ino] == stat.st_nlink)
        for folder, found in stats.items()
    }


def _is_known(root: Path, path: Path) -> bool:
    """Tell whether a path has the place, the name and the contents of a training's folder."""
    parts = path.relative_to(root).parts
    if len(parts) != 2 or parts[0] != "checkpoints" or not _NAME.fullmatch(parts[1]) or not path.is_dir():
        return False
    return all(
        # The link to the curves is removed, the curves stay.
        inner.name == _CURVES
        if inner.is_symlink()
        else inner.is_file() and (inner.name in _FILES or inner.name.startswith("."))
        for inner in path.iterdir()
    )

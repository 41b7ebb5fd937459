"""Checkpoints of a folder of runs that nothing names any more: found, announced, removed.

Named they are by reports (`report.json`), by predictions, and by the last run (`needed.json`), whether or not it has
come to its report.
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

#: What the last run needs: its store, and names of folders of checkpoints.
NEEDED = "needed.json"
_NEEDED_SHAPE = object_of({"store": text, "checkpoints": list_of(text)})
_NAME = re.compile(r"(anet|vnet|joint)-[0-9a-f]{16}")
_FILES = {
    *("best.pt", "last.pt", "average.pt", "state.pt", "anet.pt", "vnet.pt"),
    *("metrics.jsonl", "events.out.tfevents.valar", "training.json", "start.json"),
}
#: A link to TensorBoard's file, which lies elsewhere.
_CURVES = "curves"


@dataclass(frozen=True)
class OldCheckpoints:
    """A folder of checkpoints that nothing names.

    Attributes:
        path: relative to the folder of runs.
        reason: in words.
        num_bytes: what removing it frees, where all that are found with it are removed.
    """

    path: str
    reason: str
    num_bytes: int


def write_needed(root: Path, store: Path, folders: Iterable[Path]) -> None:
    """Write down what this run needs, unless the file says so already.

    Args:
        root: the folder of runs.
        store: whose lock is held while it works.
        folders: of the checkpoints.
    """
    value = {"store": str(store.resolve()), "checkpoints": sorted({folder.name for folder in folders})}
    if _read(root / NEEDED) != value:
        files.write_json(root / NEEDED, value)


def find_store(root: Path) -> Path:
    """Give the store whose lock is held by runs in this folder.

    Raises:
        UserError: No run has said so.
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
        newest: how many reports keep theirs, the newest ones; None for all. The one that `latest` links always does.

    Raises:
        UserError: No run has said what it needs, or a report cannot be read: then none is known to be old.
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
        StoreError: One is reached through a link, or holds what no training writes; nothing was removed.
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
    """List what each report names, the newest first."""
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
    """List what predictions were made with."""
    found: set[str] = set()
    for path in (root / "predictions").glob("*/prediction.json"):
        for name in _read_named(path)["provenance"]["checkpoints"].values():
            found |= set(Path(name.partition(" sha256:")[0]).parts)
    return found


def _read_named(path: Path) -> dict[str, Any]:
    """Read a report or a prediction as far as it names checkpoints.

    Raises:
        UserError: It cannot be read, so nobody knows what it needs.
    """
    try:
        return read_named_checkpoints(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}), so it is not known which checkpoints it needs, and none is removed: "
            f"remove {path.parent}, and the next run writes it again if it can"
        ) from error


def _list_starts(root: Path, needed: Iterable[str]) -> set[str]:
    """List what trainings go on from that are not over yet."""
    found: set[str] = set()
    for name in needed:
        folder = root / "checkpoints" / name
        decision = {} if (folder / "training.json").exists() else _read(folder / "start.json")
        if "start" in decision:
            found.add(f"{name.partition('-')[0]}-{decision.get('start')}")
    return found


def _read(path: Path) -> dict[str, Any]:
    """Read an object of JSON; an empty one where that cannot be done."""
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}


def _measure(folders: Iterable[Path]) -> dict[Path, int]:
    """Add up what removing all these folders frees: a file of several names, only where all of them go."""
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
        # The link to its curves goes, the curves stay.
        inner.name == _CURVES
        if inner.is_symlink()
        else inner.is_file() and (inner.name in _FILES or inner.name.startswith("."))
        for inner in path.iterdir()
    )

"""Checkpoints of a folder of runs that nothing names any more: found, announced, removed.

Named they are by reports (`report.json`), by predictions, and by the last run (`needed.json`), whether or not it has
come to its report.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from store import files
from store.tending.removal import check_no_links, remove

#: What the last run needs: its store, and names of folders of checkpoints.
NEEDED = "needed.json"
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
    needed = _read(root / NEEDED)
    if not isinstance(needed, Mapping) or not {"store", "checkpoints"} <= set(needed):
        raise UserError(
            f"{root / NEEDED} is not there or cannot be read: no run has said which checkpoints it needs, so none is "
            "known to be old; run once (one with nothing to do is enough), then again"
        )
    return Path(str(needed["store"]))


def find_old_checkpoints(root: Path, *, newest: int | None = None) -> list[OldCheckpoints]:
    """Find the checkpoints that no report, no prediction and not the last run names.

    Args:
        root: the folder of runs.
        newest: how many reports keep theirs, the newest ones; None for all. The one that `latest` links always does.

    Raises:
        UserError: No run has said what it needs, or a report cannot be read: then none is known to be old.
    """
    find_store(root)
    needed = {str(name) for name in _read(root / NEEDED)["checkpoints"]}
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
        return "only older reports name it"
    if (path / "training.json").exists():
        return "no report names it, nor does the last run"
    return "its training was stopped, and the last run does not ask for it"


def _list_reports(root: Path) -> dict[str, set[str]]:
    """List what each report names, the newest first."""
    dated = []
    for path in (root / "reports").glob("*/report.json"):
        content = _read(path)
        try:
            provenance = content["provenance"]
            names = {Path(folder).name for folder in provenance["checkpoints"].values()}
            for folders in content.get("ensemble", {}).get("checkpoints", {}).values():
                names |= {Path(folder).name for folder in folders}
            names |= {str(name) for name in content.get("cross_validation", {}).get("checkpoints", [])}
            dated.append((str(provenance.get("written", "")), path.stat().st_mtime_ns, path.parent.name, names))
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} cannot be read, so which checkpoints it names is not known and none is removed: remove "
                f"{path.parent}, and a run writes it again where it still can"
            ) from error
    return {report: names for _, _, report, names in sorted(dated, reverse=True)}


def _list_predicted(root: Path) -> set[str]:
    """List what predictions were made with."""
    found: set[str] = set()
    for path in (root / "predictions").glob("*/prediction.json"):
        content = _read(path)
        provenance = content.get("provenance", {}) if isinstance(content, Mapping) else {}
        for text in provenance.get("checkpoints", {}).values():
            found |= set(Path(str(text).partition(" sha256:")[0]).parts)
    return found


def _list_starts(root: Path, needed: Iterable[str]) -> set[str]:
    """List what trainings go on from that are not over yet."""
    found: set[str] = set()
    for name in needed:
        folder = root / "checkpoints" / name
        decision = None if (folder / "training.json").exists() else _read(folder / "start.json")
        if isinstance(decision, Mapping):
            found.add(f"{name.partition('-')[0]}-{decision.get('start')}")
    return found


def _read(path: Path) -> Any:
    """Read JSON; None where that cannot be done."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


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

"""What failed in the last run, for whoever asks after it: `failures.json` of the folder of runs."""

import json
from collections.abc import Sequence
from pathlib import Path

from store import files


def read_failures(folder: Path) -> list[str]:
    """Read what failed in the last run, a sentence each."""
    path = _path(folder)
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def write_failures(folder: Path, failures: Sequence[str]) -> None:
    """Write what has failed so far: at once, since nobody knows how a process ends."""
    files.write_json(_path(folder), list(failures))


def clear_failures(folder: Path) -> None:
    """Forget the last run's, since another one begins."""
    if read_failures(folder):
        write_failures(folder, [])


def _path(folder: Path) -> Path:
    return folder / "failures.json"

"""What failed in the last run, for whoever asks after it: a file for each failure in `failures/` of the folder of runs.

Hosts that share the folder write at the same time; none writes a file anew that another one has written.
"""

import hashlib
import time
from pathlib import Path

from store import files
from store.json_files import check_integer, check_text, read_object

#: Where earlier releases wrote all of them.
_OLD_FILE = "failures.json"


def read_failures(folder: Path) -> list[str]:
    """Read what failed in the last run, a sentence each, the first one first."""
    found = []
    for path in _folder(folder).glob("*.json"):
        try:
            entry = read_object(path)
            host, sentence = check_text(entry["host"], "host"), check_text(entry["failure"], "failure")
            when = check_integer(entry["time"], "time")
        except FileNotFoundError:  # done meanwhile
            continue
        except (OSError, ValueError, KeyError):
            host, sentence, when = "", f"{path} cannot be read; remove it", 0
        found.append((when, f"on {host}: {sentence}" if host else sentence))
    return [sentence for _, sentence in sorted(found)]


def write_failure(folder: Path, key: str, failure: str, *, host: str = "") -> None:
    """Write that something failed: at once, since nobody knows how a process ends.

    Args:
        folder: Of the runs.
        key: What failed, the same on each host.
        failure: A sentence.
        host: Of this process where there may be others; "" for the only one.
    """
    entry = {"host": host, "failure": failure, "time": time.time_ns()}
    files.write_json(_folder(folder) / f"{_digest(key)}-{_digest(host)}.json", entry)


def forget_failure(folder: Path, key: str) -> None:
    """Forget that something failed, on whichever host, since it is done."""
    for path in _folder(folder).glob(f"{_digest(key)}-*.json"):
        path.unlink(missing_ok=True)


def clear_failures(folder: Path) -> None:
    """Forget all, since all is done, or since a run begins that is the only one."""
    for path in [*_folder(folder).glob("*.json"), folder / _OLD_FILE]:
        path.unlink(missing_ok=True)


def _folder(folder: Path) -> Path:
    return folder / "failures"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

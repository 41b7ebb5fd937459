"""What failed in the last run, for `status` and for other hosts: one file for each failure, in `[run] root`/failures/.

Hosts that share the folder write at the same time; no host replaces a file of another host.
"""

import hashlib
import time
from pathlib import Path

from store import files
from store.json_files import check_integer, check_text, read_object

#: The single file in which earlier releases wrote all failures.
_OLD_FILE = "failures.json"


def read_failures(folder: Path) -> list[str]:
    """Read what failed in the last run: one sentence for each failure, the earliest first."""
    found = []
    for path in _folder(folder).glob("*.json"):
        try:
            entry = read_object(path)
            host, sentence = check_text(entry["host"], "host"), check_text(entry["failure"], "failure")
            when = check_integer(entry["time"], "time")
        except FileNotFoundError:  # the failed work was done in the meantime
            continue
        except (OSError, ValueError, KeyError):
            host, sentence, when = "", f"{path} cannot be read; remove it", 0
        found.append((when, f"on {host}: {sentence}" if host else sentence))
    return [sentence for _, sentence in sorted(found)]


def write_failure(folder: Path, key: str, failure: str, *, host: str = "") -> None:
    """Record a failure, immediately: the process may be killed before its end.

    Args:
        folder: The folder of runs.
        key: Names what failed, the same on each host.
        failure: A sentence.
        host: The name of this host where several hosts may work; "" where this is the only one.
    """
    entry = {"host": host, "failure": failure, "time": time.time_ns()}
    files.write_json(_folder(folder) / f"{_digest(key)}-{_digest(host)}.json", entry)


def forget_failure(folder: Path, key: str) -> None:
    """Forget the failures recorded under a key, on all hosts: the work is done now."""
    for path in _folder(folder).glob(f"{_digest(key)}-*.json"):
        path.unlink(missing_ok=True)


def clear_failures(folder: Path) -> None:
    """Forget all failures: all work is done, or a run begins that is the only one."""
    for path in [*_folder(folder).glob("*.json"), folder / _OLD_FILE]:
        path.unlink(missing_ok=True)


def _folder(folder: Path) -> Path:
    return folder / "failures"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""An OSError in one sentence, for commands, which print it in place of a traceback."""

import os
from pathlib import Path

from store.files import FULL


def explain(error: OSError) -> str:
    """Say which file the system refused and why; if the disk is full, also how much room is left and what to do.

    >>> explain(OSError(13, "Permission denied", "/x/y"))
    '/x/y: Permission denied'
    """
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno not in FULL:
        return f"{name}: {reason}" if name else reason
    what = f"{name} cannot be written" if name else "the output cannot be written"
    free = f"; {count_free(Path(name)):,} bytes are free there" if name else ""
    return f"{what} ({reason}){free}; make room or name another place, and give the same command again"


def count_free(path: Path) -> int:
    """Count the bytes that a user may still write to a path's disk; for a missing path, that of the nearest folder."""
    for place in (path.absolute(), *path.absolute().parents):
        try:
            state = os.statvfs(place)
        except OSError:
            continue
        return state.f_bavail * state.f_frsize
    return 0

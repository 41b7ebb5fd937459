"""One run a store: a lock that the kernel lets go of however the process ends."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from store.errors import StoreInUseError


@contextlib.contextmanager
def locked(store: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a store's lock.

    Args:
        store: The store's folder; made if it is not there.
        shared: Whether others may hold it shared too, as hosts that one scheduler keeps apart do.

    Raises:
        StoreInUseError: Another process holds it; says which.
    """
    store.mkdir(parents=True, exist_ok=True)
    path = store / ".lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreInUseError(
                f"{store} is in use by {_owner(path)}; wait for it to end, or let hosts share the store through luigid "
                "([core] scheduler_host)"
            ) from error
        except OSError:
            # Some network file systems have no locks; files are whole or absent all the same.
            yield
            return
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        file.flush()
        yield


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['process']} on {owner['host']}"
    except (OSError, ValueError, KeyError):
        return "another process"

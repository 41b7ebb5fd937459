"""The lock that lets one process at a time change a store; the kernel releases it however the process ends."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from store.errors import StoreError, StoreInUseError, StoreReadOnlyError
from store.json_files import read_object
from store.text import escape

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextlib.contextmanager
def locked(store: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a store's lock.

    Args:
        store: The store's folder; made if it is not there.
        shared: Whether other processes may also hold the lock as shared: hosts that one scheduler coordinates do.

    Raises:
        StoreInUseError: Another process holds the lock; the message says which.
        StoreReadOnlyError: This process may not write to the folder, or to the lock's file in it.
        StoreError: The lock's file cannot be opened for another reason.
    """
    path = store / ".lock"
    with _open(path) as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreInUseError(
                f"{store} is in use by {_owner(path)}; wait for it to end, or let hosts share the store through luigid "
                "([core] scheduler_host)"
            ) from error
        except OSError:
            # Some network file systems have no locks. Even then, each file is whole or absent.
            yield
            return
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        file.flush()
        yield


def _open(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In a store from someone else, the lock's file may be a link to a file that would be emptied.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o666)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a file")
        return os.fdopen(descriptor, "a+", encoding="utf-8")
    except OSError as error:
        kind = StoreReadOnlyError if error.errno in _FORBIDDEN else StoreError
        raise kind(
            f"{path.parent} cannot be changed: {path} cannot be opened for writing ({error.strerror}); check who may "
            "write there, or give another [store] root. Commands that only read need no write permission"
        ) from error


def _owner(path: Path) -> str:
    try:
        owner = read_object(path)
        return escape(f"process {owner['process']} on {owner['host']}"[:200])
    except (OSError, ValueError, KeyError):
        return "another process"

"""Opening a run under the store's lock: what was read before could be erased or compacted meanwhile."""

import contextlib
from pathlib import Path

from pipeline.runs.opening import open_run
from pipeline.runs.run import Run
from pipeline.settings import config
from store.errors import StoreReadOnlyError
from store.layout import OWN_FOLDERS
from store.lock import locked


def open_locked(lock: contextlib.ExitStack, unlabelled: Path | None, *, trains: bool) -> tuple[Run, bool]:
    """Take the store's lock, then read everything.

    Args:
        lock: What lets go of it.
        unlabelled: See `open_run`.
        trains: See `open_run`.

    Returns:
        The run, and whether the store may be changed, which it need not be where it has everything.

    Raises:
        UserError: As `open_run`.
        StoreError: Another process works on the store, or it may not be changed and something is to be done to it.
    """
    config.load()
    store = Path(config.store().root)
    # What cannot be used is told before a folder for the store is made; and a store that is not there has no lock.
    found = None if store.exists() else open_run(unlabelled, trains=trains)
    refused = None
    try:
        lock.enter_context(locked(store, shared=not config.is_scheduler_local()))
    except StoreReadOnlyError as error:
        refused = error
    is_new = not any((store / name).exists() for name in OWN_FOLDERS)
    run = found if found is not None and is_new else open_run(unlabelled, trains=trains)
    if refused is not None and (run.pending or run.taken):
        raise refused
    return run, refused is None

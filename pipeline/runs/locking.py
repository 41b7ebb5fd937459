"""Taking the store's lock before a run is opened: what is read without it could be erased or compacted meanwhile."""

import contextlib
from pathlib import Path

from pipeline.runs.opening import open_run
from pipeline.runs.run import Run
from pipeline.settings import config
from store.errors import StoreReadOnlyError
from store.layout import OWN_FOLDERS
from store.lock import locked


def lock_store(
    lock: contextlib.ExitStack, unlabelled: Path | None, *, trains: bool
) -> tuple[StoreReadOnlyError | None, Run | None]:
    """Take the store's lock.

    Args:
        lock: The stack that holds the lock; closing it releases the lock.
        unlabelled: See `open_run`.
        trains: See `open_run`.

    Returns:
        The error that says why this user may not write to the store, or None where they may (a store that already has
        everything need not be written); and the run, or None where it is still to be opened.

    Raises:
        UserError: The same as from `open_run`.
        StoreError: Another process works on the store.
    """
    config.load()
    store = Path(config.store().root)
    # For a new store the run is opened first: faults of the input are reported before the store's folder is made.
    found = None if store.exists() else open_run(unlabelled, trains=trains)
    refused = None
    try:
        lock.enter_context(locked(store, shared=not config.is_scheduler_local()))
    except StoreReadOnlyError as error:
        refused = error
    is_new = not any((store / name).exists() for name in OWN_FOLDERS)
    return refused, found if is_new else None

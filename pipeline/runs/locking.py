"""Opening a run under the store's lock: what was read before could be erased or compacted meanwhile."""

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
        lock: What lets go of it.
        unlabelled: See `open_run`.
        trains: See `open_run`.

    Returns:
        Why the store may not be changed, which it need not be where it has everything, None where it may; and the
        run, where it had to be opened already.

    Raises:
        UserError: As `open_run`.
        StoreError: Another process works on the store.
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
    return refused, found if is_new else None

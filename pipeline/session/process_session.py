"""This process's session: opened by `start_session`, closed by `close_session`, and held nowhere else.

Luigi's command line has no place to call the latter from, so it is called when the process ends
(docs/decisions/015-one-session.md); whatever is to last has been written by then, by the tasks.
"""

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

from luigi.retcodes import retcode

from pipeline.errors import UserError
from pipeline.process import explain_interrupt, leave, raise_file_limit, was_interrupted
from pipeline.runs.locking import open_locked
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.session.session import Predictions, Session
from pipeline.settings import config
from pipeline.training.data import TrainingData
from pipeline.training.folds import check_folds
from store.errors import StoreError

_open: list[Session] = []


def current_session(*, trains: bool = False) -> Session:
    """Give this process's session; without one, open that of the settings.

    Args:
        trains: See `open_run`.

    Raises:
        SystemExit: Settings, data or weights have to be mended first; standard error says what, where and how.
    """
    return _open[0] if _open else start_session(trains=trains)


def start_session(
    unlabelled: Path | None = None,
    prepare: Callable[[], Callable[[TrainingData], Predictions]] | None = None,
    *,
    trains: bool = False,
) -> Session:
    """Open this process's session: read everything, take the store's lock, and write what a run says before its work.

    Args:
        unlabelled: A folder of clips to predict, instead of those of the CSV files.
        prepare: Reads the checkpoints, and gives what makes the predictions of the clips; asked before anything is
            locked or written.
        trains: See `open_run`.

    Raises:
        SystemExit: As `current_session`.
    """
    assert not _open, "one session a process"
    raise_file_limit()
    lock = contextlib.ExitStack()
    try:
        predict = None if prepare is None else prepare()
        run, changes_store = open_locked(lock, unlabelled, trains=trains)
        if trains:
            check_folds(run)
        is_idle = not run.pending
        if not is_idle:
            from pipeline.stages.ready import check_ready

            check_ready(run, trains=trains)
        session = Session(run, lock, predict)
        session.begin(changes_store=changes_store, is_idle=is_idle)
    except BaseException as error:
        lock.close()
        if isinstance(error, UserError | StoreError):
            leave(error)
        if isinstance(error, OSError):
            leave(describe_failure(error, name_folders()))
        raise
    gc.freeze()  # what has been read stays: there is no garbage in it to be looked for again and again
    _open.append(session)
    atexit.register(_close_at_exit)
    sys.excepthook = explain_interrupt
    return session


def close_session() -> None:
    """Close this process's session, if there is one; what goes wrong in it is raised."""
    if _open:
        _open.pop().close()


def _close_at_exit() -> None:
    """Close the session when the process ends, and see to an exit code that tells the truth.

    Python ignores what is raised here, and Luigi has chosen its code already: a fault of the closing would hide, and a
    host of several would say that something was not run when all of it is there.
    """
    if not _open:
        return
    session, code = _open[0], None
    try:
        if not config.is_scheduler_local() and not was_interrupted() and session.is_whole():
            code = 0
        close_session()
    except BrokenPipeError:
        code = 0 if code == 0 else None  # nobody reads what is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BaseException as error:
        print(f"the run could not be closed: {describe_failure(error, name_folders())}", file=sys.stderr)
        code = retcode().unhandled_exception
    if code is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

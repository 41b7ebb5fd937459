"""This process's session: `start_session` opens it, `close_session` closes it, and only this module holds it.

Luigi's command line offers no place to call `close_session`, so it is called when the process ends
(docs/decisions/015-one-session.md). By then the tasks have written all their results.
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
from pipeline.runs.locking import lock_store
from pipeline.runs.opening import Frame, open_run, read_frame, telling_faults
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.run import Run
from pipeline.session.predictions import Predictions
from pipeline.session.session import Session
from pipeline.session.settled_session import SettledSession
from pipeline.settings import config
from pipeline.training.data import TrainingData
from pipeline.training.folds import check_folds
from pipeline.training.settled import find_settled
from store.errors import StoreError

_open: list[Session | SettledSession] = []


def current_session() -> Session:
    """Give this process's session, which may have work to do; open one from the settings if there is none.

    Raises:
        SystemExit: Settings, data or weights must be corrected first; standard error says what, where and how.
    """
    session = _open[0] if _open else start_session()
    assert isinstance(session, Session), "a settled session has nothing to do"
    return session


def open_session(*, trains: bool) -> Session | SettledSession:
    """Give this process's session, which may be a settled one; open one from the settings if there is none.

    Args:
        trains: See `open_run`.

    Raises:
        SystemExit: The same as from `current_session`.
    """
    return _open[0] if _open else start_session(trains=trains, may_be_settled=True)


def start_session(
    unlabelled: Path | None = None,
    prepare: Callable[[], Callable[[TrainingData], Predictions]] | None = None,
    *,
    trains: bool = False,
    may_be_settled: bool = False,
) -> Session | SettledSession:
    """Open this process's session: take the store's lock, read everything, and write the run's plans and listing.

    Args:
        unlabelled: A folder of clips to predict, instead of the clips of the CSV files.
        prepare: Reads the checkpoints and gives a function that makes the predictions of the clips; called before
            anything is locked or written.
        trains: See `open_run`.
        may_be_settled: Whether the session may skip looking at each clip where nothing has changed since a run found
            everything done (`pipeline.training.settled`).

    Raises:
        SystemExit: The same as from `current_session`.
    """
    assert not _open, "one session a process"
    raise_file_limit()
    lock = contextlib.ExitStack()
    try:
        predict = None if prepare is None else prepare()
        refused, run = lock_store(lock, unlabelled, trains=trains)
        session: Session | SettledSession | None = None
        with telling_faults():
            frame = Frame.of(run) if run else read_frame(is_labelled=unlabelled is None, trains=trains)
        # A process with a scheduler of its own holds the lock alone. Otherwise other hosts may change the store now.
        if may_be_settled and config.is_scheduler_local():
            session = _find_settled(frame, lock, trains=trains, changes_store=refused is None)
        if session is None:
            run = run or open_run(unlabelled, trains=trains, frame=frame)
            if refused is not None and (run.pending or run.taken):
                raise refused
            session = _begin(run, lock, predict, trains=trains, changes_store=refused is None)
    except BaseException as error:
        lock.close()
        if isinstance(error, UserError | StoreError):
            leave(error)
        if isinstance(error, OSError):
            leave(describe_failure(error, name_folders()))
        raise
    gc.freeze()  # what was read stays in memory until the end, so the garbage collector need not search it each time
    _open.append(session)
    atexit.register(_close_at_exit)
    sys.excepthook = explain_interrupt
    return session


def _find_settled(
    frame: Frame, lock: contextlib.ExitStack, *, trains: bool, changes_store: bool
) -> SettledSession | None:
    settled = find_settled(frame, trains=trains)
    if settled is None:
        return None
    session = SettledSession(frame, settled, lock, trains=trains)
    session.begin(changes_store=changes_store)
    return session


def _begin(
    run: Run,
    lock: contextlib.ExitStack,
    predict: Callable[[TrainingData], Predictions] | None,
    *,
    trains: bool,
    changes_store: bool,
) -> Session:
    if trains:
        check_folds(run)
    is_idle = not run.pending
    if not is_idle:
        from pipeline.stages.ready import check_ready

        check_ready(run, trains=trains)
    session = Session(run, lock, predict, trains=trains)
    session.begin(changes_store=changes_store, is_idle=is_idle)
    return session


def close_session() -> None:
    """Close this process's session, if there is one; errors while closing are raised."""
    if _open:
        try:
            # Closing asks the tasks whether all is done, and they ask for the session: it stays current until then.
            _open[0].close()
        finally:
            _open.clear()


def _close_at_exit() -> None:
    """Close the session when the process ends, and correct the exit code where it would be wrong.

    Python ignores errors that are raised here, and Luigi has chosen its exit code already. So an error while closing
    would stay hidden, and one of several hosts would report that tasks were not run although all of them are done.
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

"""The session where nothing has changed since a run found everything done: no clip is looked at again."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.chain import REPORT_TITLE
from pipeline.progress import Progress, logger
from pipeline.runs.beginning import remove_leftovers_beside
from pipeline.runs.opening import Frame
from pipeline.session.closing import (
    NEXT_WITH_REPORT,
    NEXT_WITHOUT_TRAINING,
    log_stages,
    make_clips_table,
    make_stages_table,
    print_end,
    print_report,
)
from pipeline.session.starting import open_run_log
from pipeline.training.settled import Settled
from store.layout import listings_folder


class SettledSession:
    """A session without work: it prints what `Session` prints when everything is done.

    Args:
        frame: The run's frame: its settings, stages and weights.
        settled: The facts that the last run left for this session.
        lock: The stack that holds the store's lock; closing the session closes it.
        trains: Whether trainings and report were asked for, and not the features alone.
    """

    is_settled = True

    def __init__(self, frame: Frame, settled: Settled, lock: contextlib.ExitStack, *, trains: bool) -> None:
        self._frame = frame
        self._settled = settled
        self._lock = lock
        self._trains = trains
        self._progress = Progress()
        self._started = time.monotonic()
        self._log: Path | None = None
        self.is_whole: Callable[[], bool] = lambda: True

    def begin(self, *, changes_store: bool) -> None:
        """Do what `Session.begin` does for a run without work: mark its listing as the newest, and open the log."""
        frame = self._frame
        if changes_store:
            os.utime(listings_folder(frame.store) / f"{frame.name}.json")  # the newest listing is the one that counts
            remove_leftovers_beside(frame.store, frame.fingerprints, frame.folder)
        self._log, _ = open_run_log(frame.folder, self._progress.console, is_idle=True)
        for warning in self._settled.warnings:
            logger.warning("%s", warning)
        results = [*self._settled.networks, (REPORT_TITLE, 1)] if self._trains else []
        for title, _ in (*self._settled.stages, *results):
            self._progress.expect(title, 0)

    def close(self) -> None:
        """Print the tables and the report's scores, and release the lock."""
        with self._lock:
            self._progress.stop()
            console, settled = self._progress.console, self._settled
            console.print(make_clips_table(settled.counts))
            # The features of vanished clips are kept, and count like the others.
            reused = {title: count + settled.vanished for title, count in settled.stages}
            console.print(make_stages_table(self._progress.stages, reused))
            log_stages(self._progress.stages)
            logger.info("nothing has changed since the last run, which found everything there")
            report = self._frame.folder / "latest" / "report.json"
            is_reported = self._trains and report.exists()
            if is_reported:
                print_report(report, self._frame.folder)
            following: tuple[str, ...] = NEXT_WITH_REPORT if is_reported else ("valar run",)
            if self._frame.untrainable:
                following = NEXT_WITHOUT_TRAINING
            print_end(console, time.monotonic() - self._started, self._log, following)

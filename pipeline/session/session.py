"""One process's work on a run: the run, the store's lock, progress, failures, and what is printed at the end.

There is at most one session in a process; process_session.py opens and closes it. Only the session holds the lock.
"""

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.chain import FOLDS_TITLE, NETWORK_TITLES, PAGES_TITLE, PREDICT_TITLE, REPORT_TITLE
from pipeline.errors import UserError
from pipeline.progress import Progress, format_seconds, logger
from pipeline.report.clip_pages import FOLDER as PAGES_FOLDER
from pipeline.report.clip_pages import write_clip_pages
from pipeline.report.features_check import describe_unread
from pipeline.runs.beginning import begin
from pipeline.runs.opening import Frame
from pipeline.runs.outcome.ledger import count_statuses, format_ledger
from pipeline.runs.run import Run
from pipeline.session.closing import (
    NEXT_WITH_REPORT,
    NEXT_WITHOUT_TRAINING,
    keep_rates,
    log_stages,
    make_clips_table,
    make_stages_table,
    print_end,
    print_failures,
    print_report,
)
from pipeline.session.failure_notes import FailureNotes
from pipeline.session.predictions import Predictions
from pipeline.session.starting import open_run_log, tell_work
from pipeline.session.waiting import tell_waiting
from pipeline.settings import config
from pipeline.training.data import TrainingData
from pipeline.training.experiment import Experiment, note_needed, plan_trainings
from pipeline.training.folds import find_waiting, make_folds, train_folds
from pipeline.training.settled import look_at_made, write_settled
from store import files
from store.errors import StoreError

#: With at least this number of shards to do, the session says how long the scheduling took.
MANY_SHARDS = 1000


class Session:
    """The state that all tasks of this process share.

    Args:
        run: The opened run.
        lock: The stack that holds the store's lock; closing the session closes it.
        predict: Makes the predictions of the run's clips; None in a run on clips with labels.
        trains: Whether networks are to be trained.
    """

    #: True only in `SettledSession`: nothing has changed since a run that found everything done.
    is_settled = False

    def __init__(
        self,
        run: Run,
        lock: contextlib.ExitStack,
        predict: Callable[[TrainingData], Predictions] | None = None,
        *,
        trains: bool = False,
    ) -> None:
        self.run = run
        self._trains = trains
        self.progress = Progress()
        self.failures = FailureNotes(run.folder)
        #: Tells whether everything that was asked for is done, by this process or another; the root task sets it.
        self.is_whole: Callable[[], bool] = lambda: not self.run.pending
        self._lock = lock
        self._predict = predict
        self._started = time.monotonic()
        self._reused: dict[str, int] = {}
        self._log: Path | None = None
        self._num_pending = 0
        self._begun: float | None = None
        self._is_listed = True
        self._are_pages_refused = False
        self._folds: list[Experiment] = []

    def begin(self, *, changes_store: bool, is_idle: bool) -> None:
        """Write the plan and the listing, open the log, and say what is to be done.

        Args:
            changes_store: Whether this process may write to the store; if not, the store stays unchanged.
            is_idle: Whether the store has everything that the run needs; then `[run] root` may be read-only.
        """
        num_again, taken = len(self.run.sound_again), self.run.taken
        self._is_listed = changes_store
        if changes_store:
            self.run = begin(self.run)
        self._log, self.failures.hindrance = open_run_log(self.run.folder, self.progress.console, is_idle=is_idle)
        if not config.is_scheduler_local():
            tell_waiting(self.progress.say)
        self._reused, self._num_pending = tell_work(self.run, self.progress, taken, num_again)
        self._begun = time.monotonic()

    def work(self, stage: str, shard: str) -> None:
        """Do one stage of one shard."""
        from pipeline import stages

        title = self.run.titles[stage]
        self._tell_scheduling()
        try:
            with self.progress.working(title):
                stages.work_on(stage, stages.ShardJob(self.run, shard, lambda: self.progress.tick(title)))
        finally:
            self.run.close_shards(shard)
        self.failures.forget(f"{stage} of {shard}")

    def _tell_scheduling(self) -> None:
        """Say before the first shard how long the scheduling took, if there are many shards to do."""
        if self._begun is not None and self._num_pending >= MANY_SHARDS:
            self.progress.say(
                f"{self._num_pending} shards to do, scheduled in {format_seconds(time.monotonic() - self._begun)}"
            )
        self._begun = None

    @functools.cached_property
    def data(self) -> TrainingData:
        """The clips and their statuses; use it only after all shards are finished."""
        return TrainingData.read(self.run)

    @functools.cached_property
    def _ledger_text(self) -> str:
        return format_ledger(self.data.ledger.values())

    @property
    def ledger_path(self) -> Path:
        """The path of the ledger."""
        return self.run.folder / "ledger.csv"

    def is_ledger_written(self) -> bool:
        """Tell whether the ledger's file agrees with the store."""
        path = self.ledger_path
        return path.is_file() and path.read_bytes() == self._ledger_text.encode()

    def write_ledger(self) -> None:
        """Write the ledger, unless its file agrees with the store already."""
        if not self.is_ledger_written():
            files.write_text(self.ledger_path, self._ledger_text)

    @functools.cached_property
    def experiment(self) -> Experiment:
        """The trainings and the report; use it only after all shards are finished."""
        experiment = plan_trainings(self.data)
        for network, title in NETWORK_TITLES.items():
            epochs = self.run.settings.values(network)["epochs"]
            waiting = sum(not trainings.is_done(network) for trainings in experiment.trainings)
            self.progress.expect(title, waiting * epochs, "epochs")
        self.progress.expect(REPORT_TITLE, 0 if experiment.report_path.exists() else 1, "reports")
        return experiment

    def check_trainable(self) -> None:
        """Refuse to train where `[run] root` cannot be written, or on a device that this machine does not have.

        Raises:
            UserError: The message names the setting and the next step.
        """
        from pipeline.stages.device import check_devices, describe_idle_precision

        if self.failures.hindrance:
            raise UserError(self.failures.hindrance)
        check_devices(self.run.settings, trains=True)
        if idle := describe_idle_precision(self.run.settings):
            self.progress.say(f"! {idle}")
        if not self._is_listed:
            store = self.run.store
            logger.warning(
                "%s has no write permission, so this run is not listed there, and its owner's gc does not know this "
                "run",
                store,
            )

    def remember(self) -> None:
        """Save what later commands need: the shards' tables, and which checkpoints `gc` must keep."""
        self.run.remember_tables()
        if self._trains:
            note_needed([self.experiment, *self._folds])

    def train(self, network: str, fingerprint: str) -> None:
        """Train one network of one seed."""
        title = NETWORK_TITLES[network]
        trainings = self.experiment.find_trainings(network, fingerprint)
        which = f"seed {trainings.seed}: " if len(self.experiment.trainings) > 1 else ""
        on = "validation CCC" if self.run.settings.run.select_on == "validation" else "CCC on held-out clips"
        with self.progress.working(title):
            trainings.train(
                network,
                lambda m: self.progress.tick(
                    title,
                    f"{which}loss {m.loss:.4f}, {on} {m.total_ccc:.3f}, "
                    f"{m.num_train / m.train_seconds:.3g} utterances/s",
                    f"CCC {m.total_ccc:.3f}",
                ),
            )

    def write_report(self) -> None:
        """Predict every split with every network, and write the report."""
        from pipeline.report.publish import publish

        folds = self.train_folds() if self.run.settings.run.folds else []
        with self.progress.working(REPORT_TITLE):
            publish(self.experiment, {title: state.elapsed for title, state in self.progress.stages.items()}, folds)
            self.progress.tick(REPORT_TITLE)

    def write_pages(self) -> None:
        """Write the pages of the clips that are new or have changed, beside the reports, which link to them.

        An error is reported and does not stop the run: everything that the pages show is in the store and the report.
        """
        if not self.run.settings.run.pages:
            return

        def show(done: int, total: int) -> None:
            if done:
                self.progress.tick(PAGES_TITLE)
            else:
                self.progress.expect(PAGES_TITLE, total, "pages")

        try:
            with self.progress.working(PAGES_TITLE):
                write_clip_pages(self.experiment, show)
        except (StoreError, OSError) as error:
            self._are_pages_refused = True
            self.progress.say(f"! the clips' pages are not written: {error}")

    @property
    def are_pages_written(self) -> bool:
        """Whether the newest report's clips have their pages, or have none for a reason that was reported."""
        if self._are_pages_refused or self.failures.hindrance or not self.run.settings.run.pages:
            return True
        return (self.experiment.report_folder / PAGES_FOLDER).is_dir()  # the link's folder may have been removed

    @functools.cached_property
    def predictions(self) -> Predictions:
        """The predictions of the clips; use it only after all shards are finished."""
        assert self._predict is not None, "this run predicts"
        predictions = self._predict(self.data)
        self.progress.expect(PREDICT_TITLE, 0 if predictions.are_there else 1, "files")
        return predictions

    def predict(self) -> None:
        """Write the predictions."""
        with self.progress.working(PREDICT_TITLE):
            self.predictions.write()
            self.progress.tick(PREDICT_TITLE)

    def train_folds(self) -> list[Experiment]:
        """Train each network on each fold; finished trainings are not repeated."""
        self._folds = folds = make_folds(self.run, self.run.settings.run.folds)
        self.remember()
        epochs = [self.run.settings.values(network)["epochs"] for _, network in find_waiting(folds)]
        self.progress.expect(FOLDS_TITLE, sum(epochs), "epochs")
        with self.progress.working(FOLDS_TITLE):
            train_folds(folds, lambda metrics: self.progress.tick(FOLDS_TITLE))
        return folds

    def close(self) -> None:
        """Print the clips' statuses and the work done, and release the lock, even if printing fails."""
        with self._lock:
            self.progress.stop()
            console = self.progress.console
            is_finished = not self.run.pending
            if is_finished:
                console.print(make_clips_table(count_statuses(self.data.ledger.values())))
            console.print(make_stages_table(self.progress.stages, self._reused))
            keep_rates(self.run.folder, self.progress.stages, self.run.titles)
            log_stages(self.progress.stages)
            print_failures(console, self.failures.list_all())
            if is_finished:
                if unread := describe_unread(self.data):
                    console.print(f"! {unread}", style="red", highlight=False, markup=False, soft_wrap=True)
                self._print_results()
                self.remember()
                self._settle()
            print_end(console, time.monotonic() - self._started, self._log, self._choose_next(is_finished))

    def _settle(self) -> None:
        """Record that everything is done, if it is, so that the next run need not look at each clip."""
        if self._predict is not None or self._are_pages_refused or not self._is_listed:
            return
        if not config.is_scheduler_local() or self.failures.told or self.failures.hindrance:
            return
        try:
            made = look_at_made(Frame.of(self.run))
        except OSError:  # without the record, the next run looks at each clip again
            return
        if not self.is_whole():
            return
        trainings = self.experiment.trainings if self._trains else []
        if all(each.is_done(network) for each in trainings for network in NETWORK_TITLES):
            write_settled(self.data, made, trains=self._trains, num_trainings=len(trainings))

    def _choose_next(self, is_finished: bool) -> tuple[str, ...]:
        """Choose the next command, or several to choose from."""
        if not is_finished or self.failures.told:
            return ("valar status",)
        if self._predict is not None:
            return ("valar evaluate TRUTH.csv PREDICTIONS.csv, if there are labels",)
        if self.run.untrainable:
            return NEXT_WITHOUT_TRAINING
        return NEXT_WITH_REPORT if self._trains and self.experiment.report_path.exists() else ("valar run",)

    def _print_results(self) -> None:
        """Print the scores and the report's path, or the predictions' path."""
        if self._predict is not None:
            if self.predictions.are_there:
                self.predictions.print()
        elif self._trains and self.experiment.report_path.exists():
            print_report(self.experiment.report_path, self.run.folder)

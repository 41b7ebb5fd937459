"""One process's work on a run: its tasks' glue, its progress, and what is printed when it ends."""

import atexit
import functools
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.table import Table

from pipeline import config
from pipeline.chain import FOLDS_TITLE, NETWORK_TITLES, PREDICT_TITLE, REPORT_TITLE, STAGE_TITLES
from pipeline.errors import TransientError, UserError
from pipeline.progress import Progress, format_seconds, open_log
from pipeline.report.opensmile_baseline import check_packages
from pipeline.report.tables import print_tables
from pipeline.runs.kept_crops import find_outputs, remove_spare_crops
from pipeline.runs.ledger import count_statuses, find_bad, write_ledger
from pipeline.runs.run import Run, current_run
from pipeline.training.data import TrainingData
from pipeline.training.experiment import Experiment, plan_trainings
from pipeline.training.folds import find_waiting, make_folds, train_folds
from store.errors import StoreError
from store.files import point_link, write_json

if TYPE_CHECKING:
    from pipeline.prediction.predicting import Predictions
    from pipeline.prediction.predictors import Ensemble
    from pipeline.stages import ShardJob

logger = logging.getLogger("valar")


class Session:
    """What the tasks of this process share.

    Args:
        run: The opened run.
        predictor: What predicts the run's clips; None in a run on clips with labels.
    """

    def __init__(self, run: Run, predictor: "Ensemble | None" = None) -> None:
        self.run = run
        self.predictor = predictor
        self.progress = Progress()
        self.log = open_log(run.folder / "logs", self.progress.console)
        self._started = time.monotonic()
        self._reused: dict[str, int] = {}
        self.failures: list[str] = []
        for stage, title in STAGE_TITLES.items():
            waiting = {shard for shard in run.pending if not self.is_done(stage, shard)}
            self.progress.expect(title, sum(len(run.plan.shards[shard].members) for shard in waiting))
            self._reused[title] = sum(shard not in waiting for shard in run.plan.assigned.values())
        for warning in run.dataset.warnings:
            logger.warning("%s", warning)
        if run.plan.new:
            clips = sum(len(run.plan.shards[shard].members) for shard in run.plan.new)
            logger.info("%d new or changed clips in %d new shards", clips, len(run.plan.new))

    def outputs(self, stage: str, shard: str) -> list[Path]:
        """Give the files that make a stage of a shard complete under the current settings."""
        return find_outputs(self.run, stage, shard)

    def is_done(self, stage: str, shard: str) -> bool:
        """Tell whether a stage of a shard is complete."""
        return all(path.exists() for path in self.outputs(stage, shard))

    def work(self, stage: str, shard: str) -> None:
        """Do one stage of one shard."""
        from pipeline import stages

        functions: dict[str, Callable[[ShardJob], None]] = {
            "wav": stages.extract_wav,
            "stft": stages.compute_stft,
            "frames": stages.extract_frames,
            "faces": stages.align_faces,
            "embeddings": stages.cache_face_features,
        }
        title = STAGE_TITLES[stage]
        with self.progress.working(title):
            functions[stage](stages.ShardJob(self.run, shard, lambda: self.progress.tick(title)))

    @functools.cached_property
    def data(self) -> TrainingData:
        """The clips of the finished shards; not to be asked for before they are."""
        return TrainingData.read(self.run)

    @functools.cached_property
    def experiment(self) -> Experiment:
        """The trainings and the report on the finished shards; not to be asked for before they are."""
        experiment = plan_trainings(self.data)
        write_ledger(self.data.ledger.values(), self.run.folder / "ledger.csv")
        for network, title in NETWORK_TITLES.items():
            epochs = config.settings_of(config.SECTIONS[network])["epochs"]
            waiting = sum(not trainings.is_done(network) for trainings in experiment.trainings)
            self.progress.expect(title, waiting * epochs, "epochs")
        self.progress.expect(REPORT_TITLE, 0 if experiment.report_path.exists() else 1, "reports")
        return experiment

    def train(self, network: str, fingerprint: str) -> None:
        """Train one network of one seed."""
        title = NETWORK_TITLES[network]
        trainings = self.experiment.find_trainings(network, fingerprint)
        which = f"seed {trainings.seed}: " if len(self.experiment.trainings) > 1 else ""
        with self.progress.working(title):
            trainings.train(
                network,
                lambda m: self.progress.tick(
                    title,
                    f"{which}loss {m.loss:.4f}, validation CCC {m.total_ccc:.3f}, "
                    f"{m.num_train / m.train_seconds:.3g} utterances/s",
                ),
            )

    def write_report(self) -> None:
        """Predict every split with every network, and write and link the report."""
        from pipeline.report.publish import publish

        folds = self.train_folds() if config.run().folds else []
        with self.progress.working(REPORT_TITLE):
            publish(self.experiment, {title: state.elapsed for title, state in self.progress.stages.items()}, folds)
            self.progress.tick(REPORT_TITLE)

    @functools.cached_property
    def predictions(self) -> "Predictions":
        """The predictions of the finished shards' clips; not to be asked for before they are."""
        from pipeline.prediction.predicting import Predictions

        assert self.predictor is not None, "this run predicts"
        predictions = Predictions(self.data, self.predictor)
        self.progress.expect(PREDICT_TITLE, 0 if predictions.are_there else 1, "files")
        return predictions

    def predict(self) -> None:
        """Write the predictions."""
        with self.progress.working(PREDICT_TITLE):
            self.predictions.write()
            self.progress.tick(PREDICT_TITLE)

    def train_folds(self) -> list[Experiment]:
        """Train each network on each fold; what is trained already is left alone."""
        folds = make_folds(self.run, config.run().folds)
        epochs = [config.settings_of(config.SECTIONS[network])["epochs"] for _, network in find_waiting(folds)]
        self.progress.expect(FOLDS_TITLE, sum(epochs), "epochs")
        with self.progress.working(FOLDS_TITLE):
            train_folds(folds, lambda metrics: self.progress.tick(FOLDS_TITLE))
        return folds

    def check_features(self) -> None:
        """Stop before training when the features cannot be what the user wants.

        Raises:
            TransientError: Clips that were there when the run was planned were gone when they were to be read.
            UserError: More than `[run] max_bad_fraction` of the files are bad.
        """
        ledger = self.data.ledger
        lost = [name for name in self.run.clips if "missing_file" in (ledger[name].sound, ledger[name].picture)]
        if lost:
            raise TransientError(
                f"{len(lost)} clips were gone or changed when they were to be read (the first: {lost[0]}); run again"
            )
        bad, limit = find_bad(ledger.values()), config.run().max_bad_fraction
        if len(bad) > limit * len(self.run.clips):
            raise UserError(
                f"{len(bad)} of the {len(self.run.clips)} files have no usable sound or picture, more than [run] "
                f"max_bad_fraction = {limit:g} of them (the first: {bad[0].utterance}, sound {bad[0].sound}, picture "
                f"{bad[0].picture}); see {self.run.folder / 'ledger.csv'}, then mend them or raise the limit"
            )
        self.data.check_trainable()
        if config.run().opensmile:
            check_packages()
        if config.run().folds:
            make_folds(self.run, config.run().folds)  # refuses what cannot be split before hours of training

    def close(self) -> None:
        """Remove the crops that are not to be kept, and print what there is and what was done."""
        for shard in self.run.plan.shards:  # also those of earlier runs, which kept them
            remove_spare_crops(self.run, shard)
        self.progress.stop()
        console = self.progress.console
        if not self.run.pending:
            self._print_clips()
        self._print_stages()
        for failure in self.failures:
            console.print(f"failed: {failure}", style="red", highlight=False, markup=False, soft_wrap=True)
        write_json(self.run.folder / "failures.json", self.failures)
        self.print_results()
        console.print(
            f"{format_seconds(time.monotonic() - self._started)} in all; log: {self.log}",
            highlight=False,
            soft_wrap=True,
        )

    def print_results(self) -> None:
        """Print the scores and where the report is; link it as the newest, also where an earlier run had made it."""
        if self.predictor is not None:
            if not self.run.pending and self.predictions.are_there:
                self.predictions.print()
        elif not self.run.pending and self.experiment.report_path.exists():
            folder = self.experiment.report_folder
            point_link(self.run.folder / "latest", Path(folder.parent.name) / folder.name)
            print_tables(json.loads(self.experiment.report_path.read_text(encoding="utf-8")))
            print(f"report: {self.run.folder / 'latest' / 'report.html'}", flush=True)

    def _print_clips(self) -> None:
        table = Table("split", "listed", "", "ok", "not ok", title="Clips")
        counts = count_statuses(self.data.ledger.values())
        for (split, part), statuses in counts.items():
            listed = str(statuses.total()) if part == "sound" else ""
            name = split if part == "sound" else ""
            others = ", ".join(f"{status} {n}" for status, n in sorted(statuses.items()) if status != "ok")
            table.add_row(name, listed, part, str(statuses["ok"]), others)
        self.progress.console.print(table)

    def _print_stages(self) -> None:
        table = Table("stage", "done", "reused", "time", "rate", title="Stages")
        for title, state in self.progress.stages.items():
            reused = str(self._reused[title]) if title in self._reused else "" if state.total else "yes"
            time_spent = format_seconds(state.elapsed) if state.elapsed else ""
            rate = f"{state.rate:.3g} {state.unit}/s" if state.done else ""
            done = f"{state.done}/{state.total}" if state.done < state.total else str(state.done)
            table.add_row(title, done, reused, time_spent, rate)
        self.progress.console.print(table)


_sessions: list[Session] = []


def current_session() -> Session:
    """Give this process's session; without one, open that of the settings.

    Raises:
        SystemExit: Settings, data or weights have to be mended first; the message says what, where and how.
    """
    return _sessions[0] if _sessions else start_session(lambda: Session(current_run()))


def start_session(make: Callable[[], Session]) -> Session:
    """Open this process's session, unless there is one.

    Raises:
        SystemExit: As `current_session`.
    """
    if not _sessions:
        try:
            _sessions.append(make())
        except (UserError, StoreError) as error:
            # Luigi would print a traceback of anything else.
            raise SystemExit(f"{error}") from None
        atexit.register(_sessions[0].close)
        sys.excepthook = _explain_interrupt
    return _sessions[0]


def _explain_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Answer Ctrl-C with a sentence; a traceback of wherever it struck tells nobody anything."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped: what is finished is kept, and the same command goes on from there", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


__all__ = ["Session", "current_session", "start_session"]

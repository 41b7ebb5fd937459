"""The Luigi tasks: what each one requires, and what it leaves. The work itself is in pipeline/stages/."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import luigi

from pipeline.errors import UserError
from pipeline.process import leave
from pipeline.report.features_check import check_features
from pipeline.session.process_session import current_session, open_session, start_session
from pipeline.settings import config
from pipeline.shard_tasks import (
    AlignFaces,
    CacheFaceFeatures,
    ComputeStft,
    ExtractFrames,
    ExtractWav,
    ShardTask,
    find_shard_tasks,
)
from pipeline.training.seed_trainings import Trainings

# Luigi reads [core], [worker] and [retcode] before it makes a task. The run's own settings are read and checked later.
config.lay_files()


class StoreTask(luigi.Task):
    """A task on the whole store of tasks.cfg. Its two folders identify it where one luigid serves several stores."""

    store = luigi.Parameter(default="", description="taken from [store] root, whatever is given")
    root = luigi.Parameter(default="", description="taken from [run] root, whatever is given")

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        """Take both folders from the settings; values from the command line are ignored."""
        try:
            config.load_once()
        except UserError as error:
            leave(error)
        values = dict(super().get_param_values(params, args, kwargs))
        folders = {"store": config.store().root, "root": config.run().root}
        return list({**values, **{name: str(Path(path).resolve()) for name, path in folders.items()}}.items())


class _AllShards(StoreTask):
    """A task that needs the features of all clips."""

    trains: ClassVar[bool] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Opened here, so that errors in settings or data are reported before Luigi starts.
        self.is_settled = open_session(trains=self.trains).is_settled
        open_session(trains=self.trains).is_whole = self.complete

    def requires(self) -> list[ShardTask]:
        """Need what is not done yet."""
        return [] if self.is_settled else find_shard_tasks(current_session().run)


class Features(_AllShards):
    """All features of all clips, and the ledger."""

    def complete(self) -> bool:
        """Return whether every shard is finished and the ledger is written."""
        if self.is_settled:
            return True
        session = current_session()
        return not session.run.pending and session.is_ledger_written()

    def run(self) -> None:
        """Write the ledger; the features are there."""
        current_session().write_ledger()


class TrainTask(StoreTask):
    """One network's training."""

    fingerprint = luigi.Parameter(description="name of the checkpoints")

    network: ClassVar[str]

    @classmethod
    def of(cls, trainings: Trainings) -> "TrainTask":
        """Make the task of one seed's trainings."""
        return cls(fingerprint=trainings.fingerprints[cls.network])

    @property
    def trainings(self) -> Trainings:
        """The trainings that the fingerprint belongs to."""
        return current_session().experiment.find_trainings(self.network, self.fingerprint)

    def output(self) -> luigi.LocalTarget:
        """Return the file that is written after the checkpoints."""
        return luigi.LocalTarget(str(self.trainings.done_path(self.network)))

    def run(self) -> None:
        """Train."""
        current_session().train(self.network, self.fingerprint)


class TrainANet(TrainTask):
    """STFT maps to arousal and valence."""

    network, priority = "anet", 2


class TrainVNet(TrainTask):
    """Faces to arousal and valence."""

    network, priority = "vnet", 1


class TrainJoint(TrainTask):
    """Both to arousal and valence, from the two trained networks."""

    network = "joint"

    def requires(self) -> list[TrainTask]:
        """Need both single networks of the same seed."""
        return [TrainANet.of(self.trainings), TrainVNet.of(self.trainings)]


class Report(StoreTask):
    """Predictions, scores and tables."""

    fingerprint = luigi.Parameter(description="name of the report")

    def requires(self) -> list[TrainTask]:
        """Need all three networks of each seed."""
        tasks = (TrainANet, TrainVNet, TrainJoint)
        return [task.of(trainings) for trainings in current_session().experiment.trainings for task in tasks]

    def output(self) -> luigi.LocalTarget:
        """Leave report.json."""
        return luigi.LocalTarget(str(current_session().experiment.report_path))

    def run(self) -> None:
        """Predict every split with every network and write the report."""
        current_session().write_report()


class FullRun(_AllShards):
    """Everything: features, three networks, the report.

    Where hosts share the work through luigid, each host has a FullRun of its own. The trainings get their names only
    when the features exist. With its own FullRun, each host learns these names and can take a training, also one of a
    host that died.
    """

    host = luigi.Parameter(default="", description="set by itself, whatever is given")

    trains = True

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        """Add the name of this process where other processes may share the work."""
        values = dict(super().get_param_values(params, args, kwargs))
        host = "" if config.is_scheduler_local() else f"{socket.gethostname()}-{os.getpid()}"
        return list({**values, "host": host}.items())

    def complete(self) -> bool:
        """Return whether the report on the present features and the clips' pages are written."""
        if self.is_settled:
            return True
        session = current_session()
        if session.run.pending or not session.is_ledger_written() or not session.experiment.is_reported:
            return False
        return session.are_pages_written

    def run(self) -> Iterator[luigi.Task]:
        """Go on to the trainings, whose fingerprints are known only when the features are there."""
        session = current_session()
        session.check_trainable()
        session.write_ledger()
        check_features(session.data)
        session.remember()
        yield Report(fingerprint=session.experiment.report_fingerprint)
        session.experiment.link_report()
        session.write_pages()


class Predict(StoreTask):
    """Arousal and valence of clips without labels."""

    videos = luigi.Parameter(default="", description="folder of clips, or of folders of clips")
    checkpoint = luigi.Parameter(
        default="",
        description="folders of trained networks, commas between them or a JSON list; Joint of the newest report",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        from pipeline.prediction.predicting import prepare_predictions

        self.session: Any = start_session(Path(self.videos), lambda: prepare_predictions(self.videos, self.checkpoint))
        self.session.is_whole = self.complete

    def requires(self) -> list[ShardTask]:
        """Need the missing features."""
        return find_shard_tasks(self.session.run)

    def complete(self) -> bool:
        """Return whether the predictions are written."""
        return not self.session.run.pending and self.session.predictions.are_there

    def run(self) -> None:
        """Predict."""
        self.session.predict()


__all__ = [
    "AlignFaces", "CacheFaceFeatures", "ComputeStft", "ExtractFrames", "ExtractWav",
    "Features", "FullRun", "Predict", "Report", "TrainANet", "TrainJoint", "TrainVNet",
]  # fmt: skip

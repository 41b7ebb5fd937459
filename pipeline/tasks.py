"""The Luigi tasks: what needs what, and what is there when it is done. The work itself is in pipeline/stages/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import luigi

from pipeline import config
from pipeline.errors import UserError, describe_failure
from pipeline.runs.run import current_run
from pipeline.session import Session, current_session, start_session
from pipeline.training.seed_trainings import Trainings

try:
    config.load()
except UserError as error:
    raise SystemExit(f"{error}") from None


class ShardTask(luigi.Task):
    """One stage of one shard. The store's folder is a parameter, since one luigid may serve several stores.

    The later stage goes first: a shard's crops are embedded while they are still in memory, and where crops are not
    kept no more than one shard's are ever on the disk.
    """

    store = luigi.Parameter(description="folder of the feature store")
    shard = luigi.Parameter(description="id of the shard")
    fingerprint = luigi.Parameter(description="name of the stage set")

    stage: ClassVar[str]
    before: ClassVar["type[ShardTask] | None"] = None

    @classmethod
    def of(cls, shard: str) -> "ShardTask":
        """Make the task of a shard under the current settings."""
        run = current_session().run
        return cls(store=str(run.store.resolve()), shard=shard, fingerprint=run.fingerprints[cls.stage])

    def requires(self) -> "list[ShardTask]":
        """Need the stage before."""
        return [] if self.before is None else [self.before.of(self.shard)]

    def output(self) -> list[luigi.LocalTarget]:
        """Leave the shard's file, and what the settings keep beside it."""
        return [luigi.LocalTarget(str(path)) for path in current_session().outputs(self.stage, self.shard)]

    def run(self) -> None:
        """Do the stage."""
        current_session().work(self.stage, self.shard)


@luigi.Task.event_handler(luigi.Event.FAILURE)
def note_failure(task: luigi.Task, error: BaseException) -> None:
    """Keep one sentence of what failed for the end of the run and for `python -m pipeline status`."""
    shard = f" of shard {task.shard}" if isinstance(task, ShardTask) else ""
    session = current_session()
    session.failures.append(f"{type(task).__name__}{shard}: {describe_failure(error, session.run.store)}")


class ExtractWav(ShardTask):
    """Video to 16 kHz mono WAV."""

    stage, priority = "wav", 1


class ComputeStft(ShardTask):
    """WAV to short-time Fourier transform."""

    stage, before, priority = "stft", ExtractWav, 2


class ExtractFrames(ShardTask):
    """Video to frame table, and JPEG frames where they are to be kept."""

    stage, priority = "frames", 3


class AlignFaces(ShardTask):
    """Frames to the speaker's aligned faces."""

    stage, before, priority = "faces", ExtractFrames, 4


class CacheFaceFeatures(ShardTask):
    """Aligned faces to SphereFace embeddings."""

    stage, before, priority = "embeddings", AlignFaces, 5


class StoreTask(luigi.Task):
    """A task on the whole store that tasks.cfg names. Both folders tell it apart where one luigid serves several."""

    store = luigi.Parameter(default="", description="taken from [store] root, whatever is given")
    root = luigi.Parameter(default="", description="taken from [run] root, whatever is given")

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        """Take the folders from the settings, whatever is given."""
        values = dict(super().get_param_values(params, args, kwargs))
        folders = {"store": config.store().root, "root": config.run().root}
        return list({**values, **{name: str(Path(path).resolve()) for name, path in folders.items()}}.items())


class _AllShards(StoreTask):
    """What needs the features of all clips."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        current_session()  # faults of the user's show before Luigi starts

    def requires(self) -> list[ShardTask]:
        """Need what is not finished; Luigi's own cost grows with the square of the number of tasks."""
        return [task.of(shard) for shard in current_session().run.pending for task in (ComputeStft, CacheFaceFeatures)]


class Features(_AllShards):
    """All features of all clips."""

    def complete(self) -> bool:
        """Be complete when every shard is finished."""
        return not current_session().run.pending

    def run(self) -> None:
        """Leave the ledger; the features are there."""
        _ = current_session().experiment


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
        """Leave the file that appears when the checkpoints are there."""
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
    """Everything: features, three networks, the report."""

    def complete(self) -> bool:
        """Be complete when the report on the present features is there."""
        session = current_session()
        return not session.run.pending and session.experiment.report_path.exists()

    def run(self) -> Iterator[luigi.Task]:
        """Go on to the trainings, whose fingerprints are known only when the features are there."""
        session = current_session()
        session.check_features()
        yield Report(fingerprint=session.experiment.report_fingerprint)


class Predict(StoreTask):
    """Arousal and valence of clips without labels."""

    videos = luigi.Parameter(default="", description="folder of clips, or of folders of clips")
    checkpoint = luigi.Parameter(default="", description="folders of trained networks; Joint of the newest report")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = start_session(self._open)

    def _open(self) -> Session:
        from pipeline.prediction.predicting import open_predictor

        predictor = open_predictor(self.videos, self.checkpoint)
        return Session(current_run(Path(self.videos)), predictor)

    def requires(self) -> list[ShardTask]:
        """Need the features that are not there yet."""
        return [task.of(shard) for shard in self.session.run.pending for task in (ComputeStft, CacheFaceFeatures)]

    def complete(self) -> bool:
        """Be complete when the predictions are there."""
        return not self.session.run.pending and self.session.predictions.are_there

    def run(self) -> None:
        """Predict."""
        self.session.predict()

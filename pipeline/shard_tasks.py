"""The Luigi tasks of the chain's stages: one of a shard each, or where there are many shards, one of several."""

from typing import ClassVar

import luigi

from pipeline.errors import TransientError
from pipeline.progress import logger
from pipeline.runs.describing import describe_failure, name_folders
from pipeline.runs.run import Run
from pipeline.session import current_session

#: Shards that have tasks of their own. Luigi looks at all tasks each time it is asked for one, so its work grows with
#: their square: more shards than these share tasks by the beginning of their ids, 256 groups whatever their number.
MOST_ALONE = 256
GROUP_DIGITS = 2


class ShardTask(luigi.Task):
    """One stage of one shard. The store's folder is a parameter, since one luigid may serve several stores.

    The later stage goes first: a shard's crops are embedded while they are still in memory, and where crops are not
    kept no more than one shard's are ever on the disk.

    Where there are many shards, the last stages' tasks are of all shards whose ids begin alike, and do the stages
    before theirs, too, shard after shard. Which shards those are does not depend on what else is in the store: hosts
    that start at different times give equal work equal names.
    """

    store = luigi.Parameter(description="folder of the feature store")
    shard = luigi.Parameter(description="id of the shard; of several the beginning of their ids")
    fingerprint = luigi.Parameter(description="name of the stage set")

    stage: ClassVar[str]
    before: ClassVar["type[ShardTask] | None"] = None

    @classmethod
    def of(cls, shard: str) -> "ShardTask":
        """Make the task of a shard under the current settings."""
        run = current_session().run
        return cls(store=str(run.store.resolve()), shard=shard, fingerprint=run.fingerprints[cls.stage])

    def requires(self) -> "list[ShardTask]":
        """Need the stage before, where it has something to do."""
        before = self.before
        if before is None or self.is_of_several or before.of(self.shard).complete():
            return []
        return [before.of(self.shard)]

    def output(self) -> list[luigi.LocalTarget]:
        """Leave the shards' files; what is kept beside them is the rule's to say (`complete`)."""
        run = current_session().run
        return [luigi.LocalTarget(str(run.path(self.stage, shard))) for shard in self.shards]

    @property
    def is_of_several(self) -> bool:
        """Whether it is of all shards whose ids begin with `shard`."""
        return self.shard not in current_session().run.plan.shards

    @property
    def shards(self) -> list[str]:
        """The ids of its shards."""
        plan = current_session().run.plan
        return plan.group_shards(GROUP_DIGITS).get(self.shard, []) if self.is_of_several else [self.shard]

    @classmethod
    def chain(cls) -> list[str]:
        """Give the stages up to its own, the first one first."""
        return [*(cls.before.chain() if cls.before is not None else ()), cls.stage]

    def complete(self) -> bool:
        """Be complete when the stage, and of several shards those before it, have nothing to do for the shards."""
        stages = set(self.chain()) if self.is_of_several else {self.stage}
        return not any(stages & current_session().run.find_work(shard).keys() for shard in self.shards)

    def run(self) -> None:
        """Do the stage; one shard that fails does not stop others."""
        session = current_session()
        if not self.is_of_several:
            session.work(self.stage, self.shard)
            return
        failed = 0
        for shard in self.shards:
            for stage in self.chain():
                if stage not in session.run.find_work(shard):
                    continue
                try:
                    session.work(stage, shard)
                except Exception as error:
                    failed += 1
                    task = SHARD_TASKS[stage].__name__
                    logger.exception("%s of shard %s failed", task, shard)
                    session.note_failure(f"{task} of shard {shard}: {describe_failure(error, name_folders())}")
                    break
        if failed:
            raise SomeShardsError(f"{failed} of {len(self.shards)} shards failed; what each said is above")


class SomeShardsError(TransientError):
    """Shards of a task of several have failed, each of which has been told of."""


@luigi.Task.event_handler(luigi.Event.FAILURE)
def note_failure(task: luigi.Task, error: BaseException) -> None:
    """Keep one sentence of what failed for the end of the run and for `python -m pipeline status`."""
    if isinstance(error, SomeShardsError):
        return
    shard = f" of shard {task.shard}" if isinstance(task, ShardTask) else ""
    sentence = describe_failure(error, name_folders(), network=getattr(task, "network", ""))
    current_session().note_failure(f"{type(task).__name__}{shard}: {sentence}")


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


SHARD_TASKS = {task.stage: task for task in (ExtractWav, ComputeStft, ExtractFrames, AlignFaces, CacheFaceFeatures)}


def find_shard_tasks(run: Run) -> list[ShardTask]:
    """Give the tasks that do what is to be done to all shards: of each shard the last ones, which need the others."""
    work = {shard: run.find_work(shard) for shard in run.plan.shards}
    if len(work) > MOST_ALONE:
        groups = sorted({shard[:GROUP_DIGITS] for shard, stages in work.items() if stages})
        tasks = [task.of(group) for group in groups for task in (ComputeStft, CacheFaceFeatures)]
        return [task for task in tasks if not task.complete()]
    return [
        task.of(shard)
        for shard, stages in work.items()
        for task in map(SHARD_TASKS.__getitem__, stages)
        if not any(SHARD_TASKS[other].before is task for other in stages)
    ]

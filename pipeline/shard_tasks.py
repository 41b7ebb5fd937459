"""The Luigi tasks of the chain's stages: one of a shard each, or where there are many shards, one of several."""

from typing import ClassVar

import luigi

from pipeline.chain import FEATURE_STAGES, find_chain, find_needed
from pipeline.errors import TransientError
from pipeline.progress import logger
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.run import Run
from pipeline.session.process_session import current_session
from store.text import format_count

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

    def requires(self) -> "list[ShardTask]":
        """Need the stages before, where they have something to do."""
        if self.is_of_several:
            return []
        run = current_session().run
        needed = find_needed(self.stage, run.find_work(self.shard), run.chain)
        return [make_task(stage, self.shard) for stage in needed]

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

    def chain(self) -> tuple[str, ...]:
        """Give the stages up to its own, the first one first."""
        return find_chain(self.stage)

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
                    task = type(make_task(stage, shard)).__name__
                    logger.debug("%s of shard %s failed", task, shard, exc_info=True)
                    why = describe_failure(error, name_folders())
                    session.failures.note(f"{stage} of {shard}", f"{task} of shard {shard}: {why}")
                    _tell_at_once(f"{task} of shard {shard}")
                    break
        if failed:
            raise SomeShardsError(
                f"{failed} of {format_count(len(self.shards), 'shard')} failed; the end of the run says why"
            )


class SomeShardsError(TransientError):
    """Shards of a task of several have failed, each of which has been told of."""


@luigi.Task.event_handler(luigi.Event.FAILURE)
def note_failure(task: luigi.Task, error: BaseException) -> None:
    """Keep one sentence of what failed for the end of the run and for `python -m pipeline status`."""
    if isinstance(error, SomeShardsError):
        return
    shard = f" of shard {task.shard}" if isinstance(task, ShardTask) else ""
    sentence = describe_failure(error, name_folders(), network=getattr(task, "network", ""))
    current_session().failures.note(_find_key(task), f"{type(task).__name__}{shard}: {sentence}")
    if shard:
        _tell_at_once(f"{type(task).__name__}{shard}")


def _tell_at_once(what: str) -> None:
    """Say that something has failed while the run goes on, maybe for hours; its end says why."""
    logger.warning("! %s failed; the rest goes on, and the end of the run says why", what)


@luigi.Task.event_handler(luigi.Event.SUCCESS)
def forget_failure(task: luigi.Task) -> None:
    """Forget that a task had failed; stages of shards are forgotten one by one as they are done."""
    if isinstance(task, ShardTask):
        return
    if type(task).__name__ == "FullRun":
        current_session().failures.forget_all()
    else:
        current_session().failures.forget(_find_key(task))


def _find_key(task: luigi.Task) -> str:
    if isinstance(task, ShardTask):
        return f"{task.stage} of {task.shard}"
    return f"{type(task).__name__} {getattr(task, 'fingerprint', '')}"


class ExtractWav(ShardTask):
    """Video to 16 kHz mono WAV."""

    stage, priority = "wav", 1


class ComputeStft(ShardTask):
    """WAV to short-time Fourier transform."""

    stage, priority = "stft", 2


class ExtractFrames(ShardTask):
    """Video to frame table, and JPEG frames where they are to be kept."""

    stage, priority = "frames", 3


class AlignFaces(ShardTask):
    """Frames to the speaker's aligned faces."""

    stage, priority = "faces", 4


class CacheFaceFeatures(ShardTask):
    """Aligned faces to SphereFace embeddings."""

    stage, priority = "embeddings", 5


class ComputeFeature(ShardTask):
    """Faces or sound to the rows of a declared feature, `[features.NAME]`."""

    stage = luigi.Parameter(description="its stage, after its name")
    priority = 6

    def requires(self) -> list[ShardTask]:
        """Need the stages before; of several shards the tasks that do them."""
        if not self.is_of_several:
            return super().requires()
        last = "stft" if current_session().run.features[self.stage].is_sound else "embeddings"
        needed = make_task(last, self.shard)
        return [] if needed.complete() else [needed]

    def chain(self) -> tuple[str, ...]:
        """Give its own stage alone: other tasks do those before it."""
        return (self.stage,)


SHARD_TASKS = {task.stage: task for task in (ExtractWav, ComputeStft, ExtractFrames, AlignFaces, CacheFaceFeatures)}


def make_task(stage: str, shard: str) -> ShardTask:
    """Make the task of a stage, of a shard or of several, under the current settings."""
    run = current_session().run
    named = {"store": str(run.store.resolve()), "shard": shard, "fingerprint": run.fingerprints[stage]}
    return SHARD_TASKS[stage](**named) if stage in SHARD_TASKS else ComputeFeature(stage=stage, **named)


def find_shard_tasks(run: Run) -> list[ShardTask]:
    """Give the tasks that do what is to be done to all shards: of each shard the last ones, which need the others."""
    work = {shard: run.find_work(shard) for shard in run.plan.shards}
    if len(work) > MOST_ALONE:
        groups = sorted({shard[:GROUP_DIGITS] for shard, stages in work.items() if stages})
        tasks = [make_task(stage, group) for group in groups for stage in (*FEATURE_STAGES, *run.features)]
        return [task for task in tasks if not task.complete()]
    return [
        make_task(stage, shard)
        for shard, stages in work.items()
        for stage in stages
        if not any(stage in find_needed(other, stages, run.chain) for other in stages)
    ]

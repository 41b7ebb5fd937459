"""The Luigi tasks of the chain's stages: one task for each shard, or for a group of shards where there are many."""

from typing import ClassVar

import luigi

from pipeline.chain import FEATURE_STAGES, find_chain, find_needed
from pipeline.errors import TransientError
from pipeline.progress import logger
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.run import Run
from pipeline.session.process_session import current_session
from store.text import format_count

#: Largest number of shards that have tasks of their own. Luigi looks at all tasks each time it is asked for one, so its
#: work grows with the square of their number. More shards share tasks by the first digits of their ids: 256 groups,
#: however many shards there are.
MOST_ALONE = 256
GROUP_DIGITS = 2


class ShardTask(luigi.Task):
    """One stage of one shard. The store's folder is a parameter, since one luigid may serve several stores.

    A later stage has the higher priority: a shard's crops are embedded while they are still in memory. Where crops are
    not kept, the crops of no more than one shard are ever on the disk.

    Where there are many shards, a task of a last stage is for all shards whose ids begin with the same digits. It also
    does the earlier stages, shard after shard. A group does not depend on what else is in the store, so hosts that
    start at different times give the same work the same name.
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
        """Return the stage's main files; `complete` also asks for the files that are kept beside them."""
        run = current_session().run
        return [luigi.LocalTarget(str(run.path(self.stage, shard))) for shard in self.shards]

    @property
    def is_of_several(self) -> bool:
        """Whether the task is for all shards whose ids begin with `shard`."""
        return self.shard not in current_session().run.plan.shards

    @property
    def shards(self) -> list[str]:
        """The ids of the task's shards."""
        plan = current_session().run.plan
        return plan.group_shards(GROUP_DIGITS).get(self.shard, []) if self.is_of_several else [self.shard]

    def chain(self) -> tuple[str, ...]:
        """Return the stages from the first one to the task's own."""
        return find_chain(self.stage)

    def complete(self) -> bool:
        """Return whether the stage (for a group, also the stages before it) has nothing left to do for the shards."""
        stages = set(self.chain()) if self.is_of_several else {self.stage}
        return not any(stages & current_session().run.find_work(shard).keys() for shard in self.shards)

    def run(self) -> None:
        """Do the stage; a shard that fails does not stop the others."""
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
    """Some shards of a group's task failed; each failure has been reported already."""


@luigi.Task.event_handler(luigi.Event.FAILURE)
def note_failure(task: luigi.Task, error: BaseException) -> None:
    """Keep one sentence about the failure, for the end of the run and for `python -m pipeline status`."""
    if isinstance(error, SomeShardsError):
        return
    shard = f" of shard {task.shard}" if isinstance(task, ShardTask) else ""
    sentence = describe_failure(error, name_folders(), network=getattr(task, "network", ""))
    current_session().failures.note(_find_key(task), f"{type(task).__name__}{shard}: {sentence}")
    if shard:
        _tell_at_once(f"{type(task).__name__}{shard}")


def _tell_at_once(what: str) -> None:
    """Report a failure at once: the run, which gives the reason at its end, may go on for hours."""
    logger.warning("! %s failed; the rest goes on, and the end of the run says why", what)


@luigi.Task.event_handler(luigi.Event.SUCCESS)
def forget_failure(task: luigi.Task) -> None:
    """Forget an earlier failure of a task; failures of shards are forgotten when their stage is done."""
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
        """Need the stages before this one; for a group, the task that does them."""
        if not self.is_of_several:
            return super().requires()
        last = "stft" if current_session().run.features[self.stage].is_sound else "embeddings"
        needed = make_task(last, self.shard)
        return [] if needed.complete() else [needed]

    def chain(self) -> tuple[str, ...]:
        """Return the task's own stage alone: other tasks do the earlier stages."""
        return (self.stage,)


SHARD_TASKS = {task.stage: task for task in (ExtractWav, ComputeStft, ExtractFrames, AlignFaces, CacheFaceFeatures)}


def make_task(stage: str, shard: str) -> ShardTask:
    """Make the task of a stage for a shard or a group of shards, under the current settings."""
    run = current_session().run
    named = {"store": str(run.store.resolve()), "shard": shard, "fingerprint": run.fingerprints[stage]}
    return SHARD_TASKS[stage](**named) if stage in SHARD_TASKS else ComputeFeature(stage=stage, **named)


def find_shard_tasks(run: Run) -> list[ShardTask]:
    """Return the tasks for all work on all shards: the last tasks of each shard, which require the others."""
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

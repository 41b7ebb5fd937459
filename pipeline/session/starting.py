"""The start of a run: its log, and what is said of the work to do."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from pipeline.progress import Progress, log_to, logger, open_log
from pipeline.runs.known_content import Place, describe_taken
from pipeline.runs.outcome.describing import FORBIDDEN, describe_failure, name_folders
from pipeline.runs.outcome.failures import clear_failures
from pipeline.runs.plan import advise_shard_size
from pipeline.runs.run import Run
from pipeline.settings import config


def open_run_log(folder: Path, console: Console, *, is_idle: bool) -> tuple[Path | None, str]:
    """Forget the failures of the run before, and open a log file.

    Args:
        folder: `[run] root`.
        console: What a person reads; warnings go there, too.
        is_idle: Whether there is nothing to do; then the folder may be read-only.

    Returns:
        The log file and "", or None and one sentence that says why nothing can be written to the folder.

    Raises:
        OSError: Nothing can be written to the folder, although there is something to do.
    """
    try:
        if config.is_scheduler_local():  # otherwise these may be failures of other hosts that are at work
            clear_failures(folder)
        return open_log(folder / "logs", console), ""
    except OSError as error:
        if not is_idle or error.errno not in FORBIDDEN:
            raise
        log_to(console, logging.NullHandler())
        return None, describe_failure(error, name_folders())


def tell_work(
    run: Run, progress: Progress, taken: Mapping[str, Mapping[str, Place]], num_again: int
) -> tuple[dict[str, int], int]:
    """Say what is to be done, and what the user should know before it begins.

    Args:
        run: The run, which has begun.
        progress: Gets the number of clips of each stage.
        taken: Shards whose rows come from clips with the same content under another name; see `describe_taken`.
        num_again: Number of shards whose sound is made again.

    Returns:
        Title of each stage to the number of clips for which it has nothing to do, and the number of shards to do.
    """
    work = {shard: run.find_work(shard) for shard in run.plan.shards}
    num_clips = Counter(run.plan.assigned.values())
    reused: dict[str, int] = {}
    for stage, title in run.titles.items():
        waiting = {shard for shard, stages in work.items() if stage in stages}
        progress.expect(title, sum(len(run.plan.shards[shard].members) for shard in waiting))
        reused[title] = sum(count for shard, count in num_clips.items() if shard not in waiting)
    if taken:
        progress.say(describe_taken(taken))
    new = run.plan.new - taken.keys()
    clips = sum(len(run.plan.shards[shard].members) for shard in new)
    advice = advise_shard_size(len(new), clips, run.settings.store.shard_size)
    for warning in filter(None, (*run.dataset.warnings, advice)):
        logger.warning("%s", warning)
    if new:
        logger.info("%d new or changed clips in %d new shards", clips, len(new))
    if num_again:
        logger.info("the sound of %d shards is made again, because an earlier version's ffmpeg failed", num_again)
    return reused, sum(map(bool, work.values()))

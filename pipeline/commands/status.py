"""`python -m pipeline status`: what is done, waiting, stale and failed, and why; runs and writes nothing."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field

from pipeline import config
from pipeline.chain import NETWORK_TITLES, NETWORKS, STAGE_TITLES
from pipeline.errors import UserError
from pipeline.runs.failures import read_failures
from pipeline.runs.opening import open_run
from pipeline.runs.run import Run
from pipeline.training.experiment import read_experiment
from store.layout import stage_folder

HELP = "what is done, waiting, stale and failed; exit code 3 when there is something to do"
#: Exit code when a run would do something.
SOMETHING_TO_DO = 3


@dataclass
class StageStatus:
    """One stage of the chain, in clips; or one network, in trainings.

    Args:
        stage: What a person reads.
        done: Finished under the current settings.
        waiting: Not finished.
        reason: Why some are waiting, or "".
    """

    stage: str
    done: int
    waiting: int
    reason: str = ""


@dataclass
class Status:
    """What a run would find.

    Args:
        stages: The chain's stages, then the networks and the report.
        missing: Utterances that never had a file.
        vanished: Utterances whose file is gone and whose rows are kept.
        failed: What failed in the last run, as one sentence each.
    """

    stages: list[StageStatus] = field(default_factory=list)
    missing: int = 0
    vanished: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether a run would have nothing to do."""
        return not any(stage.waiting for stage in self.stages)


def read_status(run: Run) -> Status:
    """Look at the files that a run would leave."""
    status = Status(missing=len(run.plan.missing), vanished=len(run.plan.vanished), failed=read_failures(run.folder))
    present = {name: shard for name, shard in run.plan.assigned.items() if name not in run.plan.vanished}
    work = {shard: run.find_work(shard) for shard in run.plan.shards}
    for stage, title in STAGE_TITLES.items():
        waiting = [name for name, shard in present.items() if stage in work[shard]]
        status.stages.append(
            StageStatus(title, len(present) - len(waiting), len(waiting), _reason(run, stage, waiting))
        )
    if run.untrainable and not config.dataset().train:
        return status
    if any(work.values()) or run.untrainable:
        reason = "features first" if any(work.values()) else run.untrainable
        counts = {**dict.fromkeys(NETWORK_TITLES.values(), config.run().seeds), "report": 1}
        status.stages += [StageStatus(title, 0, count, reason) for title, count in counts.items()]
    else:
        status.stages += _read_results(run)
    return status


def _read_results(run: Run) -> list[StageStatus]:
    experiment = read_experiment(run)
    results = []
    for network in NETWORKS:
        waiting = [trainings.seed for trainings in experiment.trainings if not trainings.is_done(network)]
        done = len(experiment.trainings) - len(waiting)
        others = any((run.folder / "checkpoints").glob(f"{network}-*/training.json"))
        reason = "data or settings have changed since the last training" if others else "never trained"
        if done:
            reason = f"not trained yet with seed {', '.join(map(str, waiting))}"
        results.append(StageStatus(NETWORK_TITLES[network], done, len(waiting), reason if waiting else ""))
    is_done = experiment.is_reported
    reason = "" if is_done else "not written for these results"
    if experiment.report_path.exists() and not is_done:
        reason = f"there, but {run.folder / 'latest'} names another"
    return [*results, StageStatus("report", int(is_done), int(not is_done), reason)]


def _reason(run: Run, stage: str, waiting: list[str]) -> str:
    if not waiting:
        return ""
    new = sum(run.plan.assigned[name] in run.plan.new for name in waiting)
    reasons = [f"{new} new or changed"] if new else []
    again = sum(run.plan.assigned[name] in run.sound_again for name in waiting)
    if again:
        reasons.append(f"{again} in shards with sound on which an earlier version's ffmpeg failed")
    old = len(waiting) - new - again
    if old:
        others = [
            path
            for path in (run.store / stage).glob("*")
            if path != stage_folder(run.store, stage, run.fingerprints[stage])
        ]
        reasons.append(f"{old} {'stale: made under other settings' if others else 'planned, not done'}")
    return ", ".join(reasons)


def format_status(status: Status) -> str:
    """Give the status as a table of plain text."""
    rows = [("stage", "done", "waiting", "")]
    rows += [(stage.stage, str(stage.done), str(stage.waiting), stage.reason) for stage in status.stages]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
    if status.missing:
        lines.append(f"{status.missing} listed utterances have no file")
    if status.vanished:
        lines.append(f"{status.vanished} files are gone; their features are kept")
    lines += [f"failed in the last run: {failure}" for failure in status.failed]
    lines.append("nothing to do" if status.is_settled else "`valar run` would go on")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; 0: nothing to do, 3: something to do, 2: the settings or the data are at fault."""
    try:
        status = read_status(open_run())
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        json.dumps({**asdict(status), "settled": status.is_settled}, indent=2)
        if arguments.json
        else format_status(status)
    )
    return 0 if status.is_settled else SOMETHING_TO_DO

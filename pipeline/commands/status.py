"""`python -m pipeline status`: says what is done, waiting, stale and failed, and why; runs and writes nothing."""

import argparse
import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from pipeline.chain import NETWORK_TITLES, NETWORKS, REPORT_TITLE
from pipeline.errors import UserError
from pipeline.progress import format_seconds
from pipeline.runs.known_content import describe_taken
from pipeline.runs.opening import Frame, open_run, read_frame, telling_faults
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.outcome.failures import read_failures
from pipeline.runs.outcome.rates import Rate, read_rates
from pipeline.runs.run import Run
from pipeline.settings.files import name_overlay
from pipeline.training.experiment import plan_trainings
from pipeline.training.forecast import forecast_data
from pipeline.training.outlook import look_ahead
from pipeline.training.settled import Settled, find_settled
from store.errors import StoreError
from store.layout import stage_folder
from store.text import escape_lines, format_count, render_table

HELP = "show what is done, waiting, stale and failed; exit code 3 if there is something to do"
#: Luigi's task to the command that runs it.
COMMANDS = {"FullRun": "valar run", "Features": "valar features"}
#: Exit code when a run would do something.
SOMETHING_TO_DO = 3


@dataclass
class StageStatus:
    """The state of one stage of the chain, counted in clips; or of one network, counted in trainings.

    Args:
        stage: The stage's title for people.
        done: Number finished under the current settings.
        waiting: Number not finished.
        reason: Why some are waiting, or "".
        seconds: Estimated time for the waiting ones, by the rates of earlier runs; None where no rate is known.
    """

    stage: str
    done: int
    waiting: int
    reason: str = ""
    seconds: float | None = 0.0


@dataclass
class Status:
    """The state that a run would find.

    Args:
        stages: The chain's stages, then the networks and the report.
        missing: Number of utterances that never had a file.
        vanished: Number of utterances whose file is gone and whose rows are kept.
        failed: One sentence for each failure of the last run.
        known: One sentence about clips whose content the store has under other names, so that a run copies their rows;
            "" where there are none.
    """

    stages: list[StageStatus] = field(default_factory=list)
    missing: int = 0
    vanished: int = 0
    failed: list[str] = field(default_factory=list)
    known: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether a run would have nothing to do."""
        return not any(stage.waiting for stage in self.stages) and not self.known

    @property
    def seconds(self) -> float:
        """Estimated seconds of a run, without the stages whose rate is not known."""
        return sum(stage.seconds or 0.0 for stage in self.stages)


def read_status(run: Run, *, features_only: bool = False) -> Status:
    """Find which of a run's files exist and what is still to be done.

    Args:
        run: An opened run.
        features_only: Whether to leave out trainings and report, as `valar features` does.
    """
    status = Status(
        missing=len(run.plan.missing),
        vanished=len(run.plan.vanished),
        failed=read_failures(run.folder),
        known=describe_taken(run.taken),
    )
    present = {name: shard for name, shard in run.plan.assigned.items() if name not in run.plan.vanished}
    work = {shard: run.find_work(shard) for shard in run.plan.shards}
    rates = read_rates(run.folder)
    for stage, title in run.titles.items():
        waiting = [name for name, shard in present.items() if stage in work[shard]]
        seconds = _estimate(rates, stage, len(waiting))
        status.stages.append(
            StageStatus(title, len(present) - len(waiting), len(waiting), _reason(run, stage, waiting), seconds)
        )
    if features_only:
        return status
    if run.untrainable:
        if run.settings.dataset.train:
            counts = {**dict.fromkeys(NETWORK_TITLES.values(), run.settings.run.seeds), "report": 1}
            status.stages += [StageStatus(title, 0, count, run.untrainable) for title, count in counts.items()]
        return status
    status.stages += _read_results(run, work, rates)
    return status


def read_settled_status(settled: Settled, frame: Frame, *, features_only: bool = False) -> Status:
    """Give what `read_status` would give, from a run that found everything done and since which nothing has changed."""
    stages = [StageStatus(title, count, 0) for title, count in settled.stages]
    if not features_only:
        stages += [StageStatus(title, count, 0) for title, count in settled.networks]
        stages.append(StageStatus(REPORT_TITLE, 1, 0))
    return Status(stages, settled.missing, settled.vanished, read_failures(frame.folder))


def find_status(*, features_only: bool = False) -> Status:
    """Read the settings and find what a run would do; see `read_status`.

    Raises:
        UserError: The same as from `open_run`.
    """
    with telling_faults():
        frame = read_frame()
    settled = find_settled(frame, trains=not features_only)
    if settled is not None:
        return read_settled_status(settled, frame, features_only=features_only)
    return read_status(open_run(frame=frame), features_only=features_only)


def _estimate(rates: Mapping[str, Rate], step: str, count: int) -> float | None:
    if not count:
        return 0.0
    return rates[step].seconds_each * count if step in rates else None


def _read_results(run: Run, work: Mapping[str, Collection[str]], rates: Mapping[str, Rate]) -> list[StageStatus]:
    experiment = plan_trainings(forecast_data(run, work))
    at_work = {stage for stages in work.values() for stage in stages}
    results = []
    for network in NETWORKS:
        found = look_ahead(experiment, network, at_work)
        reason = ", ".join(found.reasons)
        results.append(StageStatus(NETWORK_TITLES[network], found.done, found.waiting, reason, found.seconds))
    is_done, is_there = experiment.is_reported, experiment.report_path.exists()
    # With folds the time is not estimated: how many of them are to be trained is not checked here.
    seconds = None if run.settings.run.folds and not is_there else _estimate(rates, REPORT_TITLE, int(not is_there))
    reason = "" if is_done else "not written for these results"
    if is_there and not is_done:
        reason = f"written, but {run.folder / 'latest'} links to another"
    return [*results, StageStatus(REPORT_TITLE, int(is_done), int(not is_done), reason, seconds)]


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


def format_status(status: Status, command: str = "valar run") -> str:
    """Give the status as a table of plain text.

    Args:
        status: The status.
        command: The command that would continue the work.
    """
    rows = [
        (stage.stage, str(stage.done), str(stage.waiting), _format_time(stage), stage.reason) for stage in status.stages
    ]
    lines = [render_table(("stage", "done", "waiting", "about", ""), rows, right=(1, 2, 3))]
    if status.missing:
        lines.append(format_count(status.missing, "listed utterance has", "listed utterances have") + " no file")
    if status.vanished:
        lines.append(
            format_count(status.vanished, "file is gone; its features", "files are gone; their features") + " are kept"
        )
    if status.known:
        lines.append(status.known)
    lines += [f"failed in the last run: {failure}" for failure in status.failed]
    lines.append("nothing to do" if status.is_settled else _format_end(status, command))
    return "\n".join(lines)


def _format_time(stage: StageStatus) -> str:
    if not stage.waiting:
        return ""
    return "?" if stage.seconds is None else format_seconds(stage.seconds)


def _format_end(status: Status, command: str) -> str:
    line = f"`{name_overlay(command)}` continues"
    unmeasured = [stage.stage for stage in status.stages if stage.waiting and stage.seconds is None]
    if status.seconds:
        line += f": about {format_seconds(status.seconds)} at the speed of earlier runs"
        line += f", without those whose speed is not known yet ({', '.join(unmeasured)})" if unmeasured else ""
    return line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "task",
        nargs="?",
        choices=tuple(COMMANDS),
        default="FullRun",
        help="Features: show only the features, if you do not train here; FullRun (the default): show everything",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the status; return 0: nothing to do, 3: something to do, 2: the settings or the data are wrong."""
    try:
        status = find_status(features_only=arguments.task == "Features")
    except (UserError, StoreError) as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2
    except OSError as error:
        print(describe_failure(error, name_folders()), file=sys.stderr)
        return 2
    print(
        json.dumps({**asdict(status), "settled": status.is_settled, "seconds": status.seconds}, indent=2)
        if arguments.json
        else escape_lines(format_status(status, COMMANDS[arguments.task]))
    )
    return 0 if status.is_settled else SOMETHING_TO_DO

"""The end of a run: tables of the clips' statuses and of the stages' work, failures, and rates."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.chain import REPORT_TITLE
from pipeline.progress import StageState, format_seconds, logger
from pipeline.report.tables import print_tables
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.outcome.rates import Rate, note_rates
from pipeline.runs.outcome.report_json import open_report_json
from pipeline.settings.files import name_overlay

#: The next commands: where there is a report, and where nothing can be trained.
NEXT_WITH_REPORT = ("valar predict VIDEO",)
NEXT_WITHOUT_TRAINING = ("valar store ls", "valar store browse -o DIR")


def make_clips_table(counts: Mapping[tuple[str, str], Counter[str]]) -> Table:
    """Make a table that says for each split how many of its utterances have which status.

    Args:
        counts: (split, "sound" or "picture") to the number of utterances by status, as `count_statuses` gives them.
    """
    table = Table("split", "listed", "", "ok", "not ok", title="Clips")
    for (split, part), statuses in counts.items():
        listed = str(statuses.total()) if part == "sound" else ""
        name = split if part == "sound" else ""
        others = ", ".join(f"{status} {n}" for status, n in sorted(statuses.items()) if status != "ok")
        table.add_row(name, listed, part, str(statuses["ok"]), others)
    return table


def make_stages_table(stages: Mapping[str, StageState], reused: Mapping[str, int]) -> Table:
    """Make a table that says for each stage how much was done, how much was there before, and how fast it was.

    Args:
        stages: The stages' states, by title.
        reused: Title to the number of clips for which a stage had nothing to do; trainings and reports are not in it.
    """
    table = Table("stage", "done", "reused", "time", "rate", title="Stages")
    for title, state in stages.items():
        before = str(reused[title]) if title in reused else "" if state.total else "yes"
        time_spent = format_seconds(state.elapsed) if state.elapsed else ""
        rate = f"{state.rate:.3g} {state.unit}/s" if state.done else ""
        done = f"{state.done}/{state.total}" if state.done < state.total else str(state.done)
        table.add_row(title, done, before, time_spent, rate)
    return table


def measure_rates(stages: Mapping[str, StageState], titles: Mapping[str, str]) -> dict[str, Rate]:
    """Give how long each step of a run took.

    Args:
        stages: The stages' states, by title.
        titles: Stage to its title.
    """
    found = {step: stages.get(title) for step, title in {**titles, REPORT_TITLE: REPORT_TITLE}.items()}
    return {step: Rate(state.done, state.elapsed) for step, state in found.items() if state is not None}


def keep_rates(folder: Path, stages: Mapping[str, StageState], titles: Mapping[str, str]) -> None:
    """Save how long a run's steps took, for estimates; a training's pace is in its metrics.jsonl.

    Args:
        folder: `[run] root`. If nothing can be written there, a warning is logged and the run continues.
        stages: The stages' states, by title.
        titles: Stage to its title.
    """
    try:
        note_rates(folder, measure_rates(stages, titles))
    except OSError as error:
        logger.warning("the rates cannot be kept for `status`: %s", describe_failure(error, name_folders()))


def print_failures(console: Console, failures: Iterable[str]) -> None:
    """Print one sentence for each failure."""
    for failure in failures:
        as_is = not console.is_terminal
        console.print(f"failed: {failure}", style="red", highlight=False, markup=False, soft_wrap=as_is)


def log_stages(stages: Mapping[str, StageState]) -> None:
    """Write into the log what each stage has done."""
    for title, state in stages.items():
        logger.info("%s: %d of %d %s done", title, state.done, state.total, state.unit)


def print_report(path: Path, runs: Path) -> None:
    """Print the scores and the report's path.

    Args:
        path: report.json.
        runs: The folder of runs.
    """
    print_tables(open_report_json(path))
    print(f"report: {runs / 'latest' / 'report.html'}", flush=True)


def print_end(console: Console, seconds: float, log: Path | None, following: Iterable[str]) -> None:
    """Print how long a run took, where its log is, and the next command, or several to choose from."""
    where = f"; log: {log}" if log else ""
    console.print(f"{format_seconds(seconds)} in all{where}", highlight=False, soft_wrap=not console.is_terminal)
    console.print(f"next: {', or '.join(map(name_overlay, following))}", highlight=False, markup=False, soft_wrap=True)

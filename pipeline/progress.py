"""What a run shows: bars on a terminal, plain lines elsewhere, and a log file with everything."""

import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

#: Seconds between two plain lines of one stage.
PLAIN_INTERVAL_SECONDS = 10.0

#: Least width of a terminal, in columns, for a whole note beside a bar.
_WIDE = 130

logger = logging.getLogger("valar")


@dataclass
class StageState:
    """How far a stage is.

    Args:
        name: Title of the stage.
        total: Clips or epochs to do in this run.
        unit: What is counted.
    """

    name: str
    total: int
    unit: str
    done: int = 0
    seconds: float = 0.0
    note: str = ""
    bar: TaskID | None = None
    _started: float | None = None
    _printed: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds spent in the stage, including the shard that is being processed."""
        return self.seconds + (0.0 if self._started is None else time.monotonic() - self._started)

    @property
    def rate(self) -> float:
        """Units a second while the stage was at work."""
        return self.done / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Seconds that the rest takes at the rate so far; infinity without a rate."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")

    def describe(self) -> str:
        """Describe the state in one plain line."""
        left = f", {format_seconds(self.seconds_left)} left" if self.done < self.total and self.rate else ""
        note = f", {self.note}" if self.note else ""
        return f"{self.name}: {self.done}/{self.total} {self.unit}, {self.rate:.3g} {self.unit}/s{left}{note}"


class Progress:
    """The stages of this process's run and how they are shown."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.stages: dict[str, StageState] = {}
        self._bars: RichProgress | None = None
        if self.console.is_terminal:
            self._bars = RichProgress(
                TextColumn("{task.description:<22}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=self.console,
            )

    def expect(self, name: str, total: int, unit: str = "clips") -> None:
        """Announce a stage; a stage with nothing to do is not shown."""
        before = self.stages.get(name)
        self.stages[name] = state = StageState(name, total, unit)
        if before is not None:  # the total became known while the stage was at work
            state._started = before._started
        if self._bars is not None and total:
            state.bar = self._bars.add_task(name, total=total, rate="", note="", start=state._started is not None)

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Count the time of one task of a stage."""
        state = self.stages.setdefault(name, StageState(name, 0, "clips"))
        state._started = time.monotonic()
        if self._bars is not None and state.bar is not None:
            self._bars.start()
            self._bars.start_task(state.bar)
        try:
            yield
        finally:
            state = self.stages[name]
            state.seconds, state._started = state.elapsed, None

    def tick(self, name: str, note: str = "", brief: str = "") -> None:
        """Count one clip or epoch as done.

        Args:
            name: Title of the stage.
            note: More to show beside the count.
            brief: The same for a bar on a narrow terminal, in ten letters or so.
        """
        state = self.stages[name]
        state.done += 1
        state.note = note
        if self._bars is not None:
            if state.bar is not None:
                shown = note if self.console.width >= _WIDE else brief
                self._bars.update(state.bar, completed=state.done, rate=f"{state.rate:.3g} {state.unit}/s", note=shown)
        elif state.done == state.total or time.monotonic() - state._printed >= PLAIN_INTERVAL_SECONDS:
            state._printed = time.monotonic()
            self.console.print(state.describe(), markup=False, highlight=False, soft_wrap=True)
        logger.debug("%s", state.describe())

    def say(self, line: str) -> None:
        """Print a line above the bars, and write it to the log."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=not self.console.is_terminal)
        logger.info("%s", line)

    def stop(self) -> None:
        """Stop updating the bars; later output is printed below them."""
        if self._bars is not None:
            self._bars.stop()


class Steps:
    """Steps that follow each other: one bar that is full after the last step, or plain lines without a terminal.

    Args:
        bars: The terminal's bars; None for plain lines, the first one after a step has taken ten seconds.
        total: How many steps there are.
        say: Prints a plain line.
    """

    def __init__(self, bars: RichProgress | None, total: int, say: Callable[[str], None]) -> None:
        self._bars = bars
        self._bar = None if bars is None else bars.add_task("", total=total)
        self._say = say
        self._title, self._started = "", -1
        self._began = self._printed = time.monotonic()

    def start(self, title: str) -> None:
        """Begin the next step."""
        self._title, self._started = title, self._started + 1
        self._began = self._printed = time.monotonic()
        self.advance(0.0)

    def advance(self, share: float) -> None:
        """Say how much of the step is done, from 0 to 1."""
        if self._bars is not None and self._bar is not None:
            self._bars.update(self._bar, description=self._title, completed=self._started + min(1.0, share))
            return
        now = time.monotonic()
        if share > 0 and now - self._printed >= PLAIN_INTERVAL_SECONDS:
            self._printed = now
            left = format_seconds((now - self._began) * (1 / share - 1))
            self._say(f"{self._title}: {share:.0%}, {left} left")


@contextmanager
def show_steps(total: int, *, progress: bool = True) -> Iterator[Steps]:
    """Show steps that follow each other, and how long they have taken.

    Args:
        total: How many steps there are.
        progress: False shows nothing.
    """
    console = Console(stderr=True)
    if not (progress and console.is_terminal):
        yield Steps(
            None, total, functools.partial(print, file=sys.stderr, flush=True) if progress else lambda line: None
        )
        return
    columns = (TextColumn("{task.description:<22}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=console, transient=True) as bars:
        yield Steps(bars, total, lambda line: None)


def format_seconds(seconds: float) -> str:
    """Give a duration for people: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds == float("inf"):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)  # rounded first: 119.7 s are 2 min 0 s, not 1 min 60 s
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class _Wanted(logging.Filter):
    """Lets only those messages of Luigi through that matter to the user: errors, and that luigid does not answer.

    Luigi's message that a task failed is left out: the run reports it in its own words, at once and at its end.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("luigi"):
            return True
        message = str(record.msg)
        if message.startswith("[pid %s] Worker %s failed"):
            return False
        return record.levelno >= logging.ERROR or message.startswith("Failed connecting to remote scheduler")


class _BriefFormatter(logging.Formatter):
    """Formats a message with the error's text but without its traceback, which is in the log file."""

    def format(self, record: logging.LogRecord) -> str:
        sentence = record.getMessage().partition("\nTraceback")[0]
        error = record.exc_info[1] if record.exc_info else None
        return sentence if error is None else f"{sentence}: {error}"


class _LogFile(logging.FileHandler):
    """The log file; if its disk is full, the run reports that once and goes on without a log."""

    _is_full = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_full:
            self._is_full = True
            print(f"the log {self.baseFilename} cannot be written any more ({error.strerror})", file=sys.stderr)


def open_log(folder: Path, console: Console) -> Path:
    """Send everything to a new log file, and warnings and errors to the console without their tracebacks.

    Returns:
        The log file, named after the time and the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.log"
    to_file = _LogFile(path, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log_to(console, to_file)
    return path


def log_to(console: Console, to_file: logging.Handler) -> None:
    """Send everything to a handler, and warnings and errors to the console without their tracebacks."""
    to_console: logging.Handler = logging.StreamHandler(sys.stderr)
    if console.is_terminal:
        to_console = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    to_console.setLevel(logging.WARNING)
    to_console.setFormatter(_BriefFormatter())
    to_console.addFilter(_Wanted())
    for name in ("valar", "models", "luigi", "luigi-interface"):
        log = logging.getLogger(name)
        log.setLevel(logging.DEBUG if name == "valar" else logging.INFO)
        log.handlers = [to_file, to_console]
        log.propagate = False

"""Messages of a host that waits for other hosts, with which it shares its work through luigid."""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable

#: The time between two lines, in seconds.
INTERVAL_SECONDS = 60.0
#: The largest number of kinds of tasks that are named in a line.
MOST_NAMED = 5


class WaitingNotice(logging.Handler):
    """Say once a minute for which tasks this host waits.

    Luigi's worker has no function for this, but before each sleep it logs, at debug level, what other workers do.

    Args:
        say: Called with each line.
        now: Gives the time in seconds; the first line comes `INTERVAL_SECONDS` after the handler was made.
    """

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.DEBUG)
        self._say, self._now = say, now
        self._said = now()
        self._elsewhere: list[str] = []
        self._pending = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Read one of Luigi's log messages."""
        args = record.args if isinstance(record.args, tuple) else ()
        match record.msg:
            case "There are no more tasks to run at this time":
                self._elsewhere, self._pending = [], 0
            case "%s is currently run by worker %s":
                self._elsewhere.append(_describe(*map(str, args)))
            case "There are %s pending tasks possibly being run by other workers":
                self._pending = int(str(args[0]))
            case "Sleeping for %f seconds" if self._now() - self._said >= INTERVAL_SECONDS:
                self._said = self._now()
                self._say(self._line())

    def _line(self) -> str:
        """Make the line that says for which tasks this host waits."""
        count = len(self._elsewhere)
        if not count:
            return f"waiting for tasks that no host works on now ({self._pending}); failed tasks are tried again soon"
        kinds = [kind if n == 1 else f"{n} x {kind}" for kind, n in Counter(self._elsewhere).most_common()]
        more = f" and {len(kinds) - MOST_NAMED} more" if len(kinds) > MOST_NAMED else ""
        tasks = "a task that another host works" if count == 1 else f"{count} tasks that other hosts work"
        return f"waiting for {tasks} on: {', '.join(kinds[:MOST_NAMED])}{more}"


def _describe(task: str, worker: str) -> str:
    """Give the kind of a task and its host, from Luigi's names of both."""
    host = re.search(r"\bhost=([^,)]+)", worker)
    return f"{task.partition('_')[0]} on {host.group(1) if host else worker}"


def tell_waiting(say: Callable[[str], None]) -> None:
    """Make this process say for which tasks it waits; call this after Luigi's log has its handlers."""
    log = logging.getLogger("luigi-interface")
    for handler in log.handlers:
        handler.addFilter(lambda record: record.levelno >= logging.INFO or not record.name.startswith("luigi"))
    log.addHandler(WaitingNotice(say))
    log.setLevel(logging.DEBUG)

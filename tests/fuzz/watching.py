"""Reading under watch: nothing may hang, take much memory, or raise what is not documented."""

import contextlib
import resource
import shutil
import signal
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

#: Seconds for one reading, which takes some milliseconds; several of these machines are busy.
_MOST_SECONDS = 60
#: Bytes by which a batch of readings may make the process larger: a good checkpoint has 17 MB.
_MOST_MEMORY = 1 << 30


@contextlib.contextmanager
def no_hang():
    """End what takes too long with an error."""

    def strike(number, frame):
        raise AssertionError(f"not over within {_MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, _MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(target, count, number=None):
    """Let a reader read so many changed files.

    Args:
        target: The reader.
        count: How many.
        number: Of the random changes; None for the same ones each time.

    Returns:
        How many it has read.
    """
    num_read = 0

    def read(value):
        nonlocal num_read
        folder = Path(tempfile.mkdtemp(prefix="valar-fuzz-"))
        try:
            with no_hang():
                target.read(value, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        num_read += 1

    how = settings(
        max_examples=count,
        derandomize=number is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    test = how(given(target.changes)(read))
    (test if number is None else seed(number)(test))()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < _MOST_MEMORY, f"{grown >> 20} MiB were taken"
    return num_read

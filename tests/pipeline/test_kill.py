"""Killed in the middle of each stage, the next run goes on, and ends with what an uninterrupted run leaves."""

import pytest

from pipeline.chain import NETWORK_TITLES, STAGE_TITLES

# In the order in which one worker takes them: the later stage of a shard before another shard.
TITLES = [
    "read frame times",
    "find faces",
    "embed faces",
    "extract sound",
    "transform sound",
    "train ANet",
    "train VNet",
    "train Joint",
]
KILL_AT_FIRST_TICK = """
import os, signal
from pipeline import progress
tick = progress.Progress.tick
def tick_and_die(self, name, note=""):
    tick(self, name, note)
    if name == {title!r}:
        os.kill(os.getpid(), signal.SIGKILL)
progress.Progress.tick = tick_and_die
"""

KILL_BEFORE_THE_REPORT_IS_WRITTEN = """
import os, signal
from pipeline.report import publish
publish.write_report = lambda *what, **how: os.kill(os.getpid(), signal.SIGKILL)
"""


def without_roots(digests):
    """Leave out the run's listing, which is named after its folder."""
    return {path: digest for path, digest in digests.items() if not path.startswith("store/roots/")}


@pytest.mark.slow
def test_killed_in_every_stage_the_run_ends_as_if_it_had_not_been(first_run, workplace):
    assert set(TITLES) == {*STAGE_TITLES.values(), *NETWORK_TITLES.values()}
    for title in TITLES:
        ended = workplace.run(code=KILL_AT_FIRST_TICK.format(title=title))
        assert ended.returncode == -9, f"{title}: {ended.stderr}"
    assert workplace.run(code=KILL_BEFORE_THE_REPORT_IS_WRITTEN).returncode == -9
    ended = workplace.run()
    assert ended.returncode == 0, ended.stderr
    whole, _ = first_run
    assert without_roots(workplace.digests("store")) == without_roots(whole.digests("store"))
    ours, theirs = (
        {path.rpartition("/")[2]: digest for path, digest in place.digests("runs/latest/predictions").items()}
        for place in (workplace, whole)
    )
    assert len(ours) >= 18
    assert ours == theirs

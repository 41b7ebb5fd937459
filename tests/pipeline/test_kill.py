"""Killed at any moment, or its disk full, the next run goes on, and ends with what an uninterrupted one leaves."""

import contextlib
import re

import pytest

from pipeline.chain import NETWORK_TITLES, REPORT_TITLE, STAGE_TITLES
from tests.crash.comparing import find_differences, find_leftovers
from tests.crash.rounds import Rounds
from tests.disks import tiny_disk
from tests.pipeline.conftest import settle

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
def tick_and_die(self, name, *notes):
    tick(self, name, *notes)
    if name == {title!r}:
        os.kill(os.getpid(), signal.SIGKILL)
progress.Progress.tick = tick_and_die
"""

KILL_BEFORE_THE_REPORT_IS_WRITTEN = """
import os, signal
from pipeline.report import publish
publish.write_report = lambda *what, **how: os.kill(os.getpid(), signal.SIGKILL)
"""
#: Clips, store and runs need some 60 MB, most of it checkpoints.
DISK_BYTES = 256 << 20


@pytest.mark.slow
def test_killed_in_every_stage_the_run_ends_as_if_it_had_not_been(first_run, workplace):
    assert set(TITLES) == {*STAGE_TITLES.values(), *NETWORK_TITLES.values()}
    for title in TITLES:
        ended = workplace.run(code=KILL_AT_FIRST_TICK.format(title=title))
        assert ended.returncode == -9, f"{title}: {ended.stderr}"
    assert workplace.run(code=KILL_BEFORE_THE_REPORT_IS_WRITTEN).returncode == -9
    ended = workplace.run()
    assert ended.returncode == 0, ended.stderr
    assert find_differences(workplace, first_run[0]) == []


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_and_nothing_left_over(first_run, small_data, tmp_path):
    # `make crash` does the same 200 times, with moments drawn anew.
    outcome = Rounds(small_data, tmp_path / "work", first_run[0], seed=7).kill(15)
    assert outcome.faults == []
    assert outcome.kills.total() == 15
    assert outcome.rounds >= 1


FILL = "from tests.crash import watched\nwatched.fill_disk({title!r}, '.', 2000)"
LIMIT = "from tests.crash import watched\nwatched.limit_files({title!r}, 500)"


@pytest.mark.slow
@pytest.mark.parametrize("code", [FILL, LIMIT], ids=["disk", "length of files"])
def test_a_disk_that_fills_at_any_stage_ends_the_run_with_a_sentence_and_costs_nothing(
    first_run, small_data, tmp_path, code
):
    folder = tmp_path / "work"
    folder.mkdir()
    with tiny_disk(folder, DISK_BYTES) if code == FILL else contextlib.nullcontext():
        place = settle(small_data, folder)
        for title in [*TITLES, REPORT_TITLE]:
            fail_at(place, title, code.format(title=title))
        ended = place.run()
        assert ended.returncode == 0, ended.stderr
        assert find_differences(place, first_run[0]) == []


def fail_at(place, title, code):
    """Let a run fail from one of its parts on."""
    ended = place.run(code=code)
    (place.folder / "filler").unlink(missing_ok=True)
    assert ended.returncode == 30, f"{title}: {ended.stderr}"
    assert "Traceback" not in ended.stderr
    failures = re.findall(r"^failed: (.*)$", ended.stderr, re.MULTILINE)
    assert failures, title
    for failure in failures:
        assert re.search(r"cannot be written \((No space left on device|File too large)", failure), failure
        assert re.search(r"(the disk of \[\w+\] root = \S+ is full, [\d,]+ bytes are free|`ulimit -f`)", failure)
    assert find_leftovers(place.folder) == []

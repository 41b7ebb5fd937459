"""One session per process: it opens when the run starts, it always closes, and it writes no result at the end."""

import subprocess
import sys

import pytest

from pipeline.runs.outcome.failures import read_failures
from store.lock import locked
from tests.pipeline.conftest import ROOT

FAIL = """
from pipeline.session import {module}
def fail(*what, **how):
    raise {error}
{module}.{name} = fail
"""
KILL_AFTER_A_FAILURE = """
import os, signal
from pipeline.session.failure_notes import FailureNotes
note = FailureNotes.note
def note_and_die(self, *words):
    note(self, *words)
    os.kill(os.getpid(), signal.SIGKILL)
FailureNotes.note = note_and_die
"""
CHANGE_AFTER_THE_PLAN = """
import subprocess, sys
from pathlib import Path
from pipeline.session import process_session
open_run = process_session.open_run
def open_and_change(*what, **how):
    run = open_run(*what, **how)
    ended = subprocess.run([sys.executable, "-m", "store", *{command}], capture_output=True, text=True)
    Path("told.txt").write_text(f"{{ended.returncode}} {{ended.stdout}}{{ended.stderr}}")
    return run
process_session.open_run = open_and_change
"""


def test_a_folder_for_the_store_is_not_made_before_the_input_is_usable(workplace):
    workplace.configure("[dataset]\nvideos = nowhere\n")
    assert workplace.run(task="Features").returncode == 2
    assert not (workplace.folder / "store").exists()


def test_importing_the_tasks_judges_no_setting_and_ends_no_process(workplace):
    (workplace.folder / "tasks.cfg").write_text("[run]\ndevice = abacus\n[nonsense]\n")
    command = [sys.executable, "-c", "import pipeline.tasks; print('imported')"]
    ended = subprocess.run(command, cwd=workplace.folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "imported\n"), ended.stderr
    assert not (workplace.folder / "runs").exists()


@pytest.mark.parametrize("task", ["FullRun", "Predict"])
def test_bad_settings_are_one_sentence_when_the_run_starts(workplace, task):
    workplace.configure("[faces]\ndetect_every = often\n")
    before = workplace.digests(".")
    ended = workplace.run(task=task)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "[faces] detect_every = often" in ended.stderr
    assert workplace.digests(".") == before


@pytest.mark.parametrize("command", [("erase", "store", "{name}", "--yes"), ("compact", "store"), ("gc", "store")])
def test_nothing_changes_a_store_between_its_plan_and_the_run(finished, command):
    """A person who was erased in between would be added again, and nobody would notice."""
    name = next(iter(finished.ledger()))
    words = [word.format(name=name) for word in command]
    ended = finished.run(task="Features", code=CHANGE_AFTER_THE_PLAN.format(command=words))
    assert ended.returncode == 0, ended.stderr
    told = (finished.folder / "told.txt").read_text()
    assert "is in use by process" in told
    assert told.startswith("2"), told


def test_the_exit_codes_of_the_settings_count(workplace):
    """Luigi asks for [retcode] before it makes a task."""
    workplace.configure("[retcode]\ntask_failed = 77\n")
    (workplace.folder / "store").mkdir()
    (workplace.folder / "store" / "stft").write_text("in the way")
    (workplace.folder / "store" / "frames").write_text("in the way")
    assert workplace.run(task="Features").returncode == 77


def test_a_fault_of_the_closing_is_told_and_changes_the_exit_code(finished):
    ended = finished.run(code=FAIL.format(module="closing", name="make_stages_table", error="OSError(28, 'No space')"))
    assert ended.returncode == 40, ended.stderr
    assert "the run could not be closed: No space left on device: the disk of [" in ended.stderr
    assert "Traceback" not in ended.stderr
    with locked(finished.folder / "store"):
        pass  # the session has released the lock


def test_what_failed_is_written_at_once(workplace):
    (workplace.folder / "store").mkdir()
    for part in ("stft", "frames"):
        (workplace.folder / "store" / part).write_text("in the way")
    assert workplace.run(task="Features", code=KILL_AFTER_A_FAILURE).returncode == -9
    failures = read_failures(workplace.folder / "runs")
    assert len(failures) == 1
    assert "of shard" in failures[0]
    ended = workplace.run(task="Features")
    assert ended.returncode == 30
    assert len(read_failures(workplace.folder / "runs")) >= 2, "the last run's are gone"


def test_a_report_of_before_is_the_newest_again_when_the_settings_are_back(finished):
    assert finished.run().returncode == 0
    latest = finished.folder / "runs" / "latest"
    first = latest.readlink()
    latest.unlink()
    latest.symlink_to("reports/another")
    told = finished.command("status")
    assert told.returncode == 3
    assert "links to another" in told.stdout
    assert finished.run().returncode == 0
    assert latest.readlink() == first
    assert finished.command("status").returncode == 0


def test_the_ledger_is_written_by_the_task_that_makes_it(finished):
    assert finished.run(task="Features").returncode == 0
    path = finished.folder / "runs" / "ledger.csv"
    ledger = path.read_text()
    path.unlink()
    assert finished.run(task="Features").returncode == 0
    assert path.read_text() == ledger


def test_a_run_may_open_as_many_files_as_the_system_allows():
    code = (
        "import resource as r; hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (64, hard))\n"
        "from pipeline.process import raise_file_limit; raise_file_limit()\n"
        "assert r.getrlimit(r.RLIMIT_NOFILE) == (hard, hard)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr

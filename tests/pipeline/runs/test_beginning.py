"""A run removes half-written files of killed runs, and leaves those of running processes."""

import dataclasses
import subprocess
import sys

import pytest

from pipeline.runs.beginning import remove_leftovers
from store.files import _unfinished_name
from tests.pipeline.conftest import ROOT
from tests.pipeline.stages.test_unreadable import make_job

NAME = "import sys; from store.files import _unfinished_name; print(_unfinished_name(sys.argv[1]))"
PLACES = [
    "store/roots",
    "store/shards",
    "store/wav",
    "store/frames/0123456789abcdef",
    "runs",
    "runs/failures",
    "runs/reports",
    "runs/reports/0123456789abcdef",
    "runs/predictions",
    "runs/checkpoints/anet-1",
]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "videos" / "v").mkdir(parents=True)
    (tmp_path / "videos" / "v" / "a.mp4").write_bytes(b"a clip")
    found = make_job(tmp_path, "a").run
    made = [file for stage in found.chain.values() for file in stage.made_from]
    return dataclasses.replace(found, fingerprints=dict.fromkeys(made, "0123456789abcdef"))


def test_what_killed_processes_have_left_goes_wherever_a_run_writes(run, tmp_path):
    ended = subprocess.run([sys.executable, "-c", NAME, "x"], cwd=ROOT, capture_output=True, text=True, check=True)
    dead, living = ended.stdout.strip(), _unfinished_name("x")
    for place in PLACES:
        (tmp_path / place).mkdir(parents=True)
        for name in (dead, living):
            (tmp_path / place / name).write_bytes(b"half")
    # Reports are written as folders.
    (tmp_path / "runs" / "reports" / dead).unlink()
    (tmp_path / "runs" / "reports" / dead / "new" / "predictions").mkdir(parents=True)
    remove_leftovers(run)
    assert [place for place in PLACES if (tmp_path / place / dead).exists()] == []
    assert [place for place in PLACES if not (tmp_path / place / living).exists()] == []

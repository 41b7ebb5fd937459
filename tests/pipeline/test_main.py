"""`python -m pipeline`: the same exit codes for all commands, and no complaint when nobody reads on."""

import json
import os
import subprocess
import sys

import pytest

from tests.pipeline.conftest import ROOT


@pytest.mark.parametrize(
    "words",
    [["evaluate", "none.csv", "none.csv"], ["report", "nowhere"], ["predict", "none.mp4"], ["status"]],
    ids=lambda words: words[0],
)
def test_input_that_cannot_be_used_is_2_and_a_sentence(tmp_path, words):
    command = [sys.executable, "-m", "pipeline", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"models": {}, "notes": ["x" * 1000] * 1000}))
    command = [sys.executable, "-m", "pipeline", "report", str(tmp_path), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes) as process:
        process.stdout.read(10)
        process.stdout.close()
        complaint = process.stderr.read()
        assert process.wait(timeout=120) == 0
    assert complaint == b""


INTERRUPTED = """
import os, signal, sys
from pipeline.__main__ import main
from pipeline.commands import status
status.run = lambda arguments: os.kill(os.getpid(), signal.SIGINT)
sys.exit(main(["status"]))
"""


def test_ctrl_c_ends_a_command_with_a_sentence(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", INTERRUPTED]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert ended.stderr == "stopped: finished work is kept, and the same command continues from there\n"

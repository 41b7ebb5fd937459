"""How a process ends where a person has to read why, and how many files it may have open."""

import subprocess
import sys

import pytest

from pipeline.process import UNUSABLE, leave
from tests.pipeline.conftest import ROOT


def start(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_leaving_says_a_sentence_and_no_traceback(capsys):
    with pytest.raises(SystemExit) as ended:
        leave(ValueError("the store is elsewhere"))
    assert ended.value.code == UNUSABLE
    assert capsys.readouterr().err == "the store is elsewhere\n"


def test_ctrl_c_is_one_sentence_and_other_errors_keep_their_traceback():
    code = """
import sys
from pipeline.process import explain_interrupt, was_interrupted
sys.excepthook = explain_interrupt
import atexit; atexit.register(lambda: print(was_interrupted()))
raise {}
"""
    ended = start(code.format("KeyboardInterrupt"))
    assert ended.stderr == "stopped: finished work is kept, and the same command continues from there\n"
    assert ended.stdout == "True\n"
    ended = start(code.format("ValueError('odd')"))
    assert ended.stderr.startswith("Traceback ")
    assert ended.stderr.endswith("ValueError: odd\n")
    assert ended.stdout == "False\n"


def test_a_process_may_open_as_many_files_as_the_system_allows():
    code = """
import resource
from pipeline.process import raise_file_limit
hard = min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
raise_file_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""
    ended = start(code)
    assert ended.stdout == "True\n", ended.stderr

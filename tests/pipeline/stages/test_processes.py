"""Processes of our own: they give results, pass errors on, and never outlive the one who started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.weights.table import WrongDigestError
from pipeline.errors import TransientError
from pipeline.stages.processes import Processes

ROOT = Path(__file__).resolve().parent.parent.parent.parent
DEADLINE_SECONDS = 60


def tell_pid(_argument):
    return os.getpid()


def refuse(value):
    raise ValueError(f"no {value}")


def die(_argument):
    os.kill(os.getpid(), signal.SIGKILL)


def is_alive(pid):
    """Tell whether a process runs; a zombie that nobody has waited for does not."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there after {DEADLINE_SECONDS} s"
        time.sleep(0.02)


def test_results_and_errors_come_back_and_a_killed_process_is_replaced():
    processes = Processes(1)
    assert not processes.are_running
    first = processes.call(tell_pid, None, what="a.mp4")
    assert first != os.getpid()
    assert processes.call(tell_pid, None, what="a.mp4") == first, "it lives on"
    with pytest.raises(ValueError, match="no faces"):
        processes.call(refuse, "faces", what="a.mp4")
    with pytest.raises(TransientError, match=r"a\.mp4: a process was killed, .* fewer \[run\] threads"):
        processes.call(die, None, what="a.mp4")
    second = processes.call(tell_pid, None, what="a.mp4")
    assert second != first
    processes.close()
    assert not processes.are_running
    wait_until_gone(second)


def refuse_weights(path):
    raise WrongDigestError(Path(path), expected="aa", found="bb", remedy="fetch it")


def test_wrong_weights_are_told_as_such_and_not_as_a_killed_process():
    with pytest.raises(WrongDigestError, match=r"w\.pth is not the published file: its digest is bb, it must be aa"):
        Processes(1).call(refuse_weights, "w.pth", what="a.mp4")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_processes_end_when_the_one_who_started_them_is_killed():
    code = (
        "import os, signal\n"
        "from pipeline.stages.processes import Processes\n"
        "from tests.pipeline.stages.test_processes import tell_pid\n"
        "print(Processes(1).call(tell_pid, None, what='a'), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    started = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=DEADLINE_SECONDS
    )
    assert started.returncode == -signal.SIGKILL
    wait_until_gone(int(started.stdout))

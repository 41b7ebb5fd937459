import json
import subprocess
import sys

import pytest

from models.training.metrics import EpochMetrics
from pipeline import config
from pipeline.training import worker as training_processes

METRICS = EpochMetrics(
    kind="vnet",
    epoch=0,
    num_epochs=2,
    loss=0.5,
    learning_rate=0.1,
    ccc_arousal=0.1,
    ccc_valence=float("nan"),
    total_ccc=0.1,
    is_best=True,
    num_train=4,
    num_validation=2,
    seconds=2.0,
    train_seconds=1.0,
    wait_seconds=0.0,
)


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """A stand-in for Python that writes down its arguments, says something and ends."""

    def install(said, code):
        script = tmp_path / "python"
        (tmp_path / "said").write_text(said)
        script.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\ncat {tmp_path}/said\nexit {code}\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        monkeypatch.setattr(config, "run", lambda: type("Run", (), {"processes": 3}))
        return tmp_path / "arguments"

    return install


def test_epochs_of_the_first_process_are_passed_on(launcher):
    arguments = launcher(f"W1122 a line of torchrun's\nepoch: {json.dumps(METRICS.as_plain())}\n", 0)
    seen = []
    training_processes.train("vnet", "abc", seen.append)
    assert [(metrics.loss, metrics.is_best) for metrics in seen] == [(0.5, True)]
    assert seen[0].ccc_valence != seen[0].ccc_valence, "undefined"
    expected = "-m torch.distributed.run --standalone --nproc-per-node=3 -m pipeline.training.worker vnet abc\n"
    assert arguments.read_text() == expected


def test_a_failure_is_told_with_the_first_reason(launcher):
    launcher("noise\nmodels.training.job.TrainingError: vnet: the loss (nan) ...\nChildFailedError: more noise\n", 1)
    message = r"vnet in 3 processes ended with 1: models.training.job.TrainingError: vnet: the loss \(nan\) \.\.\."
    with pytest.raises(training_processes.TrainingProcessError, match=message):
        training_processes.train("vnet", "abc", lambda metrics: None)


def test_a_process_ends_when_the_one_that_started_it_is_gone():
    code = "from pipeline import training_processes as t; t.end_with_parent(); t.threading.Event().wait(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        process.stdin.close()
        assert process.wait(timeout=50) == 1


def test_a_failure_without_a_reason_is_told_with_the_last_lines(launcher):
    launcher("\n".join(f"line {n}" for n in range(9)) + "\n", 7)
    with pytest.raises(
        training_processes.TrainingProcessError, match=r"ended with 7: line 4\nline 5\nline 6\nline 7\nline 8$"
    ):
        training_processes.train("anet", "abc", lambda metrics: None)

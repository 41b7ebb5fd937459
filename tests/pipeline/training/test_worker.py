"""A training shared by processes: what they are told, what they say, and how they end."""

import json
import logging
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.training.metrics import EpochMetrics
from pipeline.training.clips import SplitRows
from pipeline.training.launcher import TrainingProcessError, train_in_processes
from pipeline.training.request import TrainingRequest

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
NOTHING = SplitRows([], None, [], [], [])
REQUEST = TrainingRequest(
    network="vnet",
    settings={"learning_rate_steps": (8, 16), "learning_rate": 0.01},
    folder="runs/checkpoints/vnet-abc",
    curves="runs/tensorboard/VNet, seed 3",
    seed=3,
    device="cpu",
    threads=1,
    save_every_steps=0,
    saving_share=1.0,
    weights=None,
    parents={},
    provenance={"seed": 3},
    train=NOTHING,
    validation=NOTHING,
)


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """A stand-in for Python that writes down its arguments, says something and ends."""

    def install(said, code):
        script = tmp_path / "python"
        (tmp_path / "said").write_text(said)
        script.write_text(
            f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\nfor last; do :; done\ncp "$last" {tmp_path}/request\n'
            f"cat {tmp_path}/said\nexit {code}\n"
        )
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return tmp_path / "arguments"

    return install


def test_epochs_of_the_first_process_are_passed_on(launcher):
    arguments = launcher(f"W1122 a line of torchrun's\nepoch: {json.dumps(METRICS.as_plain())}\n", 0)
    seen = []
    train_in_processes(REQUEST, 3, seen.append)
    assert [(metrics.loss, metrics.is_best) for metrics in seen] == [(0.5, True)]
    assert seen[0].ccc_valence != seen[0].ccc_valence, "undefined"
    *words, path = arguments.read_text().split()
    assert " ".join(words) == "-m torch.distributed.run --standalone --nproc-per-node=3 -m pipeline.training.worker"
    assert not Path(path).exists(), "it was for the processes alone"
    assert TrainingRequest.read(arguments.with_name("request")).folder == "runs/checkpoints/vnet-abc"


def test_what_the_first_process_warns_of_is_told_as_a_warning(launcher, caplog):
    launcher("a line of torchrun's\nwarning: anet: constant predictions: in epochs 0 to 2 ...\n", 0)
    with caplog.at_level(logging.INFO, "valar"):
        train_in_processes(REQUEST, 3, lambda metrics: None)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == ["anet: constant predictions: in epochs 0 to 2 ..."]


def test_a_process_prints_what_its_training_warns_of():
    code = "import logging; from pipeline.training.worker import pass_warnings_on\n"
    code += "pass_warnings_on(); logging.getLogger('models.training.loop').warning('%s: told', 'vnet')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("warning: vnet: told\n", "")


def test_a_request_is_read_as_it_was_written(tmp_path):
    rows = SplitRows(["v/a", "v/b"], [[0.1, math.nan], [1 / 3, -1.0]], ["a.h5", None], [[None, "b.h5"]], [None, None])
    request = replace(REQUEST, train=rows, weights="vgg16.pth", parents={"anet": "runs/anet"})
    request.write(tmp_path / "request.json")
    found = TrainingRequest.read(tmp_path / "request.json")
    assert math.isnan(found.train.labels[0][1])
    assert found.train.labels[1] == rows.labels[1]
    assert found.train.stft == rows.stft
    assert found.validation == NOTHING
    assert (found.weights, found.parents, found.seed) == ("vgg16.pth", {"anet": "runs/anet"}, 3)


def test_a_failure_is_told_with_the_first_reason(launcher):
    launcher("noise\nmodels.training.job.TrainingError: vnet: the loss (nan) ...\nChildFailedError: more noise\n", 1)
    message = r"vnet in 3 processes ended with 1: models.training.job.TrainingError: vnet: the loss \(nan\) \.\.\."
    with pytest.raises(TrainingProcessError, match=message):
        train_in_processes(REQUEST, 3, lambda metrics: None)


def test_a_process_ends_when_the_one_that_started_it_is_gone():
    code = "import threading; from pipeline.training.worker import end_with_parent\n"
    code += "end_with_parent(); print(flush=True); threading.Event().wait(60)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        assert process.stdout.readline() == "\n", process.stderr.read()
        process.stdin.close()
        assert process.wait(timeout=50) == 1
        assert process.stderr.read() == "", "not a fault of its own"


def test_a_failure_without_a_reason_is_told_with_the_last_lines(launcher):
    launcher("\n".join(f"line {n}" for n in range(9)) + "\n", 7)
    with pytest.raises(TrainingProcessError, match=r"ended with 7: line 4\nline 5\nline 6\nline 7\nline 8$"):
        train_in_processes(REQUEST, 3, lambda metrics: None)


def test_files_of_the_current_folder_are_none_of_pythons(tmp_path, monkeypatch):
    for name in ("random", "signal", "numpy", "store"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    request = replace(REQUEST, settings={"no_such_setting": 1})  # as far as it goes without clips
    with pytest.raises(TrainingProcessError, match="no_such_setting"):
        train_in_processes(request, 1, lambda metrics: None)

"""A training shared by several processes of this machine, started through torchrun (pipeline/training/worker.py)."""

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.training.metrics import EpochMetrics
from pipeline.training.request import TrainingRequest
from pipeline.training.worker import MARK, WARNING_MARK

logger = logging.getLogger("valar")

_ROOT = Path(__file__).resolve().parents[2]
_SYSTEM_ERROR = re.compile(r"Error: \[Errno (?P<number>\d+)\] (?P<words>.+): '(?P<path>.+)'$")


class TrainingProcessError(RuntimeError):
    """The processes of a training have failed; the message quotes their output."""


def train_in_processes(request: TrainingRequest, count: int, on_epoch: Callable[[EpochMetrics], None]) -> None:
    """Train a network in several processes, which share the clips of each batch.

    Args:
        request: what to train; the processes read it from a file.
        count: number of processes.
        on_epoch: called after each epoch.

    Raises:
        TrainingProcessError: one of the processes failed.
    """
    said: list[str] = []
    # Nothing is ever written to stdin. The processes end when it is closed, which happens when this process is killed.
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with tempfile.TemporaryDirectory(prefix="valar-") as folder:
        path = Path(folder) / "training.json"
        request.write(path)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command += ["-m", "pipeline.training.worker", str(path)]
        # PYTHONSAFEPATH: a file in the current folder must not be imported in place of a module of the same name.
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": paths}
        with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
            assert process.stdout is not None  # a pipe was asked for
            try:
                for line in process.stdout:
                    if line.startswith(MARK):
                        on_epoch(EpochMetrics.from_plain(json.loads(line.removeprefix(MARK))))
                    elif line.startswith(WARNING_MARK):
                        logger.warning("%s", line.removeprefix(WARNING_MARK).rstrip())
                    elif line.strip():
                        logger.info("%s", line.rstrip())
                        said.append(line.rstrip())
            except BaseException:
                process.terminate()
                raise
    if process.returncode:
        reason = next((line for line in said if "Error: " in line), "\n".join(said[-5:]))
        error = TrainingProcessError(
            f"{request.network} in {count} processes ended with {process.returncode}: {reason}"
        )
        raise error from _find_system_error(said)


def _find_system_error(lines: Sequence[str]) -> OSError | None:
    """Give the first system error in the processes' tracebacks, such as that of a full disk."""
    found = next(filter(None, map(_SYSTEM_ERROR.search, lines)), None)
    return None if found is None else OSError(int(found["number"]), found["words"], found["path"])

"""A training shared by several processes of this machine, started through torchrun.

The tasks' process starts them and reads their progress; each opens the same run, read-only, and takes its share.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline import config
from pipeline.errors import UserError

if TYPE_CHECKING:
    from models.metrics import EpochMetrics

MARK = "epoch: "

logger = logging.getLogger("valar")


class TrainingProcessError(RuntimeError):
    """The processes of a training have failed; their last lines say why."""


def train(network: str, fingerprint: str, on_epoch: "Callable[[EpochMetrics], None]") -> None:
    """Train a network in `[run] processes` processes.

    Args:
        network: anet, vnet or joint.
        fingerprint: of the checkpoints, which the processes have to come to as well.
        on_epoch: called after each epoch.

    Raises:
        TrainingProcessError: one of them failed.
    """
    from models.metrics import EpochMetrics

    count = config.run().processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "pipeline.training_processes", network, fingerprint]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # a pipe was asked for
        try:
            for line in process.stdout:
                if line.startswith(MARK):
                    on_epoch(EpochMetrics.from_plain(json.loads(line.removeprefix(MARK))))
                elif line.strip():
                    logger.info("%s", line.rstrip())
                    said.append(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        reason = next((line for line in said if "Error: " in line), "\n".join(said[-5:]))
        raise TrainingProcessError(f"{network} in {count} processes ended with {process.returncode}: {reason}")


def main(argv: Sequence[str]) -> None:
    """Be one of the processes."""
    from models.parallel import find_group, grouped
    from pipeline.experiment import Experiment
    from pipeline.run import open_run
    from pipeline.stages.device import find_device

    network, fingerprint = argv
    with grouped(find_device()) as device:
        experiment = Experiment(open_run())
        if experiment.fingerprints[network] != fingerprint:
            raise UserError(f"clips or settings have changed while {network} was about to be trained; run again")
        is_first = find_group().is_first

        def report(metrics: "EpochMetrics") -> None:
            if is_first:
                print(MARK + json.dumps(metrics.as_plain()), flush=True)

        experiment.train_here(network, report, device=device)


if __name__ == "__main__":
    main(sys.argv[1:])

"""A network's training: in this process, or shared by several of this machine, started through torchrun.

The tasks' process starts them and reads their progress; each opens the same run, read-only, and takes its share.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline import config

if TYPE_CHECKING:
    from models.training.metrics import EpochMetrics
    from pipeline.training.seed_trainings import Trainings

MARK = "epoch: "

logger = logging.getLogger("valar")


class TrainingProcessError(RuntimeError):
    """The processes of a training have failed; their last lines say why."""


def train(network: str, fingerprint: str, on_epoch: "Callable[[EpochMetrics], None]") -> None:
    """Train a network in `[run] processes` processes.

    Args:
        network: anet, vnet or joint.
        fingerprint: of the checkpoints, which the processes have to come to as well; tells them the seed.
        on_epoch: called after each epoch.

    Raises:
        TrainingProcessError: one of them failed.
    """
    from models.training.metrics import EpochMetrics

    count = config.run().processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "pipeline.training.worker", network, fingerprint]
    said: list[str] = []
    # Nothing is ever written to stdin: that it is open tells the processes that this one lives.
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, **pipes) as process:
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


def train_here(
    trainings: "Trainings", network: str, on_epoch: "Callable[[EpochMetrics], None]", *, device: str
) -> None:
    """Train a network in this process, or in this process's share of several, and leave its checkpoints."""
    from models.training import start as training
    from pipeline.stages.device import torch_threads

    values = {**config.settings_of(config.SECTIONS[network]), "precision": config.run().precision}
    experiment = trainings.experiment
    weights = experiment.run.weights
    options = training.RunOptions(
        trainings.folder(network),
        seed=trainings.seed,
        device=device,
        on_epoch=on_epoch,
        save_every_steps=config.run().save_every_steps,
        saving_share=config.run().saving_share,
    )
    made_from = trainings.describe()
    train, validation = experiment.load_clips("train"), experiment.load_clips("validation")
    with torch_threads(_count_threads(network)):
        if network == "anet":
            values.pop("vgg_weights")
            anet = training.ANetSettings(**values)
            training.train_anet(train, validation, anet, options, weights=weights["vgg16"].path, provenance=made_from)
        elif network == "vnet":
            vnet = training.VNetSettings(**values, channel_order=config.embeddings().channel_order)
            training.train_vnet(
                train, validation, vnet, options, weights=weights["sphereface20"].path, provenance=made_from
            )
        else:
            parents: dict[str, Any] = {parent: trainings.folder(parent) for parent in ("anet", "vnet")}
            joint = training.JointSettings(**values)
            training.train_joint(train, validation, joint, options, **parents, provenance=made_from)


def _count_threads(network: str) -> int:
    """Give the threads of each operation in a training on the CPU.

    The LSTM of VNet on cached embeddings is hundreds of small operations, after each of which several threads wait for
    each other: on a busy machine of two cores it takes five times as long with two threads as with one.
    """
    if network == "vnet" and config.vnet().backbone == "frozen":
        return 1
    return max(1, config.number_of_threads() // config.run().processes)


def end_with_parent() -> None:
    """End this process as soon as its standard input does, as it does when the tasks' process is killed.

    Left alone, it would train on in a folder in which the next run trains.
    """

    def wait() -> None:
        # Not sys.stdin, whose lock a blocked thread would hold when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="end with parent").start()


def main(argv: Sequence[str]) -> None:
    """Be one of the processes."""
    from models.training.parallel import find_group, grouped
    from pipeline.runs.run import open_run
    from pipeline.stages.device import find_device
    from pipeline.training.experiment import Experiment

    end_with_parent()
    network, fingerprint = argv
    with grouped(find_device()) as device:
        trainings = Experiment(open_run()).find_trainings(network, fingerprint)
        is_first = find_group().is_first

        def report(metrics: "EpochMetrics") -> None:
            if is_first:
                print(MARK + json.dumps(metrics.as_plain()), flush=True)

        train_here(trainings, network, report, device=device)


if __name__ == "__main__":
    from models.training.parallel import end_process

    main(sys.argv[1:])
    end_process()

"""A small training for one process or several: `torchrun -m tests.models.training.shared_training FOLDER`."""

import json
import sys
from pathlib import Path

import torch
from torch import distributed

from models.training import epoch as stepping
from models.training.parallel import end_process, find_group, grouped
from models.training.settings import VNetSettings
from models.training.start import RunOptions, train_vnet
from tests.models.data import make_clips

LOSSES = ("mse", "ccc")


def train(folder, loss):
    settings = VNetSettings(epochs=3, batch_size=4, num_frames=2, learning_rate=0.05, loss=loss)
    train_vnet(make_clips(11), make_clips(7, seed=1), settings, RunOptions(folder, seed=2))


def main():
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    drawn = []
    take_step = stepping._take_step

    def spy(*args):
        with torch.random.fork_rng():
            drawn.append(torch.rand(()).item())  # as dropout would at the step's start
        return take_step(*args)

    stepping._take_step = spy
    with grouped("cpu"):
        for loss in LOSSES:
            train(folder / loss, loss)
        group = find_group()
        everyone = [None] * group.size
        distributed.all_gather_object(everyone, drawn)
        if group.is_first:
            (folder / "drawn.json").write_text(json.dumps(everyone))


if __name__ == "__main__":
    main()
    end_process()

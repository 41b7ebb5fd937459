"""Train in a process of its own that kills itself: `python killed_training.py FOLDER N` dies at its Nth renaming."""

import os
import signal
import sys
from pathlib import Path

import torch

from models.training.settings import VNetSettings
from models.training.start import RunOptions, train_vnet
from tests.models.data import make_clips

SETTINGS = VNetSettings(epochs=3, batch_size=3, num_frames=2, learning_rate=0.1, average_last=2)


def train(folder, settings=SETTINGS, seed=3, **changes):
    train_vnet(make_clips(8), make_clips(5, seed=1), settings, RunOptions(folder, seed=seed, **changes))


def main():
    countdown = int(sys.argv[2])
    rename = Path.replace

    def replace(self, target):
        nonlocal countdown
        countdown -= 1
        if not countdown:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.replace = replace
    torch.set_num_threads(1)
    train(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

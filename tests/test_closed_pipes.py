"""A reader that has seen enough, as `head` does, makes no command complain."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "command",
    [
        "models summary vnet",
        "models.weights list",
        "pipeline evaluate TRUTH TRUTH",
        "valar weights list",
    ],
)
def test_a_command_whose_output_nobody_reads_ends_quietly(command, tmp_path):
    truth = tmp_path / "truth.csv"
    truth.write_text("video,utterance,arousal,valence\nv,a.mp4,0.1,0.2\nv,b.mp4,0.3,0.1\n")
    words = [str(truth) if word == "TRUTH" else word for word in command.split()]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")

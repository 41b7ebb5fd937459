"""What would fail in the middle of a run is refused before its first clip, and nothing is written."""

import subprocess
import sys

import pytest
import torch

from tests.modes import OBEY_MODES
from tests.pipeline.conftest import ROOT


def save_other_network(path):
    torch.save({"fc5.weight": torch.zeros(2, 2)}, path)


def save_rubbish(path):
    path.write_bytes(b"PK\x03\x04 and then nothing of an archive")


def save_page(path):
    path.write_text("<html>404</html>")


@pytest.mark.parametrize(
    ("setting", "save", "sentence"),
    [
        ("[embeddings]\nweights", save_rubbish, "mine.pth cannot be read as a file of weights"),
        ("[embeddings]\nweights", save_other_network, "mine.pth does not fit: missing"),
        ("[embeddings]\nweights", save_page, "mine.pth is not a file of tensors"),
        ("[anet]\nvgg_weights", save_other_network, "mine.pth is not the published file"),
    ],
)
def test_weights_that_are_none_are_refused_before_the_first_clip(workplace, setting, save, sentence):
    save(workplace.folder / "mine.pth")
    workplace.configure(f"{setting} = mine.pth\n")
    before = workplace.digests(".")
    ended = workplace.run()
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert ended.stderr.startswith(setting.replace("\n", " "))
    assert sentence in ended.stderr
    left = {path: digest for path, digest in workplace.digests(".").items() if not path.endswith(".digest.json")}
    assert left == before


def test_weights_that_may_not_be_read_name_the_setting(workplace):
    save_rubbish(workplace.folder / "mine.pth")
    (workplace.folder / "mine.pth").chmod(0)
    workplace.configure("[embeddings]\nweights = mine.pth\n")
    ended = workplace.run(code=OBEY_MODES)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert ended.stderr.startswith("[embeddings] weights = mine.pth cannot be read (Permission denied)")


def test_features_need_no_vgg_weights_however_damaged(workplace):
    save_rubbish(workplace.folder / "vgg.pth")
    workplace.configure("[anet]\nvgg_weights = vgg.pth\n")
    code = "from pipeline.runs.opening import open_run; print(open_run().untrainable)"
    environment = {"PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=workplace.folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("[anet] vgg_weights = vgg.pth: vgg.pth is not the published file")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("section", "task"), [("run", "FullRun"), ("faces", "Features")])
def test_a_gpu_that_is_not_there_is_refused_before_the_first_clip(workplace, section, task):
    workplace.configure(f"[{section}]\ndevice = cuda\n")
    before = workplace.digests(".")
    ended = workplace.run(task=task)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert ended.stderr.startswith(f"[{section}] device = cuda, but PyTorch sees no CUDA device here")
    assert workplace.digests(".") == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_features_that_are_there_need_no_gpu_and_a_training_says_that_it_does(finished):
    assert finished.run().returncode == 0
    finished.configure("[run]\ndevice = cuda\n")
    assert finished.run().returncode == 0, "nothing is to do"
    finished.configure("[joint]\nepochs = 1\n")
    ended = finished.run()
    assert ended.returncode == 30
    assert ended.stderr.count("failed: FullRun: [run] device = cuda, but PyTorch sees no CUDA") == 1
    assert "Traceback" not in ended.stderr

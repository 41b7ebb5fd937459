import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.inputs import feeding
from models.inputs.batches import draw_rows
from models.inputs.plan import InputPlan
from models.training.checkpoints import load_checkpoint
from models.training.epoch import Setup, plan_epoch
from models.training.job import TrainingError
from models.training.parallel import Group, find_group, grouped
from models.training.settings import VNetSettings
from models.training.start import RunOptions, train_vnet
from tests.models.data import make_clips
from tests.models.training import shared_training

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The same training in one process and, through torchrun, in two (gloo)."""
    folder = tmp_path_factory.mktemp("shared")
    for loss in shared_training.LOSSES:
        shared_training.train(folder / "one" / loss, loss)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.models.training.shared_training", str(folder / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return folder


def read_metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("loss", shared_training.LOSSES)
def test_two_processes_give_the_losses_of_one(trained, loss):
    """11 utterances in batches of 4, 4, 3: the last is shared 2 and 1. CCC is the whole batch's, the whole split's."""
    one, two = (read_metrics(trained / name / loss) for name in ("one", "two"))
    assert len(one) == len(two) == 3
    for left, right in zip(one, two, strict=True):
        for name in ("loss", "ccc_arousal", "ccc_valence", "total_ccc"):
            assert right[name] == pytest.approx(left[name], rel=1e-4, abs=1e-5), name
        assert (right["num_train"], right["num_validation"]) == (11, 7)
    weights = [load_checkpoint(trained / name / loss / "last.pt").state for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_nodes_give_the_weights_of_two_processes_of_one(trained, tmp_path):
    """Valar itself starts no training on several machines, but the code can be part of one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = []
    for node in range(2):
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={node}"]
        command += ["--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"]
        command += ["-m", "tests.models.training.shared_training", str(tmp_path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        nodes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL))
    assert [node.wait() for node in nodes] == [0, 0]
    for loss in shared_training.LOSSES:
        found, wanted = (load_checkpoint(folder / loss / "last.pt").state for folder in (tmp_path, trained / "two"))
        assert all(torch.equal(found[key], value) for key, value in wanted.items())


def test_shares_cover_every_utterance_once_an_epoch():
    clips = make_clips(11)
    settings = VNetSettings(batch_size=4)
    seen = []
    for rank in range(3):
        job = type("Job", (), {"settings": settings, "train_plan": settings.plan_inputs(evaluation=False)})
        setup = Setup(job, None, None, clips, None, np.arange(1, 11), 0, "cpu", Group(rank, 3))
        batches, draw = plan_epoch(setup, 5)
        assert [len(rows) for rows in batches] == [4, 3, 3]
        seen += [draw.take(setup.group.take_share(rows)).members for rows in batches]
    assert all(len(share) in (1, 2) for share in seen)
    assert sorted(np.concatenate(seen).tolist()) == list(range(1, 11))


def test_processes_draw_different_random_numbers(trained):
    drawn = json.loads((trained / "two" / "drawn.json").read_text())
    assert [len(numbers) for numbers in drawn] == [18, 18]  # 3 steps, 3 epochs, 2 losses
    assert not set(drawn[0]) & set(drawn[1])
    assert len(set(drawn[0])) == 9, "others in each step; both losses have one seed"


def test_alone_there_is_a_group_of_one(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with grouped("cpu") as device:
        assert device == "cpu"
        assert find_group() == Group(0, 1)
    own = torch.ones(2, 2, requires_grad=True)
    assert Group().join(own, 2) is own


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RuntimeError, match=r"process 2 has no GPU: this machine has 2"), grouped("cuda"):
        pass


def test_batches_smaller_than_the_group_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("models.training.loop.find_group", lambda: Group(0, 4))
    with pytest.raises(
        TrainingError, match=r"vnet: 4 processes cannot share a batch of 3 utterances \(3 in all, batch_s"
    ):
        train_vnet(make_clips(3), make_clips(3), VNetSettings(), RunOptions(tmp_path, seed=0))


@pytest.mark.parametrize(
    "plan", [InputPlan(4, 16, mask_frames=9), InputPlan(2, 0), InputPlan(0, 3, "crops", mirror=True)]
)
def test_rows_kept_on_the_device_are_those_of_the_files(plan):
    clips = make_clips(3, stft_frames=700, num_faces=20, crops=True)
    clips.stft[1] = clips.stft[1][:120]
    draw = draw_rows(clips, np.array([2, 1, 0]), plan, np.random.default_rng(0))
    host = feeding.HostRows(clips).gather(draw, plan)
    device = feeding.DeviceRows(clips, plan, "cpu").gather(draw, plan)
    for name in ("maps", "map_lengths", "map_index", "masks", "faces", "mirrored"):
        assert torch.equal(getattr(host, name), getattr(device, name)), name


def test_rows_of_another_feature_of_sound_kept_on_the_device_are_those_of_the_files():
    rows = [np.arange(3 * n, dtype=np.float32).reshape(n, 3) for n in (50, 5, 12)]
    clips, plan = replace(make_clips(3), stft=rows, hop_seconds=0.25), InputPlan(2, 0, sound="rows", map_rows=12)
    draw = draw_rows(clips, np.array([2, 1, 0]), plan, np.random.default_rng(0))
    host = feeding.HostRows(clips).gather(draw, plan)
    device = feeding.DeviceRows(clips, plan, "cpu").gather(draw, plan)
    assert host.maps.shape[1:] == (12, 3)
    for name in ("maps", "map_lengths", "map_index"):
        assert torch.equal(getattr(host, name), getattr(device, name)), name


def test_gathering_ahead_keeps_the_order_and_passes_errors_on():
    clips, plan = make_clips(6), InputPlan(0, 2)
    draws = [draw_rows(clips, np.array([member]), plan, None) for member in range(6)]
    feed = feeding.Feed(feeding.HostRows(clips), plan, "cpu")
    batches = list(feed.iterate(draws))
    assert [batch.faces[0, 0, 0].item() for batch in batches] == [array[1, 0] for array in clips.embeddings]
    assert feed.wait_seconds >= 0
    clips.embeddings[3] = clips.embeddings[3][:0]
    with pytest.raises(IndexError):
        list(feed.iterate(draws))

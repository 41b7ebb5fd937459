"""Tests that need a GPU; skipped without one."""

import json

import numpy as np
import pytest
import torch

from models.inputs.batches import draw_rows
from models.inputs.feeding import DeviceRows, Feed, HostRows, choose_source
from models.inputs.plan import InputPlan
from models.networks.precision import computing_in
from models.training.checkpoints import load_checkpoint
from models.training.settings import ANetSettings, JointSettings, VNetSettings
from models.training.start import RunOptions, predict, train_anet, train_joint, train_vnet
from tests.models.data import make_clips

pytestmark = pytest.mark.gpu
NAMES = ("maps", "map_lengths", "map_index", "masks", "faces", "mirrored")


@pytest.mark.parametrize("plan", [InputPlan(4, 16, mask_frames=9), InputPlan(0, 3, "crops", mirror=True)])
def test_rows_on_the_gpu_and_pinned_rows_are_those_of_the_files(plan):
    clips = make_clips(3, stft_frames=700, num_faces=20, crops=True)
    draw = draw_rows(clips, np.array([2, 1, 0]), plan, np.random.default_rng(0))
    source = choose_source(clips, plan, "cuda")
    assert isinstance(source, DeviceRows)
    host = HostRows(clips)
    (pinned,) = Feed(host, plan, "cuda").iterate([draw])
    expected, kept = host.gather(draw, plan), source.gather(draw, plan)
    for name in NAMES:
        assert torch.equal(getattr(kept, name).cpu(), getattr(expected, name)), name
        assert torch.equal(getattr(pinned, name), getattr(expected, name)), name


def test_float32_means_it():
    torch.manual_seed(0)
    left, right = (torch.randn(512, 512, device="cuda") for _ in range(2))
    exact = left.double() @ right.double()
    errors = {}
    for precision in ("float32", "tf32", "bfloat16"):
        with computing_in(precision, "cuda"):
            errors[precision] = float((left @ right - exact).norm() / exact.norm())
    assert errors["float32"] < 1e-5 < errors["tf32"] < 2e-3 < errors["bfloat16"] < 2e-2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_all_three_train_and_predict_close_to_the_cpu(tmp_path, precision):
    """Narrow networks, one epoch; the GPU's float32 sums in another order only."""
    clips = make_clips(8, stft_frames=700)
    common = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3}
    for device in ("cpu", "cuda"):
        folder = tmp_path / device
        kept = {**common, "precision": precision if device == "cuda" else "float32"}
        options = {"seed": 0, "device": device}
        anet = ANetSettings(channel_scale=1 / 16, num_evaluation_maps=2, **kept)
        train_anet(clips, clips, anet, RunOptions(folder / "anet", **options), weights=None)
        train_vnet(clips, clips, VNetSettings(num_frames=4, **kept), RunOptions(folder / "vnet", **options))
        parents = {"anet": folder / "anet", "vnet": folder / "vnet"}
        joint = JointSettings(num_maps=2, num_frames=4, **kept)
        train_joint(clips, clips, joint, RunOptions(folder / "joint", **options), **parents)
    tolerance = 1e-3 if precision == "float32" else 0.05
    # VNet alone has no dropout, whose numbers differ between the two devices.
    cpu, gpu = (predict(tmp_path / name / "vnet" / "last.pt", clips, device="cpu") for name in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu, cpu, atol=tolerance)
    for kind in ("anet", "joint"):
        line = json.loads((tmp_path / "cuda" / kind / "metrics.jsonl").read_text())
        assert np.isfinite(line["loss"])
        path = tmp_path / "cuda" / kind / "last.pt"
        assert all(torch.isfinite(value).all() for value in load_checkpoint(path).state.values())
        on_gpu, on_cpu = (predict(path, clips, device=device) for device in ("cuda", "cpu"))
        np.testing.assert_allclose(on_gpu, on_cpu, atol=tolerance)

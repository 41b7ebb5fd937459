import hashlib
import os
from dataclasses import replace
from functools import cache

import pytest
import torch

from models.inputs.batches import InputPlan
from models.networks.anet import build_anet
from models.networks.joint import build_joint
from models.networks.vnet import build_vnet
from models.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    describe_weights,
    load_checkpoint,
    load_network,
    save_checkpoint,
)

SCALE = 1 / 64


@cache
def get_vnet():
    return build_vnet(None, seed=0)


def make_checkpoint(kind="vnet", network=None, architecture=None, **changes):
    network = network or get_vnet()
    checkpoint = Checkpoint(
        kind=kind,
        architecture={"backbone": "frozen"} if architecture is None else architecture,
        inputs=InputPlan(num_maps=0, num_frames=16),
        settings={"epochs": 3, "learning_rate_steps": (1, 2)},
        epoch=2,
        scores={"total_ccc": 0.5, "ccc_arousal": None},
        weights={},
        provenance={"seed": 1, "stages": {"faces": ["abc"]}},
        state=network.state_dict(),
    )
    return replace(checkpoint, **changes)


def test_what_is_saved_is_loaded(tmp_path):
    saved = make_checkpoint()
    save_checkpoint(tmp_path / "best.pt", saved)
    loaded = load_checkpoint(tmp_path / "best.pt")
    for name in ("kind", "architecture", "inputs", "settings", "epoch", "scores", "weights", "provenance"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert loaded.state.keys() == saved.state.keys()
    assert all(torch.equal(loaded.state[key], saved.state[key]) for key in saved.state)


def test_folder_stands_for_its_best(tmp_path):
    save_checkpoint(tmp_path / "best.pt", make_checkpoint(epoch=7))
    save_checkpoint(tmp_path / "last.pt", make_checkpoint(epoch=9))
    assert load_checkpoint(tmp_path).epoch == 7
    assert load_checkpoint(tmp_path / "last.pt").epoch == 9


@pytest.mark.parametrize("kind", ["anet", "vnet", "joint"])
def test_networks_are_rebuilt(tmp_path, kind):
    anet, vnet = build_anet(None, channel_scale=SCALE, seed=1), build_vnet(None, seed=2)
    vnet.feature.set_standardisation(torch.ones(512), 3.0)
    both = {"channel_scale": SCALE, "backbone": "frozen"}
    network, architecture = {
        "anet": (anet, {"channel_scale": SCALE}),
        "vnet": (vnet, {"backbone": "frozen"}),
        "joint": (build_joint(anet, vnet, **both, seed=3), both),
    }[kind]
    save_checkpoint(tmp_path / "best.pt", make_checkpoint(kind, network, architecture))
    rebuilt, _ = load_network(tmp_path, kind=kind)
    assert type(rebuilt) is type(network)
    assert not rebuilt.training
    maps = torch.randn(1, 2, 257, 300, generator=torch.Generator().manual_seed(0))
    faces = torch.randn(1, 16, 512, generator=torch.Generator().manual_seed(0))
    inputs = {"anet": (maps, torch.tensor([[0]])), "vnet": (faces,), "joint": (maps, torch.tensor([[0]]), faces)}[kind]
    with torch.inference_mode():
        assert torch.equal(rebuilt(*inputs), network.eval()(*inputs))


def test_rebuilt_network_can_be_trained_on(tmp_path):
    save_checkpoint(tmp_path / "best.pt", make_checkpoint())
    network, _ = load_network(tmp_path)
    network(torch.zeros(1, 2, 512)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_only_tensors_and_plain_data_are_saved(tmp_path):
    with pytest.raises(TypeError, match=r"provenance.path \(PosixPath\('/x'\)\) is PosixPath: a checkpoint holds"):
        save_checkpoint(tmp_path / "best.pt", make_checkpoint(provenance={"path": type(tmp_path)("/x")}))
    with pytest.raises(TypeError, match=r"settings.steps\[1\] \(tensor\(1\)\) is Tensor"):
        save_checkpoint(tmp_path / "best.pt", make_checkpoint(settings={"steps": [0, torch.tensor(1)]}))
    assert not list(tmp_path.iterdir())


def test_interrupted_writing_leaves_the_former_file(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "best.pt", make_checkpoint(epoch=1))

    def fail(content, file):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path / "best.pt", make_checkpoint(epoch=2))
    assert load_checkpoint(tmp_path).epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*best.pt: a training writes best.pt and last.pt"):
        load_checkpoint(tmp_path)


class Evil:
    def __reduce__(self):
        return os.system, ("echo evil",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.pt cannot be read as a checkpoint"),
        (b"PK\x03\x04 cut short", "x.pt cannot be read as a checkpoint"),
        (b"no checkpoint at all", "x.pt cannot be read as a checkpoint"),
    ],
)
def test_foreign_bytes_are_refused(tmp_path, content, message):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "x.pt")


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"format": "valar-checkpoint/1", "evil": Evil()}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"x.pt cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [{"format": "valar-checkpoint/0"}, {"weight": torch.zeros(2)}, [1, 2]])
def test_other_formats_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"x.pt has format .* it must be 'valar-checkpoint/1'"):
        load_checkpoint(tmp_path / "x.pt")


def test_another_kind_is_refused(tmp_path):
    save_checkpoint(tmp_path / "best.pt", make_checkpoint())
    with pytest.raises(CheckpointError, match=r"holds 'vnet': it must be anet"):
        load_network(tmp_path, kind="anet")
    save_checkpoint(tmp_path / "best.pt", make_checkpoint(kind="dnet"))
    with pytest.raises(CheckpointError, match=r"holds 'dnet': it must be anet or vnet or joint"):
        load_network(tmp_path)


def test_weights_are_described(tmp_path):
    (tmp_path / "vgg.pth").write_bytes(b"abc")
    assert describe_weights(None) == "random"
    assert describe_weights(tmp_path / "vgg.pth") == f"vgg.pth sha256:{hashlib.sha256(b'abc').hexdigest()}"

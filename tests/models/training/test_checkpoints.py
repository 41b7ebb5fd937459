import hashlib
import os
import zipfile
from dataclasses import asdict, replace
from functools import cache

import pytest
import torch

from models.inputs.plan import InputPlan
from models.networks.anet import build_anet
from models.networks.joint import build_joint
from models.networks.vnet import build_vnet
from models.training.checkpoints import (
    FORMAT,
    Checkpoint,
    CheckpointError,
    describe_weights,
    load_checkpoint,
    load_network,
    save_checkpoint,
)

SCALE = 1 / 64
NAN = torch.tensor([0, torch.nan])


@cache
def get_vnet():
    return build_vnet(None, seed=0)


def make_checkpoint(kind="vnet", network=None, architecture=None, **changes):
    network = network or get_vnet()
    checkpoint = Checkpoint(
        kind=kind,
        architecture={"backbone": "frozen"} if architecture is None else architecture,
        inputs=InputPlan(num_maps=0 if kind == "vnet" else 4, num_frames=0 if kind == "anet" else 16),
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


def save_changed(path, **changes):
    """Write a checkpoint as an attacker could make it: some of its content is replaced, and left out for None."""
    made = make_checkpoint()
    content = {"format": FORMAT} | {name: getattr(made, name) for name in Checkpoint.__dataclass_fields__}
    content |= {"inputs": asdict(made.inputs)} | changes
    torch.save({name: value for name, value in content.items() if value is not None}, path)


def nest(levels):
    inner = []
    for _ in range(levels):
        inner = [inner]
    return inner


def multiply(levels):
    """2 ** levels values in a file of a few bytes."""
    inner = [0]
    for _ in range(levels):
        inner = [inner, inner]
    return inner


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": None}, r"it lacks \['state'\]"),
        ({"more": 1}, r"has the unknown \['more'\]"),
        ({"kind": 3}, "kind is int: it must be str"),
        ({"epoch": -1}, r"epoch \(-1\) must be at least 0"),
        ({"epoch": True}, "epoch is bool: it must be int"),
        ({"state": [1]}, "state is list: it must be dict"),
        ({"inputs": {"num_maps": 0}}, "missing 1 required positional argument"),
        ({"inputs": {"num_maps": 0, "num_frames": 10**12}}, r"num_frames \(10{12}\) must be .* from 0 to 4096"),
        ({"inputs": {"num_maps": 0, "num_frames": 16, "faces": "masks"}}, r"faces \('masks'\) must be one of"),
        ({"inputs": {"num_maps": 0, "num_frames": 16, "mirror": 2}}, r"mirror \(2\) must be one of True, False"),
        ({"inputs": {"num_maps": 1, "num_frames": 0, "sound": "mel"}}, r"sound \('mel'\) must be one of stft, log_"),
        ({"settings": {"precision": "float16"}}, r"settings.precision \('float16'\) must be one of"),
        ({"settings": {"precision": torch.zeros(2)}}, r"settings.precision \(.*\) is Tensor"),
        ({"scores": {"selected_by": 3}}, "selected_by must be a text"),
        ({"weights": {"vgg16": 3}}, "weights must be texts, but those of"),
        ({"provenance": {"a": nest(200)}}, "or more than 20 levels"),
        ({"provenance": {"a": multiply(60)}}, "or more than 20 levels"),
        ({"provenance": {"a": [[multiply(14)] * 300] * 300}}, "provenance holds more than 500000 values"),
    ],
)
def test_content_that_no_training_writes_is_refused(tmp_path, changes, message):
    save_changed(tmp_path / "x.pt", **{"state": {}} | changes)
    with pytest.raises(CheckpointError, match=rf"x\.pt is damaged, or was written by another version: .*{message}"):
        load_checkpoint(tmp_path / "x.pt")


def change_state(**changes):
    return {key: value for key, value in (get_vnet().state_dict() | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"backbone": "thawed"}}, r"backbone \('thawed'\) must be one of"),
        ({"architecture": {"depth": 3}}, "unexpected keyword argument 'depth'"),
        ({"architecture": {"backbone": "finetune"}}, "its inputs are embeddings, which do not go with its backbone"),
        ({"inputs": {"num_maps": 4, "num_frames": 16}}, "vnet takes no sound, and its inputs have 4 of it"),
        ({"inputs": {"num_maps": 0, "num_frames": 0}}, "vnet needs faces, and its inputs have 0 of it"),
        ({"state": {}}, "missing .*feature.embedding_mean"),
        ({"state": change_state(**{"head.bias": None})}, r"missing \['head.bias'\], unknown \[\]"),
        ({"state": change_state(**{"\x1b[2Jx": torch.zeros(1)})}, r"unknown \['\?\[2Jx'\]"),
        ({"state": change_state(**{"head.bias": torch.zeros(3)})}, r"head.bias \(3,\) instead of \(2,\)"),
        ({"state": change_state(**{"head.bias": "x"})}, r"missing \['head.bias'\]"),
        ({"state": change_state(**{"head.bias": torch.tensor([0, 1])})}, r"not finite numbers in \['head.bias'\]"),
        (
            {"state": change_state(**{"head.bias": torch.tensor([0, torch.nan])})},
            r"not finite numbers in \['head.bias'\]",
        ),
        (
            {"state": change_state(**{"head.bias": torch.zeros(1).expand(2**50)})},
            r"head.bias \(1125899906842624,\) instead of \(2,\)",
        ),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(tmp_path, changes, message):
    save_changed(tmp_path / "x.pt", **changes)
    with pytest.raises(CheckpointError, match=rf"x\.pt holds no vnet that can be rebuilt: .*{message}"):
        load_network(tmp_path / "x.pt")


def test_layers_for_one_input_are_not_given_another(tmp_path):
    inputs = {"num_maps": 1, "num_frames": 0}
    save_changed(tmp_path / "x.pt", kind="anet", architecture={"input": "log_magnitude"}, inputs=inputs)
    with pytest.raises(CheckpointError, match="its inputs are stft, and its layers are made for 'log_magnitude'"):
        load_network(tmp_path / "x.pt")


def test_an_archive_that_would_unpack_to_more_than_it_holds_is_refused(tmp_path):
    save_checkpoint(tmp_path / "x.pt", make_checkpoint())
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as plain,
        zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, bytes(len(plain.read(name))) if "/data/" in name else plain.read(name))
    with pytest.raises(CheckpointError, match=r"y\.pt cannot be read .*: its parts claim \d+ bytes, more than the \d+"):
        load_checkpoint(tmp_path / "y.pt")


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

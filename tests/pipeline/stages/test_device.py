"""Where the networks of the feature stages run, and in which arithmetic."""

import pytest
import torch

from pipeline.errors import UserError
from pipeline.settings.config import Settings
from pipeline.stages import device


@pytest.mark.parametrize(
    ("precision", "capabilities", "expected"),
    [
        ("bfloat16", {"avx512_bf16": True}, "bfloat16"),
        ("bfloat16", {"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ("bfloat16", {"avx512_f": True, "avx512_bf16": False}, "float32"),
        ("bfloat16", {"architecture": "aarch64", "bf16": True}, "float32"),
        ("float32", {"avx512_bf16": True}, "float32"),
    ],
)
def test_bfloat16_is_taken_where_the_processor_multiplies_in_it(monkeypatch, precision, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    settings = Settings.read().replace("embeddings", precision=precision)
    assert device.find_precision(settings, "cpu") == expected


@pytest.mark.parametrize(("natively", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_that_only_emulates_bfloat16_embeds_in_float32(monkeypatch, natively, expected):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: natively or including_emulation
    )
    settings = Settings.read().replace("embeddings", precision="bfloat16")
    assert device.find_precision(settings, "cuda") == expected


@pytest.mark.parametrize(
    ("faces", "engine", "expected"),
    [("auto", "kernel", "cpu"), ("auto", "pytorch", "cuda"), ("cpu", "pytorch", "cpu"), ("cuda", "kernel", "cuda")],
)
def test_the_detector_stays_on_cores_that_have_its_kernel_beside_a_gpu(monkeypatch, faces, engine, expected):
    settings = Settings.read().replace("run", device="cuda").replace("faces", device=faces)
    monkeypatch.setattr(device, "find_engine", lambda where: engine)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.find_faces_device(settings) == expected


@pytest.mark.parametrize("section", ["run", "faces"])
def test_a_gpu_that_is_asked_for_and_not_there_is_one_sentence(monkeypatch, section):
    settings = Settings.read().replace("run", device="cpu").replace("faces", device="cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        UserError, match=rf"^\[{section}\] device = cuda, but PyTorch sees no CUDA .* set it to auto or cpu"
    ):
        device.check_devices(settings.replace(section, device="cuda"), trains=False)


def test_more_processes_than_gpus_are_refused_before_a_training_and_only_there(monkeypatch):
    settings = Settings.read().replace("run", device="auto", processes=3).replace("faces", device="cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"^\[run\] processes = 3: .* this machine has 2; set it to 2 or lower"):
        device.check_devices(settings, trains=True)
    device.check_devices(settings, trains=False)
    device.check_devices(settings.replace("run", device="cpu"), trains=True)


def test_tf32_without_a_gpu_is_told(monkeypatch):
    settings = Settings.read().replace("run", device="auto", precision="tf32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.describe_idle_precision(settings).startswith("[run] precision = tf32 rounds on a GPU alone")
    assert device.describe_idle_precision(settings.replace("run", precision="bfloat16")) == ""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.describe_idle_precision(settings) == ""

import numpy as np
import pytest
import torch

from models.networks.precision import computing_in, runs_lstm_in_bfloat16
from models.networks.vnet import VisualFeature, build_vnet
from models.sphereface.network import build_sphereface
from tests.models.reference import run_lstm


def test_forward_equals_plain_numpy():
    """The two directions summed, then averaged over time, then one layer and tanh (III-B, notebooks)."""
    network = build_vnet(None, seed=0).eval()
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():  # biases as well, that each is seen to be used
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    faces = rng.normal(size=(2, 5, 512)).astype(np.float32)
    weights = {key: value.double().numpy() for key, value in network.state_dict().items()}

    def direction(x, suffix):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return run_lstm(x, *(weights[f"feature.lstm.{name}_l0{suffix}"] for name in names))

    expected = []
    for clip in faces.astype(float):
        summed = direction(clip, "") + direction(clip[::-1], "_reverse")[::-1]
        assert summed.shape == (5, 512)
        expected.append(np.tanh(weights["head.weight"] @ summed.mean(axis=0) + weights["head.bias"]))
    with torch.inference_mode():
        got = network(torch.from_numpy(faces)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_starts_orthogonal_with_zero_biases():
    network = build_vnet(None, seed=0)
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == 10
    for name, parameter in network.named_parameters():
        if "bias" in name:
            assert (parameter == 0).all(), name
        else:
            smaller = min(parameter.shape)
            product = parameter.T @ parameter if parameter.shape[0] > smaller else parameter @ parameter.T
            torch.testing.assert_close(product, torch.eye(smaller), rtol=0, atol=1e-4)


def test_start_depends_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_vnet(None, seed=3).state_dict()
    torch.manual_seed(2)
    second = build_vnet(None, seed=3).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(build_vnet(None, seed=4).head.weight, first["head.weight"])


def test_finetune_embeds_each_crop_and_trains_sphereface():
    network = build_vnet(None, backbone="finetune", seed=0)
    crops = torch.randn(1, 2, 3, 112, 96, generator=torch.Generator().manual_seed(0))
    predicted = network(crops)
    sphereface = build_sphereface(None, seed=0)
    frozen = build_vnet(None, seed=0)
    with torch.no_grad():
        embeddings = sphereface(crops[0])[None]
        torch.testing.assert_close(predicted.detach(), frozen(embeddings), rtol=1e-4, atol=1e-5)
    predicted.sum().backward()
    gradients = [p.grad for p in network.parameters()]
    assert len(gradients) == 10 + 62
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert network.feature.sphereface.conv1_1.weight.grad.abs().max() > 0


def test_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match=r"backbone \('thawed'\) must be one of \('frozen', 'finetune'\)"):
        VisualFeature("thawed")


@pytest.mark.parametrize("has_lstm", [True, False])
def test_bfloat16_works_where_torch_has_no_lstm_in_it(monkeypatch, has_lstm):
    has_lstm = has_lstm and runs_lstm_in_bfloat16("cpu")
    monkeypatch.setattr("models.networks.vnet.runs_lstm_in_bfloat16", lambda device: has_lstm)
    network, faces = build_vnet(None, seed=0).eval(), torch.randn(2, 4, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), computing_in("bfloat16", "cpu"):
        half = network(faces)
    with torch.no_grad():
        full = network(faces)
    assert 0 < (half.float() - full).abs().max() < 0.02

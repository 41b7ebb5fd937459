import numpy as np
import pytest
import torch

from models.sphereface.embedder import Embedder
from models.sphereface.network import (
    CLASSIFIER_KEYS,
    SphereFace20,
    build_sphereface,
    normalise_crops,
)
from tests.models.reference import convolve, prelu

# The published file's layers: names, input and output channels.
LAYERS = [
    ("1_1", 3, 64),
    ("1_2", 64, 64),
    ("1_3", 64, 64),
    ("2_1", 64, 128),
    *[(f"2_{i}", 128, 128) for i in range(2, 6)],
    ("3_1", 128, 256),
    *[(f"3_{i}", 256, 256) for i in range(2, 10)],
    ("4_1", 256, 512),
    ("4_2", 512, 512),
    ("4_3", 512, 512),
]


def published_state():
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, inputs, outputs in LAYERS:
        state[f"conv{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * 0.02
        state[f"conv{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
        state[f"relu{name}.weight"] = torch.rand(outputs, generator=generator)
    state["fc5.weight"] = torch.randn(512, 21504, generator=generator) * 0.01
    state["fc5.bias"] = torch.randn(512, generator=generator)
    state["fc6.weight"] = torch.randn(512, 8, generator=generator)
    return state


def test_twenty_convolutions():
    assert len(LAYERS) == 20
    assert set(SphereFace20().state_dict()) == set(published_state()) - CLASSIFIER_KEYS


def test_published_keys_load(tmp_path):
    torch.save(published_state(), tmp_path / "sphere20a.pth")
    network = build_sphereface(tmp_path / "sphere20a.pth", seed=0)
    state = network.state_dict()
    for key, value in published_state().items():
        if key not in CLASSIFIER_KEYS:
            assert torch.equal(state.pop(key), value)
    assert not state


def test_file_without_the_classifier_loads(tmp_path):
    state = published_state()
    del state["fc6.weight"]
    torch.save(state, tmp_path / "w.pth")
    loaded = build_sphereface(tmp_path / "w.pth", seed=0).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("conv3_9.bias"), r"w.pth does not fit: missing \['conv3_9.bias'\], unknown \[\]"),
        (lambda s: s.update({"conv5_1.bias": s["fc5.bias"]}), r"missing \[\], unknown \['conv5_1.bias'\]"),
        (
            lambda s: s.update({"fc5.bias": torch.zeros(7)}),
            r"wrong shape \['fc5.bias \(7,\) instead of \(512,\)'\]; .*sphere20a_20171020.7z",
        ),
    ],
)
def test_other_keys_are_refused(tmp_path, change, message):
    state = published_state()
    change(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=message):
        build_sphereface(tmp_path / "w.pth", seed=0)


def test_first_stages_equal_plain_numpy():
    """Stages 1 and 2 on a 12 x 10 picture; the full picture would take NumPy minutes."""
    network = SphereFace20()
    state = published_state()
    network.load_state_dict({key: value for key, value in state.items() if key not in CLASSIFIER_KEYS})
    weights = {key: value.double().numpy() for key, value in state.items()}
    picture = np.random.default_rng(0).normal(size=(3, 12, 10))

    def layer(x, name, stride=1):
        x = convolve(x, weights[f"conv{name}.weight"], weights[f"conv{name}.bias"], stride=stride, padding=1)
        return prelu(x, weights[f"relu{name}.weight"])

    expected = layer(picture, "1_1", stride=2)
    expected = expected + layer(layer(expected, "1_2"), "1_3")
    expected = layer(expected, "2_1", stride=2)
    expected = expected + layer(layer(expected, "2_2"), "2_3")
    expected = expected + layer(layer(expected, "2_4"), "2_5")

    x = torch.from_numpy(picture).float()[None]
    stopped = []

    def stop(module, inputs):
        stopped.append(inputs[0])
        raise StopIteration

    network.conv3_1.register_forward_pre_hook(stop)
    with pytest.raises(StopIteration):
        network(x)
    np.testing.assert_allclose(stopped[0][0].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_last_layer_reads_channels_rows_columns(network):
    seen = []
    handle = network.relu4_3.register_forward_hook(lambda module, inputs, output: seen.append(output))
    before = []
    other = network.conv4_2.register_forward_pre_hook(lambda module, inputs: before.append(inputs[0]))
    with torch.inference_mode():
        out = network(torch.randn(1, 3, 112, 96, generator=torch.Generator().manual_seed(0)))
    handle.remove()
    other.remove()
    maps = (before[0] + seen[0]).numpy()
    assert maps.shape == (1, 512, 7, 6)
    expected = network.fc5.weight.detach().numpy() @ maps[0].reshape(-1) + network.fc5.bias.detach().numpy()
    np.testing.assert_allclose(out[0].numpy(), expected, rtol=1e-3, atol=1e-4)


def test_pixels_are_scaled_and_stay_bgr():
    crop = np.zeros((1, 112, 96, 3), dtype=np.uint8)
    crop[..., 0], crop[..., 1], crop[..., 2] = 255, 127, 0
    scaled = normalise_crops(torch.from_numpy(crop))
    assert scaled.shape == (1, 3, 112, 96)
    assert scaled[0, :, 5, 5].tolist() == [127.5 / 128, -0.5 / 128, -127.5 / 128]
    assert normalise_crops(torch.from_numpy(crop), channel_order="rgb")[0, :, 5, 5].tolist() == [
        -127.5 / 128,
        -0.5 / 128,
        127.5 / 128,
    ]


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_sphereface(None, seed=3).state_dict()
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    second = build_sphereface(None, seed=3).state_dict()
    assert torch.equal(torch.rand(3), expected), "the global generator has moved"
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(build_sphereface(None, seed=4).fc5.weight, first["fc5.weight"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_weights_keep_pictures_apart(faces, seed):
    embeddings = Embedder(build_sphereface(None, seed=seed)).embed(faces)
    between = embeddings.std(axis=0).mean()
    assert 0.05 < between < 20, "collapse or explosion"
    # The effect of a patch is larger than the rounding of bfloat16.
    patch = np.linalg.norm(embeddings[::2] - embeddings[1::2], axis=1) / np.linalg.norm(embeddings[::2], axis=1)
    assert patch.min() > 0.02

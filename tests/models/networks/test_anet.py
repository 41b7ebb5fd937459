import numpy as np
import pytest
import torch
from torch import nn

from models.networks.anet import AcousticFeature, ANet, build_anet, load_vgg16
from models.networks.maps import normalise_maps
from tests.models.reference import convolve, pool

SCALE = 1 / 64  # VGG with 1 to 8 channels: the shapes are what counts


def vgg16_state(channels=(64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)):
    """torchvision's keys; its indices count convolutions, ReLUs and poolings."""
    generator = torch.Generator().manual_seed(0)
    indices = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    state, inputs = {}, 3
    for index, outputs in zip(indices, channels, strict=True):
        state[f"features.{index}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * 0.05
        state[f"features.{index}.bias"] = torch.randn(outputs, generator=generator)
        inputs = outputs
    state["classifier.0.weight"] = torch.zeros(3, 2)
    return state


def test_full_width_shapes():
    """The paper's numbers (III-A): 2 x 257 x 300 -> 512 x 7 x 9 -> 4096 -> 512 -> 2."""
    with torch.device("meta"):
        network = ANet()
        convolved = network.feature.features(torch.empty(3, 2, 257, 300))
        predicted = network(torch.empty(3, 2, 257, 300), torch.zeros(3, 1, dtype=torch.int64))
    assert convolved.shape == (3, 512, 7, 9)
    assert predicted.shape == (3, 2)
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(512 * 7 * 9, 4096), (4096, 512), (512, 2)]
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    # By hand: VGG-16's 14,714,688 less 64 * 3 * 3 of the third channel; 32256 * 4096 + 4096; 4096 * 512 + 512; 1026.
    assert sum(p.numel() for p in network.parameters()) == 14_714_112 + 132_124_672 + 2_097_664 + 1026


def test_only_the_first_convolution_is_not_padded():
    with torch.device("meta"):
        network = AcousticFeature(SCALE)
    convolutions = [m for m in network.features if isinstance(m, nn.Conv2d)]
    assert [m.padding for m in convolutions] == [(0, 0)] + [(1, 1)] * 12
    assert network.features[0](torch.empty(1, 2, 257, 300, device="meta")).shape[2:] == (255, 298)


def test_channel_scale_keeps_the_last_layer():
    network = AcousticFeature(0.125)
    widths = [m.out_channels for m in network.features if isinstance(m, nn.Conv2d)]
    assert widths == [8, 8, 16, 16, 32, 32, 32, 64, 64, 64, 64, 64, 64]
    assert [(m.in_features, m.out_features) for m in network.fc if isinstance(m, nn.Linear)] == [
        (64 * 63, 512),
        (512, 512),
    ]


@pytest.mark.parametrize("scale", [0, -1, 1.5])
def test_channel_scale_outside_its_range_is_refused(scale):
    with pytest.raises(ValueError, match=rf"channel_scale \({scale}\) must be above 0 and at most 1"):
        AcousticFeature(scale)


def test_forward_equals_plain_numpy():
    """First block by loops, the rest of the stack on the network's own; then every layer above it."""
    network = build_anet(None, channel_scale=SCALE, seed=0).eval()
    maps = np.random.default_rng(0).normal(size=(2, 2, 257, 300)) * 0.02
    weights = {key: value.double().numpy() for key, value in network.state_dict().items()}
    x = maps[0]
    x = np.maximum(convolve(x, weights["feature.features.0.weight"], weights["feature.features.0.bias"]), 0)
    x = convolve(x, weights["feature.features.2.weight"], weights["feature.features.2.bias"], padding=1)
    x = pool(np.maximum(x, 0))
    with torch.inference_mode():
        block = network.feature.features[:5](torch.from_numpy(maps).float())
        np.testing.assert_allclose(block[0].numpy(), x, rtol=1e-4, atol=1e-5)
        flat = network.feature.features(torch.from_numpy(maps).float()).numpy().reshape(2, -1)
        got = network(torch.from_numpy(maps).float(), torch.tensor([[0, 1], [1, 1]])).numpy()
    hidden = np.maximum(flat @ weights["feature.fc.0.weight"].T + weights["feature.fc.0.bias"], 0)
    feature = np.maximum(hidden @ weights["feature.fc.3.weight"].T + weights["feature.fc.3.bias"], 0)
    means = np.stack([feature.mean(axis=0), feature[1]])
    np.testing.assert_allclose(
        got, np.tanh(means @ weights["head.weight"].T + weights["head.bias"]), rtol=1e-4, atol=1e-6
    )


def test_a_map_named_twice_equals_two_equal_maps():
    network = build_anet(None, channel_scale=SCALE, seed=0)
    maps = torch.randn(2, 2, 257, 300, generator=torch.Generator().manual_seed(0))

    def gradients(maps, index):
        torch.manual_seed(0)
        network.zero_grad()
        network(maps, index).sum().backward()
        return [p.grad.clone() for p in network.parameters()]

    shared = gradients(maps, torch.tensor([[0, 0], [1, 0]]))
    copied = gradients(maps[[0, 0, 1, 0]], torch.tensor([[0, 1], [2, 3]]))
    assert len(shared) == 32
    for one, other in zip(shared, copied, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_random_start_depends_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_anet(None, channel_scale=SCALE, seed=3).state_dict()
    torch.manual_seed(2)
    second = build_anet(None, channel_scale=SCALE, seed=3).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    other = build_anet(None, channel_scale=SCALE, seed=4).state_dict()
    assert not torch.equal(other["feature.fc.0.weight"], first["feature.fc.0.weight"])


def test_random_start_tells_maps_apart_and_is_not_saturated():
    network = build_anet(None, channel_scale=0.125, seed=0).eval()
    rng = np.random.default_rng(0)
    frequencies = np.exp(-0.5 * ((np.arange(257) - rng.uniform(20, 120, size=(8, 1))) / 10) ** 2)  # (8, 257)
    raw = rng.normal(size=(8, 300, 257, 2)) * frequencies[:, None, :, None]
    maps = normalise_maps(torch.from_numpy(raw).float(), torch.full((8,), 300))
    with torch.inference_mode():
        feature = network.feature(maps, torch.arange(8)[:, None])
        predicted = network(maps, torch.arange(8)[:, None])
    assert 0.02 < feature.std(0).mean() < 2
    assert predicted.abs().max() < 0.9


def test_one_channel_meets_the_filters_of_a_grey_picture():
    state = vgg16_state()
    network = AcousticFeature(input="log_magnitude")
    load_vgg16(network, state, source="test")
    grey = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(1))
    of_picture = nn.functional.conv2d(grey.repeat(1, 3, 1, 1), state["features.0.weight"], state["features.0.bias"])
    torch.testing.assert_close(network.features[0](grey), of_picture, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("input", "channels"), [("stft", 2), ("log_magnitude", 1)])
def test_frequencies_are_normalised_and_what_is_nothing_stays_nothing(input, channels):
    network = build_anet(None, channel_scale=SCALE, input=input, normalise="frequency", seed=0).feature
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(channels, 257)).astype(np.float32)
    scale = rng.uniform(1, 3, size=(channels, 257)).astype(np.float32)
    network.set_frequencies(torch.from_numpy(mean), torch.from_numpy(scale))
    maps = torch.from_numpy(rng.normal(size=(2, channels, 257, 300)).astype(np.float32))
    maps[0, :, :, 200:] = 0  # padding
    maps[1, :, 30:40] = 0  # a masked band
    seen = []
    network.features[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(maps, torch.tensor([[0], [1]]))
    expected = np.where(maps == 0, 0, (maps.numpy() - mean[:, :, None]) * scale[:, :, None])
    np.testing.assert_allclose(seen[0].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_papers_input_has_no_tensors_of_its_own():
    assert not [key for key in ANet(channel_scale=SCALE).state_dict() if "frequency" in key]


@pytest.mark.parametrize("options", [{"input": "mel"}, {"normalise": "batch"}])
def test_other_inputs_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=rf"{name} \('{value}'\) must be one of"):
        AcousticFeature(SCALE, **options)


def test_published_convolutions_load(tmp_path):
    torch.save(vgg16_state(), tmp_path / "vgg16.pth")
    state = build_anet(tmp_path / "vgg16.pth", seed=0).feature.features.state_dict()
    published = {k.removeprefix("features."): v for k, v in vgg16_state().items() if k.startswith("features")}
    assert set(state) == set(published)
    first = state.pop("0.weight")
    assert first.shape == (64, 2, 3, 3)
    for key, value in state.items():
        assert torch.equal(value, published[key])


def test_equal_parts_meet_the_filters_of_a_grey_picture():
    """The property of the adaptation from 3 to 2 channels: equal parts act as a grey image."""
    state = vgg16_state()
    network = AcousticFeature()
    load_vgg16(network, state, source="test")
    grey = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(1))
    of_picture = nn.functional.conv2d(grey.repeat(1, 3, 1, 1), state["features.0.weight"], state["features.0.bias"])
    of_map = network.features[0](grey.repeat(1, 2, 1, 1))
    torch.testing.assert_close(of_map, of_picture, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("features.28.bias"), r"vgg.pth does not fit: missing \['28.bias'\], unknown \[\]"),
        (lambda s: s.update({"features.1.weight": torch.zeros(1)}), r"unknown \['1.weight'\]"),
        (lambda s: s.update({"features.0.bias": torch.zeros(3)}), r"'0.bias \(3,\) instead of \(64,\)'\]; .*vgg16-397"),
        (lambda s: s.update({"features.0.weight": torch.zeros(64, 1, 3, 3)}), r"0.weight \(64, 1, 3, 3\) instead"),
    ],
)
def test_other_weights_are_refused(change, message):
    state = vgg16_state()
    change(state)
    with torch.device("meta"):
        network = AcousticFeature()
    with pytest.raises(ValueError, match=message):
        load_vgg16(network, state, source="vgg.pth")


def test_published_weights_are_full_width(tmp_path):
    with pytest.raises(ValueError, match=r"channel_scale \(0.5\) must be 1 with VGG-16's weights \(.*vgg16.pth\)"):
        build_anet(tmp_path / "vgg16.pth", channel_scale=0.5, seed=0)

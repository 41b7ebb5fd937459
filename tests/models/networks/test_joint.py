import torch

from models.networks.anet import build_anet
from models.networks.joint import build_joint
from models.networks.vnet import build_vnet

SCALE = 1 / 64


def build_parts():
    anet, vnet = build_anet(None, channel_scale=SCALE, seed=1), build_vnet(None, seed=2)
    return anet, vnet, build_joint(anet, vnet, channel_scale=SCALE, backbone="frozen", seed=3)


def make_inputs():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 2, 257, 300, generator=generator)
    return maps, torch.tensor([[0, 1], [2, 2]]), torch.randn(2, 16, 512, generator=generator)


def test_prediction_is_one_layer_over_both_features():
    anet, vnet, joint = (network.eval() for network in build_parts())
    maps, index, faces = make_inputs()
    with torch.inference_mode():
        sound = torch.stack(
            [
                (anet.feature(maps, torch.tensor([[0]])) + anet.feature(maps, torch.tensor([[1]])))[0] / 2,
                anet.feature(maps, torch.tensor([[2]]))[0],
            ]
        )
        both = torch.cat([sound, vnet.feature(faces)], dim=1)
        assert both.shape == (2, 1024)
        expected = torch.tanh(both @ joint.head.weight.T + joint.head.bias)
        torch.testing.assert_close(joint(maps, index, faces), expected, rtol=1e-4, atol=1e-5)


def test_everything_is_trainable_and_has_a_gradient():
    _, _, joint = build_parts()
    joint(*make_inputs()).sum().backward()
    parameters = list(joint.parameters())
    assert len(parameters) == 26 + 4 + 8 + 2
    assert all(p.requires_grad and p.grad is not None for p in parameters)


def test_the_two_networks_are_copied():
    anet, vnet, joint = build_parts()
    before = anet.feature.fc[0].weight.clone(), vnet.feature.lstm.weight_hh_l0.clone()
    with torch.no_grad():
        for parameter in joint.parameters():
            parameter.zero_()
    assert torch.equal(anet.feature.fc[0].weight, before[0])
    assert torch.equal(vnet.feature.lstm.weight_hh_l0, before[1])


def test_head_depends_on_the_seed_alone():
    _, _, first = build_parts()
    torch.manual_seed(7)
    _, _, second = build_parts()
    assert torch.equal(first.head.weight, second.head.weight)
    assert (first.head.bias == 0).all()


def test_attention_begins_as_the_mean_of_both_and_learns_their_weights():
    anet, vnet, _ = build_parts()
    joint = build_joint(anet, vnet, channel_scale=SCALE, backbone="frozen", fusion="attention", seed=3).eval()
    maps, index, faces = make_inputs()
    with torch.inference_mode():
        mean = (joint.acoustic(maps, index) + joint.visual(faces)) / 2
        expected = torch.tanh(mean @ joint.head.weight.T + joint.head.bias)
        torch.testing.assert_close(joint(maps, index, faces), expected, rtol=1e-4, atol=1e-5)
        joint.attention.weight.copy_((joint.visual(faces) - joint.acoustic(maps, index))[:1] * 1e6)
        alone = torch.tanh(joint.visual(faces)[:1] @ joint.head.weight.T + joint.head.bias)
        torch.testing.assert_close(joint(maps, index, faces)[:1], alone, rtol=1e-3, atol=1e-4)
    joint.attention.weight.data.zero_()
    joint.train()(maps, index, faces).sum().backward()
    assert joint.attention.weight.grad.abs().sum() > 0

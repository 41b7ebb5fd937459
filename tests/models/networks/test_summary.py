import pytest

from models.__main__ import main
from models.networks.summary import summarise


def test_anet_by_hand():
    """VGG-16's published 14,714,688 parameters less a channel, and one convolution worked out."""
    layers = summarise("anet")
    assert [layer.kind for layer in layers] == ["Conv2d"] * 13 + ["Linear"] * 3
    assert layers[0].output == (1, 64, 255, 298)
    assert layers[1].flops == 2 * (64 * 3 * 3) * 64 * 255 * 298
    assert sum(layer.num_parameters for layer in layers) == 14_714_112 + 132_124_672 + 2_097_664 + 1026
    assert layers[-3].flops == 2 * 512 * 7 * 9 * 4096


def test_joint_step_of_the_paper_is_3_3_tflop():
    """The figure of the requirements, backward counted as two forward passes."""
    layers = summarise("joint", batch_size=6)
    assert 3 * sum(layer.flops for layer in layers) == pytest.approx(3.3e12, rel=0.02)


def test_vnet_lstm_and_sphereface():
    lstm, head = summarise("vnet", batch_size=2)
    assert lstm.output == (2, 16, 1024)
    assert lstm.num_parameters == 2 * 4 * 512 * (512 + 512 + 2)
    assert lstm.flops == 2 * (2 * 4 * 512 * 1024) * 32
    assert (head.output, head.flops) == ((2, 2), 2 * 2 * 512 * 2)
    finetune = summarise("vnet", backbone="finetune", num_frames=1)
    # 3.5 GFLOP a face as published, where a multiplication and an addition count as two.
    assert sum(layer.flops for layer in finetune) == pytest.approx(3.5e9, rel=0.05)


def test_unknown_network_is_refused():
    with pytest.raises(ValueError, match=r"network \('dnet'\) must be one of anet, vnet, joint"):
        summarise("dnet")


def test_command_prints_a_table_with_sums(capsys):
    assert main(["summary", "anet", "--channel-scale", "0.015625"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 16 + 1
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "GFLOP"]
    assert lines[1].split()[:3] == ["feature.features.0", "Conv2d", "1"]
    assert lines[-1].startswith("in all")
    assert len({len(line) for line in lines}) == 1, "aligned"

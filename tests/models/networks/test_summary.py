import pytest

from models.__main__ import main
from models.networks.summary import summarise


def test_anet_by_hand():
    """VGG-16's published 14,714,688 parameters minus a channel, and one convolution computed by hand."""
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


def test_what_anet_may_hear_instead():
    of_both, of_one = (summarise("anet", input=sound)[0] for sound in ("stft", "log_magnitude"))
    assert of_both.num_parameters - of_one.num_parameters == 64 * 3 * 3
    lstm, head = summarise("anet", row_size=25, map_rows=30, num_maps=2, batch_size=3)
    assert (lstm.kind, lstm.output, head.output) == ("LSTM", (6, 30, 1024), (3, 2))
    assert lstm.num_parameters == 2 * 4 * 512 * (25 + 512 + 2)
    assert lstm.flops == 2 * (2 * 4 * 512 * (25 + 512)) * 6 * 30
    hidden, weight, _ = summarise("anet", row_size=25, pooling="attention")
    assert (hidden.output, hidden.flops) == ((1, 300, 512), 2 * 25 * 512 * 300)
    assert (weight.output, weight.num_parameters) == ((1, 300, 1), 513)


def test_what_vnet_and_joint_may_see_and_how_they_are_put_together():
    lstm, _ = summarise("vnet", face_size=640)
    assert lstm.num_parameters == 2 * 4 * 512 * (640 + 512 + 2)
    beside = {layer.name: layer for layer in summarise("joint", row_size=25, face_size=128)}
    assert beside["head"].num_parameters == 2 * 1024 + 2
    weighted = {layer.name: layer for layer in summarise("joint", row_size=25, face_size=128, fusion="attention")}
    assert (weighted["attention"].num_parameters, weighted["head"].num_parameters) == (513, 2 * 512 + 2)
    assert weighted["attention"].output == (1, 2, 1)


def test_command_takes_the_inputs_that_can_be_configured(capsys):
    options = "--row-size 25 --pooling attention --face-size 640 --fusion attention"
    assert main(["summary", "joint", *options.split()]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == [
        "acoustic.hidden",
        "acoustic.weight",
        "visual.lstm",
        "attention",
        "head",
    ]


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

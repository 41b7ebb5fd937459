"""Rows of a feature of sound become 512 numbers: against torch's LSTM row by row, and NumPy."""

import numpy as np
import pytest
import torch

from models.networks.anet import ANet, build_anet
from models.networks.sequence import SequenceFeature, mark_rows

LENGTHS = torch.tensor([7, 1, 4])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    made = torch.from_numpy(rng.normal(2, 3, size=(3, 7, 5)).astype(np.float32))
    for piece, length in zip(made, LENGTHS, strict=True):
        piece[length:] = 0
    return made


@pytest.mark.parametrize("pooling", ["lstm", "attention"])
def test_pooling_by_hand_piece_by_piece(rows, pooling):
    network = build_anet(None, row_size=5, pooling=pooling, seed=0).eval().feature
    mean, scale = torch.linspace(1, 3, 5), torch.linspace(0.2, 0.5, 5)
    network.set_standardisation(mean, scale)
    if pooling == "attention":
        torch.nn.init.normal_(network.weight.weight, std=0.3)
    index = torch.tensor([[0, 1], [2, 2]])
    with torch.inference_mode():
        found = network(mark_rows(rows, LENGTHS), index).numpy()
        expected = []
        for piece, length in zip(rows, LENGTHS, strict=True):
            x = (piece[:length] - mean) * scale
            if pooling == "lstm":
                both = network.lstm(x[None])[0][0].numpy()  # (length, 1024), nothing but real rows
                expected.append((both[:, :512] + both[:, 512:]).mean(axis=0))
            else:
                hidden = np.maximum(x.numpy() @ network.hidden.weight.numpy().T + network.hidden.bias.numpy(), 0)
                scores = np.exp(hidden @ network.weight.weight.numpy()[0])
                expected.append((scores / scores.sum()) @ hidden)
    np.testing.assert_allclose(found[0], (expected[0] + expected[1]) / 2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], expected[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["lstm", "attention"])
def test_padding_changes_nothing_and_every_weight_has_a_gradient(rows, pooling):
    network = build_anet(None, row_size=5, pooling=pooling, seed=0)
    index = torch.arange(3)[:, None]
    longer = torch.cat([rows, torch.zeros(3, 20, 5)], dim=1)
    predicted = network(mark_rows(rows, LENGTHS), index)
    torch.testing.assert_close(network(mark_rows(longer, LENGTHS), index), predicted)
    predicted.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_it_begins_in_the_straight_part_and_depends_on_the_seed_alone(rows):
    first, again, other = (build_anet(None, row_size=5, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)
    assert first(mark_rows(rows, LENGTHS), torch.arange(3)[:, None]).abs().max() < 0.5
    with torch.device("meta"):
        kinds = {name.split(".")[1] for name in ANet(row_size=5, pooling="attention").state_dict()}
    assert kinds == {"row_mean", "row_scale", "hidden", "weight", "bias"}


@pytest.mark.parametrize(
    ("row_size", "pooling", "message"),
    [(5, "max", r"pooling \('max'\) must be one of lstm, attention"), (-1, "lstm", r"row_size \(-1\) must be from 1")],
)
def test_others_are_refused(row_size, pooling, message):
    with pytest.raises(ValueError, match=message):
        SequenceFeature(row_size, pooling)


@pytest.mark.parametrize("pooling", ["lstm", "attention"])
def test_what_is_far_out_counts_as_ten_deviations(pooling):
    network = build_anet(None, row_size=2, pooling=pooling, seed=0)
    network.feature.set_standardisation(torch.tensor([0.5, 0.0]), torch.tensor([2.0, 1e5]))
    index = torch.zeros(1, 1, dtype=torch.int64)

    def say(value):
        values = torch.tensor([[[0.25, value], [0.75, -value]]])
        return network(mark_rows(values, torch.tensor([2])), index)

    assert torch.equal(say(1.0), say(1e-4))
    assert not torch.equal(say(1e-4), say(0.9e-4))

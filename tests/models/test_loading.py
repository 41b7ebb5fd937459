import pytest
import torch
from torch import nn

from models.loading import build_empty, load_strictly, place_network


def test_all_that_does_not_fit_is_named():
    network = nn.Linear(2, 3)
    before = network.weight.clone()
    state = {"weight": torch.zeros(3, 4), "gain": torch.zeros(1)}
    message = (
        r"file.pth does not fit: missing \['bias'\], unknown \['gain'\], "
        r"wrong shape \['weight \(3, 4\) instead of \(3, 2\)'\]; get another"
    )
    with pytest.raises(ValueError, match=message):
        load_strictly(network, state, source="file.pth", hint="get another")
    assert torch.equal(network.weight, before)


def test_what_fits_is_loaded():
    network = build_empty(lambda: nn.Linear(2, 3))
    load_strictly(network, {"weight": torch.ones(3, 2), "bias": torch.ones(3)}, source="", hint="")
    assert network(torch.ones(1, 2)).tolist() == [[3, 3, 3]]


def test_building_empty_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    network = build_empty(lambda: nn.Conv2d(2, 3, 3))
    assert torch.equal(torch.rand(2), expected)
    assert network.weight.shape == (3, 2, 3, 3)
    assert network.weight.device.type == "cpu"


def test_convolutions_are_placed_channels_last():
    network = place_network(nn.Conv2d(4, 8, 3), device="cpu")
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert place_network(network, device="cpu", dtype=torch.bfloat16).weight.dtype == torch.bfloat16

import re

import pytest
import torch

from models.networks.vnet import VNet
from models.training.epoch import Losses, find_fitting_size
from models.training.job import TrainingError
from models.training.settings import ANetSettings, VNetSettings
from models.training.start import RunOptions, train_anet, train_vnet
from tests.models.data import make_clips


def refuse_above(limit):
    def attempt(size):
        if size > limit:
            raise torch.OutOfMemoryError(f"no room for {size}")

    return attempt


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 30, 31])
def test_largest_size_that_fits(limit):
    assert find_fitting_size(refuse_above(limit), 32) == limit


@pytest.mark.parametrize(("limit", "advice"), [(3, "batch_size = 3 would fit"), (0, "not even a batch of 1 fits")])
def test_out_of_memory_names_the_size_that_would_fit(tmp_path, monkeypatch, limit, advice):
    """Acts as a GPU: the network runs out of memory with larger batches."""
    forward = VNet.forward

    def refuse(self, faces):
        if self.training:
            refuse_above(limit)(len(faces))
        return forward(self, faces)

    monkeypatch.setattr(VNet, "forward", refuse)
    message = f"vnet: cpu is out of memory with batches of 8 utterances; {advice}.*{re.escape('(no room for 8)')}"
    with pytest.raises(TrainingError, match=message):
        train_vnet(make_clips(8), make_clips(2), VNetSettings(batch_size=8), RunOptions(tmp_path, seed=0))
    assert not (tmp_path / "last.pt").exists()


def test_out_of_memory_with_maps_and_dropout(tmp_path, monkeypatch):
    """A part of a batch keeps the maps of its utterances."""
    from models.networks.anet import ANet

    forward, sizes = ANet.forward, []

    def refuse(self, maps, index):
        sizes.append((len(maps), len(index)))
        refuse_above(2)(len(index))
        return forward(self, maps, index)

    monkeypatch.setattr(ANet, "forward", refuse)
    settings = ANetSettings(batch_size=5, num_maps=2, channel_scale=1 / 64, mask_frames=5)
    with pytest.raises(TrainingError, match="batches of 5 utterances; batch_size = 2 would fit"):
        train_anet(make_clips(5), make_clips(2), settings, RunOptions(tmp_path, seed=0), weights=None)
    assert sizes == [(5, 5), (2, 2), (3, 3)]


def test_losses_are_looked_at_now_and_then_and_a_bad_one_is_named_with_its_step():
    losses = Losses([0.5], 3, lambda step, loss, norm: f"step {step}: {loss}, {norm}")
    losses.add(torch.tensor(1.0), torch.tensor(2.0))
    assert (losses.values, losses.num_steps) == ([0.5], 2)
    losses.add(torch.tensor(2.0), torch.tensor(float("inf")))
    with pytest.raises(TrainingError, match=r"^step 2: 2.0, inf$"):
        losses.add(torch.tensor(float("nan")), torch.tensor(1.0))
    losses = Losses([], 3, lambda step, loss, norm: "")
    losses.add(torch.tensor(1.0), torch.tensor(2.0))
    losses.look()
    losses.look()
    assert losses.values == [1.0]

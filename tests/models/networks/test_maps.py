import numpy as np
import pytest
import torch

from models.networks.maps import normalise_maps


def test_maps_are_normalised_by_hand():
    raw = torch.zeros(2, 3, 257, 2)
    raw[0, 0, 0] = torch.tensor([4.0, -8.0])
    raw[0, 1, 256] = torch.tensor([2.0, 0.0])
    out = normalise_maps(raw, torch.tensor([2, 3]))
    assert out.shape == (2, 2, 257, 3)
    mean = (4 - 8 + 2) / (2 * 257 * 2)  # over the two real frames
    assert out[0, 0, 0, 0].item() == pytest.approx((4 - mean) / 8)
    assert out[0, 1, 0, 0].item() == pytest.approx((-8 - mean) / 8)
    assert out[0, 0, 256, 1].item() == pytest.approx((2 - mean) / 8)
    assert out[0, 0, 5, 1].item() == pytest.approx(-mean / 8)
    assert (out[0, :, :, 2] == 0).all(), "padding"
    assert (out[1] == 0).all(), "silence"


def test_normalised_map_equals_numpy_and_ignores_its_neighbours():
    rng = np.random.default_rng(0)
    map_ = rng.normal(size=(120, 257, 2)).astype(np.float32) * 30 + 5
    raw = np.zeros((2, 300, 257, 2), dtype=np.float32)
    raw[0, :120], raw[1] = map_, 1e6
    out = normalise_maps(torch.from_numpy(raw), torch.tensor([120, 300]))
    expected = ((map_ - map_.mean(dtype=float)) / max(abs(map_.min()), abs(map_.max()))).transpose(2, 1, 0)
    np.testing.assert_allclose(out[0, :, :, :120].numpy(), expected, atol=1e-6)
    assert (out[0, :, :, 120:] == 0).all()


def test_log_magnitude_by_hand():
    raw = torch.zeros(2, 3, 257, 2)
    raw[0, 0, 0] = torch.tensor([3.0, -4.0])  # 5, the loudest
    raw[0, 1, 256] = torch.tensor([0.0, 0.05])  # 40 dB below it
    raw[0, 1, 7] = torch.tensor([1e-7, 0.0])  # below all that is told apart
    out = normalise_maps(raw, torch.tensor([2, 3]), "log_magnitude")
    assert out.shape == (2, 1, 257, 3)
    mean = 1.5 / (2 * 257)
    assert out[0, 0, 0, 0].item() == pytest.approx(1 - mean)
    assert out[0, 0, 256, 1].item() == pytest.approx(0.5 - mean)
    assert out[0, 0, 7, 1].item() == pytest.approx(-mean)
    assert (out[0, :, :, 2] == 0).all()
    assert (out[1] == 0).all(), "silence"
    louder = normalise_maps(1000 * raw, torch.tensor([2, 3]), "log_magnitude")
    torch.testing.assert_close(louder, out)

"""Fixtures for several tests of networks: one thread, a SphereFace, pictures for it."""

import numpy as np
import pytest
import torch

from models.sphereface.network import build_sphereface


@pytest.fixture(autouse=True, scope="session")
def single_thread():
    """Two threads on a busy machine of two cores wait for each other: a step of VNet takes 30 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    return build_sphereface(None, seed=0)


@pytest.fixture(scope="module")
def faces():
    """12 smooth random pictures and, after each, the same with one patch changed: (24, 112, 96, 3) uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, size=(12, 14, 12, 3))
    pictures = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2)
    changed = pictures.copy()
    changed[:, 80:96, 32:64] = 255 - changed[:, 80:96, 32:64]
    return np.stack([pictures, changed], axis=1).reshape(24, 112, 96, 3).astype(np.uint8)

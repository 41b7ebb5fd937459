"""A network like a trained one."""

import pytest
import torch

from models.sphereface.network import build_sphereface
from tests.models.sphereface.test_network import published_state


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Like a trained network: every bias and slope differs, slopes above 1 and below 0 among them."""
    state = published_state()
    for key, value in state.items():
        if key.startswith("relu"):
            value.mul_(1.6).sub_(0.3)
        if key.startswith("conv") and key.endswith("weight"):
            value.mul_(50 * (1.0 / (value[0].numel())) ** 0.5)
    path = tmp_path_factory.mktemp("weights") / "sphereface.pth"
    torch.save(state, path)
    return build_sphereface(path, seed=0)

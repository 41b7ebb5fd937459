"""One thread for the small networks of these tests."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def single_thread():
    """Two threads on a busy machine of two cores wait for each other: a step of VNet takes 30 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

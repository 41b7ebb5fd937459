"""What all of these tests share: one thread for their small networks, and no clock that decides."""

import math

import pytest
import torch

from models import saving


@pytest.fixture(autouse=True, scope="session")
def single_thread():
    """Two threads on a busy machine of two cores wait for each other: a step of VNet takes 30 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def saved_after_every_epoch():
    """However slow the disk is at the moment."""
    before = saving.QUICK_SECONDS
    saving.QUICK_SECONDS = math.inf
    yield
    saving.QUICK_SECONDS = before

"""What the tests of the command share."""

import os

import pytest

from valar.settings import OVERLAY_VARIABLE


@pytest.fixture(autouse=True)
def overlay_variable(monkeypatch):
    """Begin without an overlay in the environment, and take away what a command has put there."""
    monkeypatch.setenv(OVERLAY_VARIABLE, "")  # so that it is remembered, whatever it was
    monkeypatch.delenv(OVERLAY_VARIABLE)
    yield
    os.environ.pop(OVERLAY_VARIABLE, None)

"""Fixtures shared by all tests."""

import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A shell that starts the tests in the background has them ignore SIGINT, and so would what they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hundreds of processes are started; where the machine keeps no compiled modules, each of them would compile ours anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def media() -> Path:
    """Folder of real clips, with an index; not part of the repository."""
    folder = Path(os.environ.get("VALAR_TEST_MEDIA", ROOT.parent / "shared" / "media"))
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder}: set VALAR_TEST_MEDIA to a folder of them")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a GPU test without CUDA, unless the caller said that there has to be one."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        if os.environ.get("VALAR_REQUIRE_GPU") == "1":
            pytest.fail("VALAR_REQUIRE_GPU=1, but torch sees no CUDA device")
        pytest.skip("no CUDA device")

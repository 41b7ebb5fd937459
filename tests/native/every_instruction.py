"""A pytest plugin for kernels whose AVX-512 is emulated: they are all run, and no test may be skipped.

Loaded by `make sanitize` (`-p tests.native.every_instruction`) before the tests are collected.
"""

from collections.abc import Generator

import pytest
import torch

EMULATED = ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq", "avx512_bf16")

_capabilities = {**torch.cpu.get_capabilities(), **dict.fromkeys(EMULATED, True)}
torch.cpu.get_capabilities = lambda: dict(_capabilities)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one: what is skipped here was not sanitized."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {report.longrepr}"
    return report

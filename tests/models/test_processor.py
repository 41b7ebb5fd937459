"""Which compiled code runs on a processor."""

import torch

from models.processor import list_runnable

KERNELS = [("amx", frozenset({"amx", "avx512"})), ("wide", frozenset({"avx512"})), ("plain", frozenset())]


def test_what_the_processor_lacks_is_left_out_and_the_order_stays(monkeypatch):
    has = {"avx512": True, "amx": False, "architecture": "x86_64", "avx512_bf16": 1}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert list_runnable(KERNELS) == ["wide", "plain"]
    has["amx"] = True
    assert list_runnable(KERNELS) == ["amx", "wide", "plain"]
    assert list_runnable([("named", frozenset({"architecture"})), ("counted", frozenset({"avx512_bf16"}))]) == []

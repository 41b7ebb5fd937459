"""The arithmetic in which a network computes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.choices import Arithmetic


def multiplies_bfloat16(device: str) -> bool:
    """Tell whether the device multiplies bfloat16 numbers in hardware, about twice as fast as float32.

    Elsewhere torch emulates it, several times slower than float32. ARM processors give False: nothing was measured
    there.

    Args:
        device: "cpu", "cuda", ...
    """
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def runs_lstm_in_bfloat16(device: str) -> bool:
    """Tell whether torch has an LSTM in bfloat16 for the device.

    On x86-64 processors without AVX-512 it has none and ends with an error; products and convolutions are emulated.

    Args:
        device: "cpu", "cuda", ...
    """
    if torch.device(device).type != "cpu":
        return True
    return not torch.backends.mkldnn.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def computing_exactly() -> Iterator[None]:
    """Keep a GPU from rounding float32's factors to TF32 and from choosing algorithms by their speed.

    For networks whose results are stored. The settings are those of the whole process, so use this around a whole
    stage: a thread that changed and restored them would also change them for the other threads.
    """
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@contextmanager
def computing_in(precision: Arithmetic, device: str) -> Iterator[None]:
    """Let the networks inside the block compute in the given arithmetic; weights and optimiser stay float32.

    Args:
        precision: "float32" never rounds to fewer bits; torch's own default rounds the factors of CUDA's convolutions
            to TF32 (10 bits instead of 23). "tf32" allows that, for matrix products too; on a CPU it is float32. With
            "bfloat16" (autocast), convolutions, matrix products and the LSTM multiply numbers of 8 bits and add up in
            float32; the LSTM stays in float32 where torch has none in bfloat16.
        device: "cpu", "cuda", ...
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allowed = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = allowed, allowed
    try:
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before

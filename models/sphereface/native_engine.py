"""The kernel for SphereFace-20 on processors with AVX-512 or AVX2 (native/): where it runs, its weights, its call.

Its convolutions are Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks");
the weights are transformed for them here, once.
"""

from collections.abc import Callable

import numpy as np
import torch

from models.choices import ChannelOrder, FeaturePrecision
from models.compiled import load_compiled
from models.paper import FEATURE_SIZE
from models.processor import list_runnable
from models.sphereface.network import STAGES, SphereFace20

# As in models/sphereface/native/sphereface.h: raised when the kernel's arguments or arithmetic change.
_LAYOUT = 3
#: Largest group of crops for which the kernel reads all weights once; more crops are divided into groups.
MOST_CROPS = 32
# Output channels that the kernel computes at a time, and the steps in which it sums fc5's products.
_BLOCK = 32
_FLAT_STEP = 256
_FIRST_DEPTH = 32
# The points of Winograd's transforms, as in the kernel, which transforms the inputs and the sums.
_A, _B = 0.75, 1.5
# The module's functions, the best first, and the instructions that a processor needs for each.
_KERNELS: tuple[tuple[str, FeaturePrecision, frozenset[str]], ...] = (
    ("embed_in_bfloat16", "bfloat16", frozenset({"avx512_f", "avx512_bw", "avx512_vl", "avx512_dq", "avx512_bf16"})),
    ("embed_in_float32", "float32", frozenset({"avx512_f", "fma3"})),
    ("embed_in_float32_avx2", "float32", frozenset({"avx2", "fma3"})),
)

Kernel = Callable[[np.ndarray, np.ndarray, tuple[np.ndarray, ...], bool], None]


def find_kernel(precision: FeaturePrecision, device: str = "cpu") -> Kernel | None:
    """Return the compiled function if it runs here and is faster than PyTorch; otherwise None.

    Processors with AMX multiply bfloat16 so fast that PyTorch's plain convolutions are faster there.

    Args:
        precision: of the convolutions.
        device: "cpu", "cuda", ...
    """
    kernels = list_kernels(precision) if torch.device(device).type == "cpu" else []
    is_beaten = precision == "bfloat16" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return None if is_beaten or not kernels else kernels[0]


def list_kernels(precision: FeaturePrecision) -> list[Kernel]:
    """List the compiled functions that this processor can run, the fastest first."""
    module = load_compiled("models.sphereface._sphereface", _LAYOUT)
    names = list_runnable([(name, needed) for name, of, needed in _KERNELS if of == precision])
    return [getattr(module, name) for name in names if hasattr(module, name)]  # it may be an empty module


@torch.no_grad()
def pack_weights(network: SphereFace20, precision: FeaturePrecision) -> tuple[np.ndarray, ...]:
    """Arrange a network's weights for the kernel: 128 MB in bfloat16, 212 MB in float32.

    Args:
        network: on any device; is copied.
        precision: of the convolutions.

    Returns:
        For each convolution the weights, bias and PReLU's slopes, then fc5's weights and bias.
    """
    arrays = []

    def read(name: str) -> torch.Tensor:
        return network.get_parameter(name).detach().to("cpu", torch.float32)

    for stage, (_, num_blocks) in enumerate(STAGES, start=1):
        for layer in range(1, 2 * num_blocks + 2):
            convolution = f"conv{stage}_{layer}"
            # Each copied at once: a transformed layer is four times as large as it was.
            arrays.append(_to_numpy(_pack_convolution(read(f"{convolution}.weight"), stage, layer, precision)))
            arrays += [_to_numpy(read(f"{convolution}.bias")), _to_numpy(read(f"relu{stage}_{layer}.weight"))]
    fc5 = read("fc5.weight").reshape(FEATURE_SIZE, STAGES[-1][0], -1).permute(2, 1, 0)  # (pixels, channels, features)
    fc5 = fc5.reshape(-1, _FLAT_STEP, FEATURE_SIZE // _BLOCK, _BLOCK).permute(0, 2, 1, 3)
    return (*arrays, _to_numpy(fc5), _to_numpy(read("fc5.bias")))


def _pack_convolution(weights: torch.Tensor, stage: int, layer: int, precision: FeaturePrecision) -> torch.Tensor:
    weights = weights.permute(2, 3, 1, 0)  # (3, 3, inputs, outputs)
    if layer > 1:
        transform = _make_transform()
        points = torch.tensordot(transform, torch.tensordot(transform, weights, ([1], [1])), ([1], [1]))
        matrices = points.flatten(0, 1)  # (36, inputs, outputs)
    elif stage > 1:
        matrices = weights.flatten(0, 1)  # (9, inputs, outputs)
    else:
        taps = weights.flatten(0, 2)
        matrices = torch.cat([taps, taps.new_zeros(_FIRST_DEPTH - len(taps), taps.shape[1])])[None]
    return _pack_matrices(matrices, precision)


def _make_transform() -> torch.Tensor:
    """Make the transform of a row of three weights, (6, 3): their polynomial at each point, the last at infinity."""
    rows = [[1 / (_A * _B) ** 2, 0.0, 0.0]]
    for point, other in ((_A, _B), (_B, _A)):
        scale = 1 / (2 * point**2 * (point**2 - other**2))
        rows += [[scale, sign * scale * point, scale * point**2] for sign in (1, -1)]
    return torch.tensor([*rows, [0.0, 0.0, 1.0]])


def _pack_matrices(matrices: torch.Tensor, precision: FeaturePrecision) -> torch.Tensor:
    """Arrange matrices (M, inputs, outputs) in blocks of 32 outputs; in bfloat16, two inputs make one word."""
    count, inputs, outputs = matrices.shape
    word = 2 if precision == "bfloat16" else 1
    blocks = matrices.reshape(count, inputs // word, word, outputs // _BLOCK, _BLOCK).permute(3, 0, 1, 4, 2)
    return blocks.to(torch.bfloat16) if precision == "bfloat16" else blocks


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Copy to a new array, which starts at a cache line as torch's memory does."""
    copy = tensor.detach().clone(memory_format=torch.contiguous_format)
    return (copy.view(torch.int16) if copy.dtype == torch.bfloat16 else copy).numpy()


def embed_in_kernel(
    kernel: Kernel, weights: tuple[np.ndarray, ...], crops: np.ndarray, channel_order: ChannelOrder
) -> np.ndarray:
    """Embed crops on the calling thread; Python's lock (GIL) is released meanwhile.

    Args:
        kernel: from `find_kernel`.
        weights: from `pack_weights`, for the kernel's precision.
        crops: (N, 112, 96, 3) uint8 BGR.
        channel_order: the colour order of the network's input.

    Returns:
        (N, 512) float32; to the bit, a row depends only on its own crop.

    Raises:
        ValueError: the weights are those of the other precision.
        MemoryError: the 40 MB of scratch memory are not available.
    """
    embeddings = np.empty((len(crops), FEATURE_SIZE), dtype=np.float32)
    kernel(np.ascontiguousarray(crops), embeddings, weights, channel_order == "rgb")
    return embeddings

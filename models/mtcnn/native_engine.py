"""MTCNN's networks in compiled code (native/): the same numbers as PyTorch's except for rounding.

It needs a processor with AVX-512, or with AVX2 and FMA; both kinds give the same bits. Without them, or if the module
could not be built, PyTorch is used.
"""

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.compiled import load_compiled
from models.mtcnn.boxes import ONET_PX, RNET_PX
from models.mtcnn.networks import MtcnnNetworks, ONet, PNet, RNet
from models.processor import list_runnable

# As in models/mtcnn/native/mtcnn.h: raised when the kernel's arguments or results change.
_LAYOUT = 2
_LANES = 16
# Outputs of a convolution that the kernel computes at a time, and those of its dense layers.
_DENSE_OUTPUTS = 128
# Numbers in a row of the kernel's result: a logit, 4 corrections, 10 landmarks, one that is not used.
_TABLE_COLUMNS = 16
_CELL_COLUMNS = 5
# The kernel chooses P-Net's cells by their logits, from slightly below the threshold; their rounded scores then decide.
_LOGIT_MARGIN = 1e-4
# Transform of a filter of three numbers, which are a polynomial's coefficients: the polynomial's value at 0, 1, -1, 2
# and infinity, each divided by the product of that point's differences from the other points.
_WINOGRAD = torch.tensor(
    [[1 / 2, 0, 0], [-1 / 2, -1 / 2, -1 / 2], [-1 / 6, 1 / 6, -1 / 6], [1 / 6, 1 / 3, 2 / 3], [0, 0, 1]],
    dtype=torch.float64,
)

# The module's constants for its engines, the fastest first, and the instructions that a processor needs for each.
_ENGINES = (("AVX512", frozenset({"avx512_f", "fma3"})), ("AVX2", frozenset({"avx2", "fma3"})))

Packed = tuple[np.ndarray, ...]


_kernel: Any = load_compiled("models.mtcnn._mtcnn", _LAYOUT)


def list_instructions() -> list[str]:
    """List the instructions ("AVX512", "AVX2") that compiled code and processor both have, the fastest first."""
    return [name for name in list_runnable(_ENGINES) if hasattr(_kernel, name)]


def is_available() -> bool:
    """Tell whether the compiled code is there and this processor can run it."""
    return bool(list_instructions())


class NativeNetworks:
    """The three networks in compiled code, with their weights packed for it; several threads may use them at a time.

    Args:
        networks: on any device; they are copied.
        instructions: one of `list_instructions`, by default the first; each gives the same bits.

    Raises:
        RuntimeError: the compiled code is not available.
        ValueError: `instructions` is not one of `list_instructions`.
    """

    def __init__(self, networks: MtcnnNetworks, *, instructions: str | None = None) -> None:
        runnable = list_instructions()
        if not runnable:
            raise RuntimeError(
                "models.mtcnn._mtcnn is not built, or this processor has no AVX2: use PyTorch's networks"
            )
        if instructions is not None and instructions not in runnable:
            raise ValueError(f"instructions ({instructions!r}) must be one of {runnable}")
        self._engine: int = getattr(_kernel, instructions or runnable[0])
        self._pnet = _pack_pnet(networks.pnet)
        self._windows = {RNET_PX: _pack_rnet(networks.rnet), ONET_PX: _pack_onet(networks.onet)}

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Return an image in the form that `propose` reads fastest: contiguous."""
        return np.ascontiguousarray(image)

    def judge(self, image: np.ndarray, boxes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sample windows of an image and run R- or O-Net on them.

        Args:
            image: (H, W, 3) uint8.
            boxes: (N, 4) float64.
            side: of the windows: 24 for R-Net, 48 for O-Net.

        Returns:
            Scores (N,), corrections (N, 4) and landmarks (N, 10), with R-Net (N, 0); float64.
        """
        table = np.empty((len(boxes), _TABLE_COLUMNS), dtype=np.float32)
        image, boxes = np.ascontiguousarray(image), np.ascontiguousarray(boxes, dtype=np.float64)
        _kernel.judge(self._engine, image, boxes, side, self._windows[side], table)
        wide = table.astype(np.float64)
        return _compute_probabilities(wide[:, 0]), wide[:, 1:5], wide[:, 5 : 15 if side == ONET_PX else 5]

    def propose(
        self, image: np.ndarray, size: tuple[int, int], threshold: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run P-Net on an image reduced to a level of the pyramid.

        Args:
            image: (H, W, 3) uint8, from `prepare`.
            size: (width, height) of the level, at least 12 and no more than the image's.
            threshold: of the scores, in [0, 1].

        Returns:
            For the cells with greater scores, row by row: (N, 2) int32 row and column, (N,) float64 scores and (N, 4)
            float64 corrections.
        """
        width, height = size
        most = ((height - 1) // 2 - 4) * ((width - 1) // 2 - 4)
        cells, values = np.empty((most, 2), np.int32), np.empty((most, _CELL_COLUMNS), np.float32)
        image = np.ascontiguousarray(image)
        least = _compute_logit(threshold) - _LOGIT_MARGIN
        num_found = _kernel.propose(self._engine, image, height, width, least, self._pnet, cells, values)
        wide = values[:num_found].astype(np.float64)
        scores = _compute_probabilities(wide[:, 0])
        passed = scores > threshold
        return cells[:num_found][passed], scores[passed], wide[passed, 1:]

    def suppress(
        self, boxes: np.ndarray, scores: np.ndarray, *, threshold: float, kind: Literal["union", "smaller"] = "union"
    ) -> np.ndarray:
        """Do the same as `boxes.suppress_overlaps`, to the bit."""
        order = np.argsort(-scores, kind="stable")
        kept = np.empty(len(order), dtype=np.bool_)
        ordered = np.ascontiguousarray(boxes[order], dtype=np.float64)
        _kernel.suppress(self._engine, ordered, threshold, kind == "smaller", kept)
        chosen: np.ndarray = order[kept]
        return chosen


def _compute_logit(probability: float) -> float:
    if 0.0 < probability < 1.0:
        return math.log(probability / (1.0 - probability))
    return math.inf if probability >= 1.0 else -math.inf


def _compute_probabilities(logits: np.ndarray) -> np.ndarray:
    """Compute the softmax of the second of two classes from the difference of their outputs; rounded to float32."""
    with np.errstate(over="ignore"):
        probabilities: np.ndarray = 1.0 / (1.0 + np.exp(-logits))
    return probabilities.astype(np.float32).astype(np.float64)


def _pack_pnet(network: PNet) -> Packed:
    layers = network.features
    weights, biases = _join_heads(network.classes, network.regression)
    return (
        *_pack_convolution(layers[0], layers[1], vectors=1),
        *_pack_convolution(layers[3], layers[4], vectors=1),
        *_pack_tiles(layers[5], layers[6], vectors=2),
        # A cell's features are multiplied with one row of these at a time; most cells need only the first row.
        weights.clone(memory_format=torch.contiguous_format).numpy(),
        *_pack(weights.T, biases, torch.ones(len(biases)), block=_LANES)[1:],
    )


def _pack_rnet(network: RNet) -> Packed:
    layers = network.features
    dense = network.dense
    return (
        *_pack_convolution(layers[0], layers[1], vectors=2),
        *_pack_tiles(layers[3], layers[4], vectors=3),
        *_pack_convolution(layers[6], layers[7], vectors=4),
        *_pack_dense(dense[0], dense[1], channels=64),
        *_pack_heads(network.classes, network.regression),
    )


def _pack_onet(network: ONet) -> Packed:
    layers = network.features
    dense = network.dense
    return (
        *_pack_convolution(layers[0], layers[1], vectors=2),
        *_pack_tiles(layers[3], layers[4], vectors=2),
        *_pack_tiles(layers[6], layers[7], vectors=2),
        *_pack_convolution(layers[9], layers[10], vectors=4),
        *_pack_dense(dense[0], dense[1], channels=128),
        *_pack_heads(network.classes, network.regression, network.landmarks),
    )


def _pack_convolution(convolution: nn.Module, slopes: nn.Module, *, vectors: int) -> Packed:
    """Pack weights as (blocks, rows, columns, in, outputs of a block), outputs padded with zeros."""
    weight, bias = _read(convolution)
    inputs = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (taps and inputs, out)
    return _pack(inputs, bias, _read_slopes(slopes), block=vectors * _LANES)


def _pack_tiles(convolution: nn.Module, slopes: nn.Module, *, vectors: int) -> Packed:
    """Pack weights transformed for Winograd's convolution (Lavin & Gray 2016), 3 x 3 outputs a tile."""
    weight, bias = _read(convolution)
    points = torch.einsum("ai,kcij,bj->abck", _WINOGRAD, weight.double(), _WINOGRAD)  # (5, 5, in, out)
    return _pack(points.flatten(0, 2).float(), bias, _read_slopes(slopes), block=vectors * _LANES)


def _pack_dense(dense: nn.Module, slopes: nn.Module, *, channels: int) -> Packed:
    """Pack a dense layer for inputs in the order (H, W, C); the published weights are for (W, H, C)."""
    weight, bias = _read(dense)
    inputs = weight.reshape(len(weight), 3, 3, channels).transpose(1, 2).flatten(1).T  # (in, out)
    return _pack(inputs, bias, _read_slopes(slopes), block=_DENSE_OUTPUTS)


def _pack_heads(classes: nn.Module, *others: nn.Module) -> Packed:
    weights, biases = _join_heads(classes, *others)
    return _pack(weights.T, biases, torch.ones(len(biases)), block=_LANES)


def _join_heads(classes: nn.Module, *others: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weights (out, in) and biases (out,) of the last layers; for the two classes, those of their difference."""
    weight, bias = _read(classes)
    read = [(weight[1:] - weight[:1], bias[1:] - bias[:1]), *(_read(other) for other in others)]
    return torch.cat([weight.flatten(1) for weight, _ in read]), torch.cat([bias for _, bias in read])


def _pack(inputs: Tensor, bias: Tensor, slopes: Tensor, *, block: int) -> Packed:
    """Arrange (in, out) as (blocks, in, outputs of a block), the last block padded with zeros."""
    num_missing = -len(bias) % block
    filled = nn.functional.pad(inputs, (0, num_missing))
    blocks = filled.reshape(len(inputs), -1, block).transpose(0, 1)
    arrays = (blocks, nn.functional.pad(bias, (0, num_missing)), nn.functional.pad(slopes, (0, num_missing)))
    # Copied, because PyTorch's own memory is aligned to the 64 bytes of a register.
    return tuple(array.clone(memory_format=torch.contiguous_format).numpy() for array in arrays)


def _read(layer: nn.Module) -> tuple[Tensor, Tensor]:
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    return weight.detach().cpu().float(), bias.detach().cpu().float()


def _read_slopes(layer: nn.Module) -> Tensor:
    return layer.get_parameter("weight").detach().cpu().float()

"""Small networks in the forms that users bring: ONNX files, byte by byte without the package onnx, and .pt2 files."""

import hashlib
import warnings
from pathlib import Path

import numpy as np

FLOAT = 1
_VARINT, _BYTES = 0, 2


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, value) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return _number(number << 3 | _VARINT) + _number(value)
    data = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | _BYTES) + _number(len(data)) + data


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, FLOAT) + _field(8, name) + _field(9, np.ascontiguousarray(array, "<f4").tobytes())


def _external(name: str, shape: tuple[int, ...], location: str) -> bytes:
    dims = b"".join(_field(1, size) for size in shape)
    return (
        dims
        + _field(2, FLOAT)
        + _field(8, name)
        + _field(13, _field(1, "location") + _field(2, location))
        + _field(14, 1)
    )


def _value(name: str, shape: tuple) -> bytes:
    dims = b"".join(_field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, dims)))


def _node(kind: str, inputs: list[str], output: str, **attributes: list[int]) -> bytes:
    found = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
    for name, values in attributes.items():
        found += _field(5, _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7))
    return found


def _model(nodes: list[bytes], tensors: list[bytes], inputs: list[bytes], output: bytes) -> bytes:
    graph = (
        b"".join(_field(1, node) for node in nodes) + _field(2, "made") + b"".join(_field(5, each) for each in tensors)
    )
    graph += b"".join(_field(11, each) for each in inputs) + _field(12, output)
    return _field(1, 8) + _field(8, _field(1, "") + _field(2, 13)) + _field(7, graph)


def make_face_weights(width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the face network: a convolution (8, 3, 8, 8) of stride 8, and a matrix (8, width)."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (8, 3, 8, 8)).astype("f4"), rng.normal(0, 1, (8, width)).astype("f4")


def make_face_onnx(width: int = 6, seed: int = 0, *, batch="batch", external: str = "") -> bytes:
    """Faces (N, 3, H, W) to (N, width): convolution, ReLU, mean over the picture, matrix product."""
    convolution, matrix = make_face_weights(width, seed)
    nodes = [
        _node("Conv", ["x", "c"], "a", kernel_shape=[8, 8], strides=[8, 8]),
        _node("Relu", ["a"], "b"),
        _node("GlobalAveragePool", ["b"], "m"),
        _node("Flatten", ["m"], "f"),
        _node("MatMul", ["f", "w"], "y"),
    ]
    weights = _external("c", convolution.shape, external) if external else _tensor("c", convolution)
    inputs = [_value("x", (batch, 3, "h", "w"))]
    return _model(nodes, [weights, _tensor("w", matrix)], inputs, _value("y", (batch, width)))


def compute_face_rows(pictures: np.ndarray, width: int = 6, seed: int = 0) -> np.ndarray:
    """What that network gives for prepared pictures (N, 3, H, W), in NumPy."""
    convolution, matrix = make_face_weights(width, seed)
    count, _, height, across = pictures.shape
    cut = pictures[:, :, : height // 8 * 8, : across // 8 * 8]
    blocks = cut.reshape(count, 3, height // 8, 8, across // 8, 8)
    found = np.einsum("nciyjx,kcyx->nkij", blocks.astype("f8"), convolution.astype("f8"))
    return np.maximum(found, 0).mean(axis=(2, 3)) @ matrix.astype("f8")


def make_sound_onnx(window: int, width: int = 4, seed: int = 0) -> bytes:
    """Pieces of sound (N, window) to (N, width): a matrix product."""
    matrix = np.random.default_rng(seed).normal(0, 1, (window, width))
    return _model(
        [_node("MatMul", ["x", "w"], "y")],
        [_tensor("w", matrix)],
        [_value("x", ("n", window))],
        _value("y", ("n", width)),
    )


def make_two_input_onnx() -> bytes:
    """A network that wants two inputs."""
    return _model(
        [_node("Add", ["x", "z"], "y")], [], [_value("x", ("n", 3)), _value("z", ("n", 3))], _value("y", ("n", 3))
    )


def write_exported(path: Path, width: int = 5, *, module=None, example=None) -> str:
    """Write a .pt2 of a face network (or of a module), and give its sha256."""
    import torch
    from torch import nn

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.matrix = nn.Parameter(torch.randn(3, width, generator=generator))

        def forward(self, x):
            return x.mean((2, 3)) @ self.matrix

    example = torch.zeros(2, 3, 112, 96) if example is None else example
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module or Mean(), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of_sound(device):
    """An entry point: loudness and zero crossings of each piece of sound (N, samples)."""
    del device
    return lambda batch: np.stack([np.sqrt((batch**2).mean(1)), (np.diff(np.sign(batch), axis=1) != 0).mean(1)], axis=1)


def no_rows(device):
    """An entry point that gives no row."""
    del device
    return lambda batch: batch[:0]


def thumbnails_of_faces(device):
    """A network of nothing but its input: a row is the picture itself."""
    del device
    return lambda batch: batch.reshape(len(batch), -1)

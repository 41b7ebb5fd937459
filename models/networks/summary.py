"""What a network consists of: layers, shapes, parameters, arithmetic. `python -m models summary joint` prints it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from models import paper
from models.choices import Fusion, Pooling, SoundInput
from models.networks.anet import ANet, count_channels
from models.networks.joint import Joint
from models.networks.vnet import VNet
from models.tables import render_table

NETWORKS: Mapping[str, type[nn.Module]] = {"anet": ANet, "vnet": VNet, "joint": Joint}


@dataclass(frozen=True)
class Layer:
    """One layer that ran in a forward pass.

    Attributes:
        name: of the layer within the network.
        kind: torch's name of its class.
        output: shape of its output, for all utterances of the batch.
        num_parameters: of the layer alone.
        flops: floating-point operations of a forward pass (a multiplication and an addition are two). Only
            convolutions, fully connected layers and the LSTM's matrix products are counted, which are nearly all.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    num_parameters: int
    flops: int


def summarise(
    network: str,
    *,
    batch_size: int = 1,
    num_maps: int | None = None,
    num_frames: int = paper.NUM_FRAMES,
    channel_scale: float = 1.0,
    backbone: str = "frozen",
    input: SoundInput = "stft",
    row_size: int = 0,
    map_rows: int = paper.MAP_FRAMES,
    pooling: Pooling = "lstm",
    face_size: int = paper.FEATURE_SIZE,
    fusion: Fusion = "concat",
) -> list[Layer]:
    """Describe every layer that computes, in order.

    Nothing is computed (torch's meta device), except for rows of another feature: an LSTM has to pack them.

    Args:
        network: "anet", "vnet" or "joint".
        batch_size: utterances.
        num_maps: STFT maps of each, all different; by default 1 for ANet and the paper's 4 for Joint.
        num_frames: faces of each.
        channel_scale: see `anet.AcousticFeature`.
        backbone: see `vnet.VisualFeature`.
        input: content of the maps, see `anet.AcousticFeature`.
        row_size: numbers in a row of the feature that replaces the maps; 0 for the maps.
        map_rows: rows of that feature in 3 s.
        pooling: how these rows are combined, see `sequence.SequenceFeature`.
        face_size: numbers of each face in VNet's input.
        fusion: see `joint.Joint`.

    Raises:
        ValueError: there is no such network, or an argument has a value that is not allowed.
    """
    if network not in NETWORKS:
        raise ValueError(f"network ({network!r}) must be one of {', '.join(NETWORKS)}")
    hearing = {"channel_scale": channel_scale, "input": input, "row_size": row_size, "pooling": pooling}
    seeing = {"backbone": backbone, "face_size": face_size}
    options: dict[str, dict[str, Any]] = {"anet": hearing, "vnet": seeing}
    options["joint"] = {**hearing, **seeing, "fusion": fusion}
    if num_maps is None:
        num_maps = paper.NUM_MAPS if network == "joint" else 1
    layers: list[Layer] = []
    with torch.device("cpu" if row_size else "meta"), torch.random.fork_rng(devices=[]):
        built = NETWORKS[network](**options[network]).eval()
        # A row's last number marks it as real (see `sequence.mark_rows`).
        piece = (map_rows, row_size + 1) if row_size else _shape_map(input)
        face = (3, paper.CROP_HEIGHT, paper.CROP_WIDTH) if backbone == "finetune" else (face_size,)
        sound = (torch.ones(batch_size * num_maps, *piece), torch.zeros((batch_size, num_maps), dtype=torch.int64))
        faces = (torch.ones(batch_size, num_frames, *face),)
        for name, module in built.named_modules():
            if not list(module.children()) and list(module.parameters(recurse=False)):
                module.register_forward_hook(_make_hook(name, layers))
        with torch.inference_mode():
            built(*{"anet": sound, "vnet": faces, "joint": (*sound, *faces)}[network])
    return layers


def _shape_map(input: SoundInput) -> tuple[int, ...]:
    return count_channels(input), paper.NUM_FREQUENCIES, paper.MAP_FRAMES


def _make_hook(name: str, layers: list[Layer]) -> Any:
    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        shape = _find_shape(output[0] if isinstance(module, nn.LSTM) else output)
        parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        layers.append(Layer(name, type(module).__name__, shape, parameters, _count_flops(module, shape)))

    return note


def _find_shape(output: torch.Tensor | PackedSequence) -> tuple[int, ...]:
    """Return a tensor's shape; for packed rows, all of one length, their shape before packing."""
    if isinstance(output, PackedSequence):
        return int(output.batch_sizes[0]), len(output.batch_sizes), output.data.shape[1]
    return tuple(output.shape)


def _count_flops(module: nn.Module, output: tuple[int, ...]) -> int:
    """Count the operations of a forward pass: two for each multiplication by a weight."""
    if isinstance(module, nn.Conv2d):
        positions = output[0] * output[2] * output[3]
        return 2 * module.weight.numel() * positions
    if isinstance(module, nn.Linear):
        return 2 * module.weight.numel() * math.prod(output[:-1])
    if isinstance(module, nn.LSTM):
        weights = sum(parameter.numel() for name, parameter in module.named_parameters() if name.startswith("weight"))
        return 2 * weights * output[0] * output[1]
    return 0


def render(layers: list[Layer]) -> str:
    """Render layers as a table for a reader, with the sums in the last row."""
    rows = [("layer", "kind", "output", "parameters", "GFLOP")]
    rows += [
        (layer.name, layer.kind, " x ".join(map(str, layer.output)), f"{layer.num_parameters:,}", _giga(layer.flops))
        for layer in layers
    ]
    total = sum(layer.num_parameters for layer in layers), sum(layer.flops for layer in layers)
    rows.append(("in all", "", "", f"{total[0]:,}", _giga(total[1])))
    return render_table(rows, right=(3, 4))


def _giga(flops: int) -> str:
    return f"{flops / 1e9:.3f}"

"""SphereFace-20: an aligned face crop becomes 512 numbers (II-B, III-B).

Liu et al. 2017, "SphereFace: Deep Hypersphere Embedding for Face Recognition"; keys and layers as in the published
PyTorch weights (github.com/clcarwin/sphereface_pytorch, sphere20a).

Letters: B batch, H = 112 height, W = 96 width, C channels.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from models.choices import CHANNEL_ORDERS, ChannelOrder
from models.loading import build_empty, load_strictly
from models.paper import CROP_HEIGHT, CROP_WIDTH, FEATURE_SIZE, PIXEL_CENTRE, PIXEL_SCALE
from models.seeding import seeded
from models.weights.tensors import load_state_dict

STAGES = ((64, 1), (128, 2), (256, 4), (512, 1))  # channels and residual blocks of each stage
CLASSIFIER_KEYS = frozenset({"fc6.weight"})  # in the published file; only its training needed it
PRELU_SLOPE = 0.25
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class SphereFace20(nn.Module):
    """The 20-layer residual network, with the key names of the published weights (conv1_1, relu1_1, ..., fc5)."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for stage, (width, num_blocks) in enumerate(STAGES, start=1):
            for layer in range(1, 2 * num_blocks + 2):
                stride = 2 if layer == 1 else 1
                self.add_module(f"conv{stage}_{layer}", nn.Conv2d(channels, width, 3, stride, padding=1))
                self.add_module(f"relu{stage}_{layer}", nn.PReLU(width, init=PRELU_SLOPE))
                channels = width
        self.fc5 = nn.Linear(channels * (CROP_HEIGHT // 16) * (CROP_WIDTH // 16), FEATURE_SIZE)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Embed faces.

        Args:
            faces: (B, 3, 112, 96) float, (pixel - 127.5) / 128 (see `normalise_crops`).

        Returns:
            (B, 512) of the type of fc5's weights.
        """
        x = faces
        for stage, (_, num_blocks) in enumerate(STAGES, start=1):
            x = self._layer(x, stage, 1)  # (B, C, H / 2**stage, W / 2**stage)
            for block in range(1, num_blocks + 1):
                x = x + self._layer(self._layer(x, stage, 2 * block), stage, 2 * block + 1)
        return self.fc5(x.flatten(1).to(self.fc5.weight.dtype))

    def _layer(self, x: torch.Tensor, stage: int, layer: int) -> torch.Tensor:
        x = self.get_submodule(f"conv{stage}_{layer}")(x)
        return self.get_submodule(f"relu{stage}_{layer}")(x)


def build_sphereface(weights: Path | None, *, seed: int) -> SphereFace20:
    """Build the network with the weights of a file, or with random ones.

    Args:
        weights: a PyTorch file of tensors with the published keys (its digest is the caller's to check); None is an
            explicit choice of random weights.
        seed: of the random weights; unused otherwise.

    Raises:
        ValueError: keys of the file are missing or unknown (fc6, the classifier, may be there), or a shape is wrong.
    """
    state = None if weights is None else load_state_dict(weights)
    network = build_empty(SphereFace20)
    if state is None:
        with seeded(seed):
            _initialise(network)
    else:
        load_sphereface(network, state, source=str(weights))
    return network


def load_sphereface(network: SphereFace20, state: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Load tensors with the published keys into the network, strictly.

    Args:
        network: is changed.
        state: the tensors; fc6 is dropped.
        source: named in the error.

    Raises:
        ValueError: see `build_sphereface`.
    """
    kept = {key: value for key, value in state.items() if key not in CLASSIFIER_KEYS}
    load_strictly(
        network,
        kept,
        source=source,
        hint="it must hold SphereFace-20: sphere20a_20171020.7z (valar weights list)",
    )


def normalise_crops(crops: torch.Tensor, *, channel_order: ChannelOrder = "bgr") -> torch.Tensor:
    """Turn pixels into the network's input: (pixel - 127.5) / 128, channels first.

    Args:
        crops: (..., 112, 96, 3) uint8 BGR.
        channel_order: the colour order of the network's input; "rgb" reverses the channels.

    Returns:
        (..., 3, 112, 96) float32; each image keeps its channels-last layout in memory.

    Raises:
        ValueError: another channel order.
    """
    check_channel_order(channel_order)
    if channel_order == "rgb":
        crops = crops.flip(-1)
    return ((crops.to(torch.float32) - PIXEL_CENTRE) / PIXEL_SCALE).movedim(-1, -3)


def check_channel_order(channel_order: str) -> None:
    """Raise a ValueError for any other order than "bgr" and "rgb"."""
    if channel_order not in CHANNEL_ORDERS:
        raise ValueError(f"channel_order ({channel_order!r}) must be bgr or rgb")


def _initialise(network: SphereFace20) -> None:
    """Set random weights that give different images different rows (not in the paper; for demos without downloads)."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=PRELU_SLOPE, mode="fan_in", nonlinearity="leaky_relu")
            assert module.bias is not None, "all layers have one"
            nn.init.zeros_(module.bias)
            stage_layer = int(name.rsplit("_", 1)[1])
            if stage_layer > 1 and stage_layer % 2 == 1:
                # If x and f(x) were equally large, each of the eight blocks would double the variance.
                module.weight.data.mul_(0.1)
        elif isinstance(module, nn.PReLU):
            nn.init.constant_(module.weight, PRELU_SLOPE)
    nn.init.kaiming_normal_(network.fc5.weight, mode="fan_in", nonlinearity="linear")
    nn.init.zeros_(network.fc5.bias)

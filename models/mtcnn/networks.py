"""MTCNN's three networks (Zhang et al. 2016) and their published weights (paper II-B names the detector).

Letters: B batch, C channels, H height, W width. Pixels enter as (value - 127.5) / 128.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.choices import ChannelOrder
from models.weights.table import WrongDigestError, find_carried_weights


class PNet(nn.Module):
    """Proposal network: slides a 12-pixel window over an image in steps of two pixels.

    Pooling rounds up, as in the published networks, so that H gives ceil((H - 2) / 2) - 4 rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(3, 10, 3),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *_convolution(10, 16, 3),
            *_convolution(16, 32, 3),
        )
        self.regression = nn.Conv2d(32, 4, 1)
        self.classes = nn.Conv2d(32, 2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, 3, H, W) to face probabilities (B, h, w) and box corrections (B, 4, h, w)."""
        features = self.features(images)  # (B, 32, h, w)
        return self.classes(features).softmax(1)[:, 1], self.regression(features)


class RNet(nn.Module):
    """Refinement network: judges and corrects windows of 24 x 24 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(3, 28, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *_convolution(28, 48, 3),
            nn.MaxPool2d(3, 2),
            *_convolution(48, 64, 2),
        )
        self.dense = nn.Sequential(nn.Linear(576, 128), nn.PReLU(128))
        self.regression = nn.Linear(128, 4)
        self.classes = nn.Linear(128, 2)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Map windows (B, 3, 24, 24) to face probabilities (B,) and box corrections (B, 4)."""
        features = self.dense(_flatten_published(self.features(windows)))  # (B, 128)
        return self.classes(features).softmax(1)[:, 1], self.regression(features)


class ONet(nn.Module):
    """Output network: judges and corrects windows of 48 x 48 pixels and finds five landmarks in them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(3, 32, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            *_convolution(32, 64, 3),
            nn.MaxPool2d(3, 2),
            *_convolution(64, 64, 3),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *_convolution(64, 128, 2),
        )
        self.dense = nn.Sequential(nn.Linear(1152, 256), nn.PReLU(256))
        self.regression = nn.Linear(256, 4)
        self.landmarks = nn.Linear(256, 10)
        self.classes = nn.Linear(256, 2)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map windows (B, 3, 48, 48) to probabilities (B,), corrections (B, 4) and landmarks (B, 10): 5 x, then 5 y."""
        features = self.dense(_flatten_published(self.features(windows)))  # (B, 256)
        return self.classes(features).softmax(1)[:, 1], self.regression(features), self.landmarks(features)


@dataclass(frozen=True)
class MtcnnNetworks:
    """The three networks, with weights, and the channel order of their input.

    Attributes:
        channel_order: of the images.
        sha256: the digest of each weight file, in the order P, R, O.
    """

    pnet: PNet
    rnet: RNet
    onet: ONet
    channel_order: ChannelOrder
    sha256: tuple[str, str, str]


def load_networks(*, channel_order: ChannelOrder = "bgr") -> MtcnnNetworks:
    """Load the networks with the weights that the `mtcnn` package carries.

    The published weights read RGB. For "bgr" the input channels of each first convolution are swapped once here, which
    is the same as swapping those of every image.

    Args:
        channel_order: of the images that the networks will get.

    Raises:
        MissingWeightsError: the package or one of its files is not there.
        WrongDigestError: a file is not the published one; it is not unpickled.
        ValueError: the channel order is unknown.
    """
    if channel_order not in ("bgr", "rgb"):
        raise ValueError(f"channel_order ({channel_order!r}) must be 'bgr' or 'rgb'")
    networks = (PNet(), RNet(), ONet())
    digests = []
    for network, name in zip(networks, ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"), strict=True):
        carried = find_carried_weights(name)
        arrays = read_published_arrays(carried.path, sha256=carried.sha256)
        state = _rename_arrays(network, arrays)
        if channel_order == "bgr":
            state["features.0.weight"] = state["features.0.weight"].flip(1)
        network.load_state_dict(state, strict=True)
        _prepare(network)
        digests.append(carried.sha256)
    return MtcnnNetworks(*networks, channel_order=channel_order, sha256=(digests[0], digests[1], digests[2]))


def read_published_arrays(path: Path, *, sha256: str) -> list[np.ndarray]:
    """Check the digest of a joblib file of arrays, then read it: unpickling can run code from the file.

    Raises:
        WrongDigestError: the file's sha256 is another one.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WrongDigestError(path, expected=sha256, found=found, remedy="install mtcnn==1.0.0 again")
    import joblib

    # From the bytes that were hashed, so that nothing can change between the check and the reading.
    arrays: list[np.ndarray] = joblib.load(io.BytesIO(content))
    return arrays


def _prepare(network: nn.Module) -> None:
    """Prepare a loaded network for inference; channels last, a CPU runs these small layers three times as fast."""
    network.eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _convolution(inputs: int, outputs: int, side: int) -> tuple[nn.Conv2d, nn.PReLU]:
    return nn.Conv2d(inputs, outputs, side), nn.PReLU(outputs)


def _flatten_published(features: Tensor) -> Tensor:
    """Flatten (B, C, H, W) to (B, W * H * C), the order in which the published dense layers read it."""
    return features.permute(0, 3, 2, 1).flatten(1)


def _rename_arrays(network: nn.Module, arrays: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """Name the arrays, which are in the layers' order, as the network does, and put their axes in PyTorch's order."""
    names = [name for name, _ in network.named_parameters()]
    if len(names) != len(arrays):
        raise ValueError(
            f"{type(network).__name__} has {len(names)} parameters, but the file holds {len(arrays)} arrays"
        )
    state = {}
    for name, array in zip(names, arrays, strict=True):
        if array.ndim == 4:  # (H, W, in, out) -> (out, in, H, W)
            array = array.transpose(3, 2, 0, 1)
        elif array.ndim == 2:  # (in, out) -> (out, in)
            array = array.T
        elif array.ndim == 3:  # (1, 1, C), a PReLU's slopes
            array = array.reshape(-1)
        state[name] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return state

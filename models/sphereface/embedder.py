"""Embedding of crops by SphereFace-20, with the fastest engine of this machine (paper II-B, III-B)."""

from typing import Literal

import numpy as np
import torch

from models.choices import ChannelOrder, FeaturePrecision
from models.loading import build_empty, place_network
from models.paper import CROP_HEIGHT, CROP_WIDTH, FEATURE_SIZE
from models.sphereface.native_engine import embed_in_kernel, find_kernel, pack_weights
from models.sphereface.network import (
    DTYPES,
    SphereFace20,
    check_channel_order,
    normalise_crops,
)

Engine = Literal["kernel", "pytorch"]


def find_engine(precision: FeaturePrecision, device: str) -> Engine:
    """Tell which engine is the fastest for an arithmetic on a device."""
    return "pytorch" if find_kernel(precision, device) is None else "kernel"


class Embedder:
    """Computes a network's embeddings of crops, on one device, in one arithmetic.

    To the bit, a row depends only on its own crop and not on the other crops: PyTorch's batches are padded to one size,
    and the kernel has no batches. The two engines differ only by rounding: their cosine is .99999 in float32, .9999 in
    bfloat16.

    Args:
        network: is not changed.
        precision: of the convolutions; fc5, whose sum has 21 504 terms, and the result are float32.
        device: where to compute.
        engine: by default the fastest, see `find_engine`.

    Attributes:
        engine: the engine in use.

    Raises:
        ValueError: precision or engine is unknown, or the kernel is asked for where it does not run.
    """

    def __init__(
        self,
        network: SphereFace20,
        *,
        precision: FeaturePrecision = "float32",
        device: str = "cpu",
        engine: Engine | None = None,
    ) -> None:
        if precision not in DTYPES:
            raise ValueError(f"precision ({precision!r}) must be one of {sorted(DTYPES)}")
        if engine not in (None, "kernel", "pytorch"):
            raise ValueError(f"engine ({engine!r}) must be kernel or pytorch")
        kernel = None if engine == "pytorch" else find_kernel(precision, device)
        if engine == "kernel" and kernel is None:
            raise ValueError(f"engine (kernel) is not available for {precision} on {device}: it must be pytorch")
        self.engine: Engine = "pytorch" if kernel is None else "kernel"
        self._precision, self._device = precision, device
        self._kernel = None if kernel is None else (kernel, pack_weights(network, precision))
        self._network = _prepare(network, precision, device) if kernel is None else None

    def embed(self, crops: np.ndarray, *, channel_order: ChannelOrder = "bgr", batch_size: int = 32) -> np.ndarray:
        """Compute the embedding of every crop.

        Args:
            crops: (N, 112, 96, 3) uint8 BGR, N >= 0; may be memory-mapped.
            channel_order: the colour order of the network's input; see `normalise_crops`.
            batch_size: crops per pass of PyTorch, at least 1; another size may change the last bit.

        Returns:
            (N, 512) float32.

        Raises:
            ValueError: the crops have another shape or type, or an argument has a wrong value.
        """
        if crops.shape[1:] != (CROP_HEIGHT, CROP_WIDTH, 3) or crops.dtype != np.uint8:
            raise ValueError(f"crops are {crops.shape} {crops.dtype}: they must be (N, 112, 96, 3) uint8, BGR")
        if batch_size < 1:
            raise ValueError(f"batch_size ({batch_size}) must be at least 1")
        check_channel_order(channel_order)
        if self._kernel is not None:
            return embed_in_kernel(*self._kernel, crops, channel_order)
        return self._embed_in_pytorch(crops, channel_order, batch_size)

    @torch.inference_mode()
    def _embed_in_pytorch(self, crops: np.ndarray, channel_order: ChannelOrder, batch_size: int) -> np.ndarray:
        assert self._network is not None, "one of the two engines is there"
        embeddings = np.empty((len(crops), FEATURE_SIZE), dtype=np.float32)
        batch = torch.zeros((batch_size, CROP_HEIGHT, CROP_WIDTH, 3), dtype=torch.uint8)
        for start in range(0, len(crops), batch_size):
            part = crops[start : start + batch_size]
            batch.numpy()[: len(part)] = part
            faces = normalise_crops(batch.to(self._device), channel_order=channel_order)  # (B, 3, 112, 96)
            rows = self._network(faces.to(DTYPES[self._precision]))
            embeddings[start : start + len(part)] = rows[: len(part)].cpu().numpy()
        return embeddings


def _prepare(network: SphereFace20, precision: FeaturePrecision, device: str) -> SphereFace20:
    """Copy the network into the form that PyTorch runs fastest: evaluation mode, channels last, fc5 in float32."""
    copy = build_empty(SphereFace20)
    copy.load_state_dict(network.state_dict())
    place_network(copy, device=device, dtype=DTYPES[precision])
    copy.fc5.load_state_dict(network.fc5.state_dict())
    copy.fc5.to(torch.float32)
    return copy.eval().requires_grad_(False)

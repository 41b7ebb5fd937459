"""MTCNN's networks run by PyTorch, on any device; native_engine.py does the same in compiled code."""

from typing import Literal

import numpy as np
import torch

from models.mtcnn.boxes import ONET_PX, RNET_PX, sample_windows, suppress_overlaps
from models.mtcnn.networks import MtcnnNetworks


class TorchNetworks:
    """The three networks on one device; several threads may use them at a time.

    Args:
        networks: are moved to the device.
        device: where they run. On a GPU use them inside `precision.computing_exactly`.
    """

    def __init__(self, networks: MtcnnNetworks, *, device: torch.device) -> None:
        self._device = device
        self._pnet = networks.pnet.to(device)
        self._windows = {RNET_PX: networks.rnet.to(device), ONET_PX: networks.onet.to(device)}

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Return an image in the form that `propose` reads fastest: float32."""
        return image.astype(np.float32)

    def judge(self, image: np.ndarray, boxes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sample windows of an image and run R- or O-Net on them.

        Args:
            image: (H, W, 3) uint8.
            boxes: (N, 4) float64.
            side: of the windows: 24 for R-Net, 48 for O-Net.

        Returns:
            Scores (N,), corrections (N, 4) and landmarks (N, 10), with R-Net (N, 0); float64.
        """
        windows = torch.from_numpy(sample_windows(image, boxes, side)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            scores, *rest = self._windows[side](windows.to(self._device))  # (B,), (B, 4) and with O-Net (B, 10)
            table = torch.cat([scores[:, None], *rest], dim=1).cpu().numpy().astype(np.float64)
        return table[:, 0], table[:, 1:5], table[:, 5:]

    def propose(
        self, image: np.ndarray, size: tuple[int, int], threshold: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run P-Net on an image reduced to a level of the pyramid.

        Args:
            image: (H, W, 3) from `prepare`.
            size: (width, height) of the level.
            threshold: of the scores.

        Returns:
            For the cells with greater scores, row by row: (N, 2) int64 row and column, (N,) float64 scores and (N, 4)
            float64 corrections.
        """
        import cv2

        # Not uint8: rounding the reduced levels would move the final boxes by a few tenths of a pixel. Small levels are
        # not made from larger ones either: that is faster at 1080p, but loses or adds one face in a hundred.
        level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pixels = torch.from_numpy(level).to(self._device).permute(2, 0, 1)[None]  # (1, 3, h, w)
        with torch.inference_mode():
            probabilities, corrections = self._pnet((pixels - 127.5) / 128.0)
            scores = probabilities[0].cpu().numpy()
            cells = np.argwhere(scores > threshold)
            rows, columns = cells.T
            chosen = corrections[0].cpu().numpy()[:, rows, columns].T.astype(np.float64)  # (N, 4)
        return cells, scores[rows, columns].astype(np.float64), chosen

    def suppress(
        self, boxes: np.ndarray, scores: np.ndarray, *, threshold: float, kind: Literal["union", "smaller"] = "union"
    ) -> np.ndarray:
        """Call `boxes.suppress_overlaps`."""
        return suppress_overlaps(boxes, scores, threshold=threshold, kind=kind)

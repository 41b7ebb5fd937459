"""MTCNN: faces and five landmarks in an image (paper II-B; Zhang et al. 2016, "Joint Face Detection and Alignment").

Follows the published package `mtcnn` 1.0.0, whose weights it uses, in scaling, thresholds, suppression and sampling;
differences are named where they are made.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch

from models.mtcnn import native_engine
from models.mtcnn.boxes import (
    CELL_PX,
    ONET_PX,
    RNET_PX,
    compute_proposals,
    compute_pyramid_scales,
    correct_boxes,
    make_square,
    place_landmarks,
)
from models.mtcnn.native_engine import NativeNetworks
from models.mtcnn.networks import MtcnnNetworks
from models.mtcnn.torch_engine import TorchNetworks

Engine = Literal["kernel", "pytorch"]

# Windows per pass through R- and O-Net: limits the memory in a crowd, and is the unit of work for threads.
_BATCH = 64


@dataclass(frozen=True)
class Detections:
    """Faces of one image, best first from `detect`, in the order of the given boxes from `refine`.

    Attributes:
        boxes: (N, 4) float32, (x1, y1, x2, y2) in pixels, inside the image.
        landmarks: (N, 5, 2) float32, (x, y) in pixels: left eye, right eye, nose, mouth left, mouth right, left being
            the image's left; they may lie outside the image.
        scores: (N,) float32 in [0, 1], O-Net's probability of a face.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


class Mtcnn:
    """Detector of faces; its networks stay on one device. On a GPU use it inside `precision.computing_exactly`.

    Args:
        networks: from `load_networks`; their channel order is that of the images.
        smallest_face_px: side of the smallest face to look for, at least 12. Half of it makes `detect` four times as
            expensive.
        thresholds: smallest probability after P-, R- and O-Net, each in [0, 1].
        pyramid_factor: size of a pyramid level relative to the one before, in (0, 1).
        device: where the networks run.
        num_threads: number of pyramid levels, or of batches of windows, that are computed at a time on a CPU, each on
            one thread; at least 1. The result is the same. The largest level is half of all the work, so more than two
            threads gain little.
        engine: by default the kernel where it runs (`native_engine.is_available`; docs/decisions/013), else PyTorch.
            Results are the same except for rounding.

    Attributes:
        engine: the engine in use.

    Raises:
        ValueError: an argument is outside these limits, or the kernel is asked for where it does not run.
    """

    def __init__(
        self,
        networks: MtcnnNetworks,
        *,
        smallest_face_px: int = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8),
        pyramid_factor: float = 0.709,
        device: str | torch.device = "cpu",
        num_threads: int = 1,
        engine: Engine | None = None,
    ) -> None:
        if smallest_face_px < CELL_PX:
            raise ValueError(
                f"smallest_face_px ({smallest_face_px} px) must be at least {CELL_PX}, the side of P-Net's window"
            )
        if not 0.0 < pyramid_factor < 1.0:
            raise ValueError(f"pyramid_factor ({pyramid_factor}) must lie between 0 and 1")
        if any(not 0.0 <= threshold <= 1.0 for threshold in thresholds):
            raise ValueError(f"thresholds ({thresholds}) must lie in [0, 1]")
        if num_threads < 1:
            raise ValueError(f"num_threads ({num_threads}) must be at least 1")
        self.smallest_face_px = smallest_face_px
        self.thresholds = thresholds
        self.pyramid_factor = pyramid_factor
        self.device = torch.device(device)
        self._pool = None
        if num_threads > 1 and self.device.type == "cpu":
            self._pool = ThreadPoolExecutor(num_threads, "pyramid", partial(torch.set_num_threads, 1))
        best = find_engine(self.device)
        if engine not in (None, "kernel", "pytorch"):
            raise ValueError(f"engine ({engine!r}) must be kernel or pytorch")
        if engine == "kernel" and best != "kernel":
            raise ValueError(f"engine (kernel) does not run on {self.device} here: it must be pytorch")
        self.engine: Engine = engine or best
        is_kernel = self.engine == "kernel"
        self._networks = NativeNetworks(networks) if is_kernel else TorchNetworks(networks, device=self.device)

    def detect(
        self, image: np.ndarray, *, smallest_face_px: float | None = None, region: np.ndarray | None = None
    ) -> Detections:
        """Find all faces of an image.

        Args:
            image: (H, W, 3) uint8 in the networks' channel order (BGR by default).
            smallest_face_px: used instead of the detector's own if it is larger.
            region: (x1, y1, x2, y2) in pixels; only this part of the image is searched. None for the whole image.

        Returns:
            The faces, best first; none for an image smaller than the smallest face.

        Raises:
            ValueError: the image has another shape or dtype.
        """
        _check_image(image)
        boxes = self._propose_in(region, image, max(self.smallest_face_px, smallest_face_px or 0.0))
        if len(boxes) == 0:
            return _no_detections()
        scores, corrections, _ = self._judge(image, boxes, RNET_PX)
        passed = scores > self.thresholds[1]
        boxes, scores = correct_boxes(boxes, corrections)[passed], scores[passed]
        boxes = make_square(boxes[self._networks.suppress(boxes, scores, threshold=0.7)])
        if len(boxes) == 0:
            return _no_detections()
        found = self._refine_squares(image, boxes)
        passed = found.scores > self.thresholds[2]
        order = np.flatnonzero(passed)[
            self._networks.suppress(found.boxes[passed], found.scores[passed], threshold=0.7, kind="smaller")
        ]
        return _finish(Detections(found.boxes[order], found.landmarks[order], found.scores[order]), image)

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> Detections:
        """Correct given boxes with O-Net alone, as a tracker does from frame to frame.

        Args:
            image: (H, W, 3) uint8 in the networks' channel order.
            boxes: (K, 4), for instance the faces of the frame before.

        Returns:
            K corrected boxes with landmarks and scores, in the order given, whatever the scores are.

        Raises:
            ValueError: the image or the boxes have another shape or dtype.
        """
        _check_image(image)
        boxes = np.asarray(boxes, dtype=np.float64)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"boxes (shape {boxes.shape}) must be (K, 4)")
        if len(boxes) == 0:
            return _no_detections()
        return _finish(self._refine_squares(image, make_square(boxes)), image)

    def _propose_in(self, region: np.ndarray | None, image: np.ndarray, smallest_face_px: float) -> np.ndarray:
        """Run P-Net over the pyramid of a region, or of the whole image; return square boxes (N, 4)."""
        if region is None:
            return self._propose(image, smallest_face_px)
        height, width = image.shape[:2]
        left, right = np.clip([np.floor(region[0]), np.ceil(region[2])], 0, width).astype(int).tolist()
        top, bottom = np.clip([np.floor(region[1]), np.ceil(region[3])], 0, height).astype(int).tolist()
        boxes = self._propose(image[top:bottom, left:right], smallest_face_px)
        return boxes + np.array([left, top, left, top])

    def _propose(self, image: np.ndarray, smallest_face_px: float) -> np.ndarray:
        """Run P-Net over the pyramid; return square boxes (N, 4)."""
        height, width = image.shape[:2]
        scales = compute_pyramid_scales(height, width, smallest_face_px=smallest_face_px, factor=self.pyramid_factor)
        run = map if self._pool is None else self._pool.map
        per_level = list(run(partial(self._propose_at, self._networks.prepare(image)), scales))
        if not per_level:
            return np.empty((0, 4))
        boxes = np.concatenate([boxes for boxes, _ in per_level])
        scores = np.concatenate([scores for _, scores in per_level])
        return make_square(boxes[self._networks.suppress(boxes, scores, threshold=0.7)])

    def _propose_at(self, image: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Run P-Net on an image at one scale; return boxes (N, 4) and scores (N,), overlaps suppressed."""
        size = (int(image.shape[1] * scale), int(image.shape[0] * scale))
        cells, scores, corrections = self._networks.propose(image, size, self.thresholds[0])
        boxes = compute_proposals(cells[:, 0], cells[:, 1], corrections, scale=scale)
        kept = self._networks.suppress(boxes, scores, threshold=0.5)
        return boxes[kept], scores[kept]

    def _judge(self, image: np.ndarray, boxes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run R- or O-Net on boxes (N, 4); return scores (N,), corrections (N, 4), landmarks (N, 10) or (N, 0)."""
        if len(boxes) <= _BATCH:
            return self._networks.judge(image, boxes, side)
        run = map if self._pool is None else self._pool.map
        batches = [boxes[start : start + _BATCH] for start in range(0, len(boxes), _BATCH)]
        judged = list(run(lambda batch: self._networks.judge(image, batch, side), batches))
        scores, corrections, positions = (np.concatenate([one[column] for one in judged]) for column in range(3))
        return scores, corrections, positions

    def _refine_squares(self, image: np.ndarray, boxes: np.ndarray) -> Detections:
        scores, corrections, positions = self._judge(image, boxes, ONET_PX)
        return Detections(correct_boxes(boxes, corrections), place_landmarks(boxes, positions), scores)


def find_engine(device: str | torch.device) -> Engine:
    """Tell which engine is the fastest on a device."""
    return "kernel" if torch.device(device).type == "cpu" and native_engine.is_available() else "pytorch"


def _check_image(image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image (shape {image.shape}, {image.dtype}) must be (H, W, 3) uint8")


def _no_detections() -> Detections:
    empty = np.float32
    return Detections(np.empty((0, 4), empty), np.empty((0, 5, 2), empty), np.empty(0, empty))


def _finish(found: Detections, image: np.ndarray) -> Detections:
    """Limit boxes to the image and give the results their dtype."""
    height, width = image.shape[:2]
    limits = np.array([width, height, width, height], dtype=np.float64) - 1.0
    boxes = np.clip(found.boxes, 0.0, limits)
    return Detections(boxes.astype(np.float32), found.landmarks.astype(np.float32), found.scores.astype(np.float32))

"""A split as the networks get it: names, labels, and arrays of features, memory-mapped or not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.paper import (
    CROP_HEIGHT,
    CROP_WIDTH,
    FEATURE_SIZE,
    NUM_DIMENSIONS,
    NUM_FREQUENCIES,
    NUM_PARTS,
    STFT_HOP_SECONDS,
)

FEATURES = {
    "stft": ((NUM_FREQUENCIES, NUM_PARTS), np.float32),  # (D,) for another feature of sound
    "embeddings": ((FEATURE_SIZE,), np.float32),  # (D,) for other features of faces
    "crops": ((CROP_HEIGHT, CROP_WIDTH, 3), np.uint8),
}


@dataclass(frozen=True)
class Clips:
    """The utterances of one split. The arrays are neither changed nor copied.

    Attributes:
        names: U names, "video/utterance".
        labels: (U, 2) arousal and valence in [-1, 1], NaN where an utterance has none; None for a split without labels.
        stft: U arrays (T, 257, 2) float32, time first; None (or no frames) where the utterance has no sound. Arrays of
            another feature of sound are (R, D), with one D for all.
        embeddings: U arrays (F, 512) float32; None (or no rows) where the utterance has no face. Arrays of other
            features than SphereFace's are (F, D), with one D for all.
        crops: U arrays (F, 112, 96, 3) uint8 BGR; None (or no rows) where the utterance has no face. For `finetune`.
        hop_seconds: time from one row of sound to the next.
    """

    names: Sequence[str]
    labels: np.ndarray | None
    stft: Sequence[np.ndarray | None]
    embeddings: Sequence[np.ndarray | None]
    crops: Sequence[np.ndarray | None]
    hop_seconds: float = STFT_HOP_SECONDS

    def __post_init__(self) -> None:
        """Refuse lists of different lengths and arrays of a wrong shape or type.

        Raises:
            ValueError: names the attribute and the utterance.
        """
        if self.labels is not None and self.labels.shape != (len(self.names), NUM_DIMENSIONS):
            raise ValueError(
                f"labels are {self.labels.shape}: {len(self.names)} utterances need ({len(self.names)}, 2)"
            )
        for attribute, (tail, dtype) in FEATURES.items():
            arrays = getattr(self, attribute)
            if attribute != "crops":
                tail = self.shape_of(attribute)
            if len(arrays) != len(self.names):
                raise ValueError(f"{attribute} has {len(arrays)} entries for {len(self.names)} utterances")
            for name, array in zip(self.names, arrays, strict=True):
                if array is not None and (array.shape[1:] != tail or array.dtype != dtype):
                    raise ValueError(
                        f"{attribute} of {name} are {array.shape} {array.dtype}: "
                        f"they must be (N, {', '.join(map(str, tail))}) {np.dtype(dtype)}"
                    )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def face_size(self) -> int:
        """How many numbers a face has; SphereFace's 512 where there are no faces."""
        widths = (array.shape[1] for array in self.embeddings if array is not None and len(array.shape) == 2)
        return next(widths, FEATURE_SIZE)

    def shape_of(self, feature: str) -> tuple[int, ...]:
        """Give the shape of one row of stft, embeddings or crops."""
        if feature == "stft":
            first = next((array.shape[1:] for array in self.stft if array is not None), ())
            return first if len(first) == 1 else FEATURES[feature][0]
        return (self.face_size,) if feature == "embeddings" else FEATURES[feature][0]

    def find_labelled(self) -> np.ndarray:
        """Tell which utterances have both labels: (U,) bool."""
        if self.labels is None:
            return np.zeros(len(self), dtype=bool)
        return np.isfinite(self.labels).all(axis=1)


def measure_embeddings(embeddings: Sequence[np.ndarray | None]) -> tuple[np.ndarray, float]:
    """Measure the mean and the spread of the embeddings of all faces of a split.

    Args:
        embeddings: as in `Clips`.

    Returns:
        Their mean (D,) float32, and 1 over the mean of the D standard deviations (1 where there is no spread).
    """
    size = next((array.shape[1] for array in embeddings if array is not None), FEATURE_SIZE)
    count, total, squares = 0, np.zeros(size), np.zeros(size)
    for array in embeddings:
        if array is not None:
            rows = array[:].astype(np.float64)
            count, total, squares = count + len(rows), total + rows.sum(axis=0), squares + (rows**2).sum(axis=0)
    mean = total / max(count, 1)
    spread = float(np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0)).mean())
    return mean.astype(np.float32), 1 / spread if spread > 0 else 1.0


def count_rows(arrays: Sequence[np.ndarray | None]) -> np.ndarray:
    """Count the rows of each array, 0 for None: (U,) int64."""
    return np.array([0 if array is None else len(array) for array in arrays], dtype=np.int64)

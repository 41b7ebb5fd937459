"""A second search, in turned frames, where no face is certain: a file may have lost its rotation metadata."""

from collections.abc import Sequence

import numpy as np

from models.mtcnn.detector import Mtcnn
from pipeline.faces.tracking import TrackedFace
from store.text import format_count

# Faces of upright clips have a mean score of .988 or more; faces that lie on the side or upside down less than .98.
_SURE_SCORE = 0.985
_SAMPLES = 8
# Pictures are reduced to this size first; a face that matters then has 80 pixels.
_LARGEST_SIDE_PX = 640
# When turned, this share of the samples must have a higher score, and the mean score must reach this value.
_SURER_SHARE = 0.75
_LEAST_MEAN_SCORE = 0.97
_TURNS = (90, 180, 270)


class TurnedLook:
    """Keeps a few of a clip's frames without a certain face, and searches them turned if the speaker is uncertain too.

    A clip with an upright face costs nothing.

    Args:
        detector: for images in the frames' channel order.
    """

    def __init__(self, detector: Mtcnn) -> None:
        self._detector = detector
        self._samples: list[np.ndarray] = []
        self._step = 1
        self._num_unsure = 0

    def note(self, image: np.ndarray, faces: Sequence[TrackedFace]) -> None:
        """Take the next frame, (H, W, 3) uint8, and the faces found in it."""
        if any(face.score >= _SURE_SCORE for face in faces):
            return
        if self._num_unsure % self._step == 0:
            if len(self._samples) == 2 * _SAMPLES:
                self._samples, self._step = self._samples[::2], 2 * self._step
            if self._num_unsure % self._step == 0:
                self._samples.append(_reduce(image))
        self._num_unsure += 1

    def describe(self, scores: np.ndarray) -> str:
        """Say how the picture seems to be turned; "" where it does not.

        Args:
            scores: (N,) of the speaker's faces.
        """
        if (len(scores) > 0 and float(scores.mean()) >= _SURE_SCORE) or not self._samples:
            return ""
        chosen = np.linspace(0, len(self._samples) - 1, min(_SAMPLES, len(self._samples))).astype(int)
        samples = [self._samples[i] for i in chosen]
        upright = self._score(samples)
        turned = {turn: self._score([np.rot90(image, -turn // 90) for image in samples]) for turn in _TURNS}
        turn = max(turned, key=lambda turn: float(turned[turn].mean()))
        num_surer = int((turned[turn] > upright).sum())
        if num_surer < _SURER_SHARE * len(samples) or turned[turn].mean() < _LEAST_MEAN_SCORE:
            return ""
        return (
            f"the picture seems to be turned: in {num_surer} of {format_count(len(samples), 'frame')} the face is "
            f"clearer when the frame is turned clockwise by {turn} degrees (mean score {turned[turn].mean():.2f} "
            f"against {upright.mean():.2f}); "
            f"rotation = {turn} in the overrides turns them"
        )

    def _score(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the best face's score in each image, 0 where there is none."""
        found = [self._detector.detect(np.ascontiguousarray(image)).scores for image in images]
        return np.array([float(scores.max(initial=0.0)) for scores in found])


def _reduce(image: np.ndarray) -> np.ndarray:
    """Return a copy whose longer side is at most _LARGEST_SIDE_PX."""
    import cv2

    scale = _LARGEST_SIDE_PX / max(image.shape[:2])
    if scale >= 1.0:
        return image.copy()
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))

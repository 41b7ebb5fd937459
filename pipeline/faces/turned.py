"""A second look, turned, at pictures without a sure face: the mark that says which way is up gets lost on the way."""

from collections.abc import Sequence

import numpy as np

from models.mtcnn.detector import Mtcnn
from pipeline.faces.tracking import TrackedFace
from store.text import format_count

# Faces of upright clips have a mean score of .988 and more; what is found on its side or its head less than .98.
_SURE_SCORE = 0.985
_SAMPLES = 8
# Pictures are looked at this large: a face that matters has 80 pixels then.
_LARGEST_SIDE_PX = 640
# Turned they must show a surer face in this share of the samples, and a mean score of this.
_SURER_SHARE = 0.75
_LEAST_MEAN_SCORE = 0.97
_TURNS = (90, 180, 270)


class TurnedLook:
    """Keeps a few of a clip's pictures in which no face is sure, and looks at them turned if that is most of it.

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
        """See the next frame, (H, W, 3) uint8, and the faces found in it."""
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
    """Return a copy that is no larger than is looked at."""
    import cv2

    scale = _LARGEST_SIDE_PX / max(image.shape[:2])
    if scale >= 1.0:
        return image.copy()
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))

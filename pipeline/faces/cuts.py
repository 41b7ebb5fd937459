"""Cuts: changes of the whole picture from one frame to the next."""

from dataclasses import dataclass

import numpy as np

from pipeline.faces.images import sample_thumbnail

# A change (see measure_change) is a cut when it reaches _CUT_CHANGE. A smaller one is a cut when it reaches
# _CUT_CHANGE_STANDING_OUT and is _CUT_FACTOR times as large as the changes before it. Cuts of real clips measure 1.2 to
# 1.4; the fastest motion measures .5, which is twice the changes before it.
_CUT_CHANGE = 0.6
_CUT_CHANGE_STANDING_OUT = 0.3
_CUT_FACTOR = 5.0
_CHANGE_MEMORY = 0.7
_LEAST_CHANGE = 0.02
_LEAST_CONTRAST = 8.0


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of an image, with its mean subtracted, and its contrast.

    Attributes:
        centred: (h, w, 3) float32.
        contrast: the mean of its absolute values, in grey levels.
    """

    centred: np.ndarray
    contrast: float


def make_thumbnail(image: np.ndarray) -> Thumbnail:
    """Make the thumbnail of an image, (H, W, 3) uint8."""
    return centre_picture(sample_thumbnail(image).astype(np.float32))


def centre_picture(picture: np.ndarray) -> Thumbnail:
    """Subtract its mean from a float32 picture."""
    centred = picture - picture.mean()
    return Thumbnail(centred, float(np.abs(centred).mean()))


def measure_change(before: Thumbnail, after: Thumbnail) -> float:
    """Return the mean absolute difference of two thumbnails relative to their contrast.

    Two unrelated pictures give about 1, equal ones 0. The mean of each picture is subtracted, so a change of overall
    brightness alone counts as no change. A contrast below 8 grey levels counts as 8.
    """
    contrast = (before.contrast + after.contrast) / 2.0
    return float(np.abs(after.centred - before.centred).mean()) / max(contrast, _LEAST_CONTRAST)


class CutFinder:
    """Finds cuts in one clip; give it the frames in order."""

    def __init__(self) -> None:
        self._before: Thumbnail | None = None
        self._shape: tuple[int, ...] | None = None
        self._usual_change = _LEAST_CHANGE

    def look(self, image: np.ndarray) -> bool:
        """Tell whether there is a cut between the previous frame and this one, (H, W, 3) uint8."""
        before, self._before = self._before, make_thumbnail(image)
        shape, self._shape = self._shape, image.shape
        if before is None:
            return False
        if shape != image.shape:
            return True  # the size changed: positions no longer match, even where the thumbnails are alike
        change = measure_change(before, self._before)
        usual = self._usual_change
        self._usual_change = max(_LEAST_CHANGE, _CHANGE_MEMORY * usual + (1.0 - _CHANGE_MEMORY) * change)
        stands_out = change >= _CUT_CHANGE_STANDING_OUT and change >= _CUT_FACTOR * usual
        return change >= _CUT_CHANGE or stands_out

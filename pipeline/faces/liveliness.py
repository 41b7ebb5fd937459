"""Whether a face is alive: the face in a photograph, a shared slide or a frozen picture never changes its shape."""

import numpy as np

from pipeline.faces.mouths import solve_least_squares

# The part of the aligned crop that is compared, from the brows to the chin, every second pixel.
_ROWS = slice(16, 110, 2)
_COLUMNS = slice(8, 88, 2)
_BLUR_PX = 2.0
# Time between the two crops of a pair: long enough for a blink or a syllable.
_APART_SECONDS = 0.4
_MOST_PAIRS = 48
# Lower contrasts, in grey levels, count as this value.
_LEAST_CONTRAST = 8.0
#: A face that changes less than this is a still picture. Encoded stills with camera noise or a shaking camera give up
#: to .04 (.13 at the lowest quality). Faces of real clips give .08 and more, also while they listen.
STILL_CHANGE = 0.045


def measure_liveliness(times: np.ndarray, crops: np.ndarray, rows: np.ndarray) -> float:
    """Return how much a face changes within itself over .4 s, as a share of its contrast: the 90th percentile.

    Changes of the face as a whole (a shift, a turn in the plane, another size or light) are subtracted first.

    Args:
        times: (N,) of the crops, in seconds, ascending.
        crops: (M, 112, 96, 3) uint8.
        rows: (N,) row of each of these times in `crops`.

    Returns:
        0 or more; infinity where no two crops are .4 s apart, since the change is then unknown.
    """
    later = np.searchsorted(times, times + _APART_SECONDS - 1e-6)
    firsts = np.flatnonzero(later < len(times))
    if len(firsts) == 0:
        return float("inf")
    firsts = firsts[np.unique(np.linspace(0, len(firsts) - 1, _MOST_PAIRS).astype(int))]
    changes = [_change_within(_look(crops[rows[i]]), _look(crops[rows[later[i]]])) for i in firsts]
    return float(np.percentile(changes, 90))


def _look(crop: np.ndarray) -> np.ndarray:
    import cv2

    grey = crop.astype(np.float32) @ np.array([0.114, 0.587, 0.299], dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _BLUR_PX))[_ROWS, _COLUMNS]


def _change_within(before: np.ndarray, after: np.ndarray) -> float:
    """Return the change that neither a small similarity transform nor light explains, as a share of the contrast."""
    mean = (before + after) / 2.0
    down, right = np.gradient(mean)
    height, width = mean.shape
    y, x = np.mgrid[:height, :width] / height - 0.5
    x = x - (width / height - 1.0) / 2.0
    causes = [right, down, right * x + down * y, down * x - right * y, np.ones_like(mean), mean - mean.mean()]
    stacked = np.stack([cause.ravel() for cause in causes], axis=1)
    change = (after - before).ravel()
    rest = change - stacked @ solve_least_squares(stacked, change)
    return float(np.sqrt(np.square(rest).mean())) / max(float(before.std()), _LEAST_CONTRAST)

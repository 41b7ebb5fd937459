"""Whether a mouth moves with the sound: its motion in aligned crops, compared with changes of the sound's level.

A speaker moves the lower face when the sound changes, and rests it in pauses. Nothing here is learnt.
docs/decisions/017 says what was tried and how often it is right.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.features.speech import SpeechListener
from models.features.voice_activity import FRAME
from models.paper import SAMPLE_RATE
from pipeline.media.pages import release_pages

#: Values of a SoundChange in a second.
CHANGE_RATE = 100
# The lower face in a crop of 112 x 96: mouth, chin and cheeks. The mouth alone is less reliable.
_ROWS = slice(70, 112)
_COLUMNS = slice(14, 82)
_BLUR_PX = 1.0
# Luminance of blue, green and red.
_GREY = np.array([0.114, 0.587, 0.299], dtype=np.float32)
# Motion and sound are both smoothed: syllables come 2 to 8 times a second.
_SMOOTH_SECONDS = 0.04
# Sound may come so many seconds after the picture: lips begin before the sound does, and files are not exact.
_LAGS_SECONDS = (-0.04, 0.0, 0.04, 0.08)
# The level is the fourth root of the energy, close to perceived loudness: a breath still counts beside a shout, and
# noise counts little.
_LOUDNESS_POWER = 0.25
# Hz. In this band an open mouth sounds different from a closed one; below it is the pitch, above it much noise.
_BAND_HZ = (500.0, 5000.0)
_CROPS_AT_ONCE = 256
_LEAST_FRAMES = 12


@dataclass(frozen=True)
class SoundChange:
    """How fast the sound's level changes.

    Attributes:
        values: (T,) float64, at least 0, in any unit; value t belongs to the time (t + .5) / 100 s after the clip's
            origin.
    """

    values: np.ndarray

    def sample(self, seconds: np.ndarray) -> np.ndarray:
        """Return the values at these times, (N,); the nearest one before the start and behind the end."""
        times = (np.arange(len(self.values)) + 0.5) / CHANGE_RATE
        return np.interp(seconds, times, self.values)


def measure_sound_change(blocks: Iterable[np.ndarray], *, speech: SpeechListener | None = None) -> SoundChange:
    """Measure how fast the level of a sound changes.

    Args:
        blocks: the sound in order, (n,) float32 at 16 kHz; n is a multiple of 160 except in the last one.
        speech: also hears the blocks; the energy is then multiplied by the probability of speech.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import butter, sosfilt

    hop = SAMPLE_RATE // CHANGE_RATE
    band = butter(2, _BAND_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    energies, state = [np.empty(0)], np.zeros((len(band), 2))
    for block in blocks:
        if len(block) == 0:
            continue
        if speech is not None:
            speech.hear(block)
        voiced, state = sosfilt(band, block.astype(np.float64), zi=state)
        whole = len(voiced) // hop * hop
        energies.append(np.square(voiced[:whole]).reshape(-1, hop).sum(axis=1))
    energy = np.concatenate(energies)
    if len(energy) < 2:
        return SoundChange(np.zeros(len(energy)))
    if speech is not None:
        energy = energy * _sample_speech(speech.finish(), len(energy))
    width = _SMOOTH_SECONDS * CHANGE_RATE
    level = gaussian_filter1d(energy**_LOUDNESS_POWER, width)
    return SoundChange(gaussian_filter1d(np.abs(np.gradient(level)), width))


def _sample_speech(probabilities: np.ndarray, count: int) -> np.ndarray:
    """Give the probability of speech at each value of the energy, (count,)."""
    times = (np.arange(len(probabilities)) + 0.5) * FRAME / SAMPLE_RATE
    return np.interp((np.arange(count) + 0.5) / CHANGE_RATE, times, probabilities)


def measure_mouth_motion(crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return how much the lower face changes from each crop to the next one.

    A shift or a change of light of the whole lower face is subtracted first: heads nod, and landmarks jitter.

    Args:
        crops: (M, 112, 96, 3) uint8.
        rows: (N,) the rows of the crops to compare, in order; at least one.

    Returns:
        (N - 1,) float64 in grey levels.
    """
    motions = [np.empty(0)]
    for start in range(0, len(rows) - 1, _CROPS_AT_ONCE):
        faces = [_look_at_mouth(crop) for crop in crops[rows[start : start + _CROPS_AT_ONCE + 1]]]
        motions.append(np.array([_change_beyond_shift(*pair) for pair in pairwise(faces)]))
        release_pages(crops)
    return np.concatenate(motions)


def _look_at_mouth(crop: np.ndarray) -> np.ndarray:
    import cv2

    grey = crop.astype(np.float32) @ _GREY  # (112, 96)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _BLUR_PX))[_ROWS, _COLUMNS]


def _change_beyond_shift(before: np.ndarray, after: np.ndarray) -> float:
    """Return the mean absolute change that neither a small shift nor light explains (one step of Lucas-Kanade)."""
    mean = (before + after) / 2.0
    down, right = np.gradient(mean)
    change = (after - before).ravel()
    causes = np.stack([right.ravel(), down.ravel(), np.ones(mean.size), mean.ravel() - mean.mean()], axis=1)
    return float(np.abs(change - causes @ solve_least_squares(causes, change)).mean())


def solve_least_squares(causes: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Return how much of each cause (N, K) there is in the effect (N,), as (K,); flat pictures give zeros."""
    products = causes.T @ causes + 1e-3 * np.eye(causes.shape[1])
    return np.asarray(np.linalg.solve(products, causes.T @ effect))


def measure_agreement(times: np.ndarray, motion: np.ndarray, sound: SoundChange) -> float:
    """Return the correlation of a mouth's motion with the sound's changes, the best one of a few small lags.

    Args:
        times: (N,) of the frames with which each motion ends, in seconds, ascending.
        motion: (N,) float64.
        sound: the changes of the clip's sound.

    Returns:
        In [-1, 1]; 0 for fewer than 12 frames, or where motion or sound does not change at all.
    """
    from scipy.ndimage import gaussian_filter1d

    if len(times) < _LEAST_FRAMES or len(sound.values) == 0:
        return 0.0
    step = float(np.median(np.diff(times)))
    smooth = gaussian_filter1d(motion, _SMOOTH_SECONDS / max(step, 1e-3))
    return max(_correlate(smooth, sound.sample(times + lag)) for lag in _LAGS_SECONDS)


def _correlate(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 1e-12 else 0.0

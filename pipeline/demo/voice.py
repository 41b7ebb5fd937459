"""Synthetic voiced speech for the demo: a source-filter synthesiser.

Glottal pulses with jitter and shimmer pass through four formants that change from syllable to syllable.
`pipeline.demo.acting` decides what a delivery means (arousal, valence); this module only knows pitch, rate, effort and
formants.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.signal import lfilter

SAMPLE_RATE = 16000
"""Samples per second of everything made here: the rate the pipeline works at."""

# Formants in Hz of five vowels, half-way between an adult's average and the middle of them all: casual speech. Vowels
# further apart would hide a smile's shift from a network that hears 140 clips.
_VOWELS = np.array(
    [
        [605, 1315, 2480, 3420],
        [505, 1640, 2505, 3470],
        [385, 1840, 2730, 3520],
        [515, 1165, 2455, 3370],
        [400, 1190, 2380, 3320],
    ],
    dtype=np.float64,
)
_JAW = np.array([1.0, 0.6, 0.3, 0.75, 0.35])  # how far each of them opens the mouth
_BANDWIDTHS = np.array([80.0, 100.0, 140.0, 200.0])  # Hz


@dataclass(frozen=True)
class Voice:
    """What stays the same in everything one speaker says.

    Args:
        pitch_hertz: Resting fundamental frequency.
        formant_scale: Factor on all formants; above 1 for a shorter vocal tract.
        breathiness: Amplitude of the noise in the source, relative to the pulses.
    """

    pitch_hertz: float
    formant_scale: float
    breathiness: float


@dataclass(frozen=True)
class Delivery:
    """How one utterance is spoken.

    Args:
        duration_seconds: Length of the utterance.
        pitch_factor: Factor on the speaker's resting pitch.
        syllables_per_second: Speaking rate.
        effort: From 0 (soft source, steep spectrum) to 1 (pressed source, flat spectrum).
        smile: Relative rise of the second to fourth formant that drawn-back lips make, e.g. 0.1.
        peak: Largest absolute sample, at most 1.
    """

    duration_seconds: float
    pitch_factor: float
    syllables_per_second: float
    effort: float
    smile: float
    peak: float


@dataclass(frozen=True)
class Speech:
    """Sound and the mouth that goes with it.

    Args:
        samples: (N,) float32 in [-1, 1], mono at `SAMPLE_RATE`.
        opening: (N,) float32 in [0, 1], how far the mouth is open at each sample.
    """

    samples: np.ndarray
    opening: np.ndarray


def synthesise_speech(voice: Voice, delivery: Delivery, rng: np.random.Generator) -> Speech:
    """Speak random syllables.

    Args:
        voice: The speaker.
        delivery: The manner of speaking.
        rng: Source of everything random; equal generators give equal samples.

    Returns:
        Sound of round(duration_seconds * SAMPLE_RATE) samples and the opening of the mouth.
    """
    num_samples = round(delivery.duration_seconds * SAMPLE_RATE)
    onsets = _syllable_onsets(delivery, rng)
    vowels = rng.integers(0, len(_VOWELS), size=len(onsets) - 1)
    weights = np.stack([_syllable_envelope(num_samples, *pair) for pair in pairwise(onsets)])
    source = _glottal_source(voice, delivery, weights.sum(axis=0), rng)
    samples = np.zeros(num_samples)
    scale = voice.formant_scale * np.array([1 + 0.4 * delivery.smile, *[1 + delivery.smile] * 3])
    for vowel in np.unique(vowels):
        share = weights[vowels == vowel].sum(axis=0)
        samples += share * _resonate(source, _VOWELS[vowel] * scale)
    samples = samples / np.sqrt(np.mean(samples**2)) + _consonants(num_samples, onsets, rng)
    samples += 0.003 * rng.standard_normal(num_samples)
    opening = (weights * _JAW[vowels][:, None]).sum(axis=0)
    samples *= delivery.peak / np.abs(samples).max()
    return Speech(samples.astype(np.float32), np.clip(opening, 0, 1).astype(np.float32))


def _syllable_onsets(delivery: Delivery, rng: np.random.Generator) -> np.ndarray:
    """Return the borders of the syllables in seconds, one more than there are syllables."""
    mean = 1 / delivery.syllables_per_second
    count = int(delivery.duration_seconds / mean) + 8
    lengths = mean * rng.uniform(0.8, 1.2, size=count)
    onsets = rng.uniform(0, 0.1) + np.concatenate([[0.0], np.cumsum(lengths)])
    return onsets[onsets < delivery.duration_seconds + mean]


def _syllable_envelope(num_samples: int, start: float, end: float) -> np.ndarray:
    """Return a smooth bump over [start, end) seconds, (num_samples,), 1 at its top."""
    position = (np.arange(num_samples) / SAMPLE_RATE - start) / (end - start)
    inside = (position > 0) & (position < 1)
    return np.where(inside, np.sin(np.pi * np.clip(position, 0, 1)) ** 1.2, 0.0)


def _glottal_source(voice: Voice, delivery: Delivery, loudness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the derivative of the air flow through the glottis, with breath noise, (N,)."""
    seconds = np.arange(len(loudness)) / SAMPLE_RATE
    intonation = 0.04 * np.sin(2 * np.pi * (seconds * rng.uniform(0.3, 0.7) + rng.uniform())) - 0.02 * seconds
    pitch = voice.pitch_hertz * delivery.pitch_factor * np.exp(intonation + 0.03 * np.tanh(loudness))
    cycles = np.cumsum(pitch) / SAMPLE_RATE
    number = cycles.astype(np.int64)  # which pulse a sample belongs to
    jitter = 0.01 * rng.standard_normal(number[-1] + 2)
    shimmer = 1 + 0.05 * rng.standard_normal(number[-1] + 2)
    phase = np.mod(cycles + jitter[number], 1)
    opening, closing = 0.42, 0.16  # shares of a period, as in Rosenberg's pulse
    rise = 0.5 * (1 - np.cos(np.pi * phase / opening))
    fall = np.cos(0.5 * np.pi * (phase - opening) / closing)
    flow = np.where(phase < opening, rise, np.where(phase < opening + closing, fall, 0.0)) * shimmer[number]
    source = np.diff(flow, prepend=0.0)
    source += voice.breathiness * source.std() * rng.standard_normal(len(source))
    tilt = 0.7 - 0.9 * delivery.effort  # pole of a low pass: relaxed voices have a steeper spectrum
    # High frequencies are raised: a map is divided by its largest value, and a network could not learn from formants
    # 40 dB below it.
    return lfilter([1.0, -0.9], [1, -tilt], source)


def _resonate(source: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Pass the source through one resonator per formant (Hz), each with gain 1 at 0 Hz."""
    out = source
    for frequency, bandwidth in zip(np.minimum(formants, 0.45 * SAMPLE_RATE), _BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        poles = [1.0, -2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE), radius**2]
        out = lfilter([sum(poles)], poles, out)
    return out


def _consonants(num_samples: int, onsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return short bursts of high-passed noise at about half of the syllables' onsets, (num_samples,)."""
    bursts = np.zeros(num_samples)
    for onset in onsets[rng.uniform(size=len(onsets)) < 0.5]:
        start, length = int(onset * SAMPLE_RATE), int(rng.uniform(0.02, 0.05) * SAMPLE_RATE)
        noise = np.diff(rng.standard_normal(length + 1)) * np.hanning(length) * rng.uniform(0.1, 0.4)
        stop = min(start + length, num_samples)
        bursts[start:stop] += noise[: max(stop - start, 0)]
    return bursts

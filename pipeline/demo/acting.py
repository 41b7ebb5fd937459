"""What arousal and valence sound and look like in the demo: from two numbers to a delivery and facial expressions.

Arousal is heard in pitch, speaking rate and vocal effort and, less surely, seen in brows, eyes and the movement of the
head. Valence is seen in the mouth and, less surely, heard in the formants that a smile shifts. Loudness means nothing,
since every STFT map is normalised on its own. The errors of the two channels are independent, so both together carry
more information than either.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.demo.face import Look, Performance
from pipeline.demo.voice import SAMPLE_RATE, Delivery, Voice

FRAME_RATE = 15.0
"""Pictures per second."""

# Standard deviations of what a channel shows around the true values; arousal is in [0, 1], valence in [-1, 1].
_VOICE_AROUSAL_ERROR = 0.05
_FACE_AROUSAL_ERROR = 0.12
_VOICE_VALENCE_ERROR = 0.25
_FACE_VALENCE_ERROR = 0.12


@dataclass(frozen=True)
class Speaker:
    """A synthetic person: a voice and a look that are not shared with anyone."""

    voice: Voice
    look: Look


def invent_speaker(rng: np.random.Generator) -> Speaker:
    """Draw a person; equal generators give equal persons."""
    voice = Voice(
        pitch_hertz=float(rng.uniform(108, 132)),
        formant_scale=float(rng.uniform(0.95, 1.05)),
        breathiness=float(rng.uniform(0.02, 0.1)),
    )
    brightness = rng.uniform(0.75, 1.05)
    blue, green, red = brightness * rng.uniform(0.88, 1.0, size=3)
    x, y = rng.uniform(-18, 18), rng.uniform(-4, 8)
    wall = rng.uniform(40, 200, size=3)
    look = Look(
        tint=(float(blue), float(green), float(red)),
        contrast=float(rng.uniform(0.8, 1.25)),
        aspect=float(rng.uniform(0.93, 1.07)),
        zoom=float(rng.uniform(0.95, 1.12)),
        mirrored=bool(rng.integers(2)),
        jaw=float(rng.uniform(-3, 3)),
        position=(float(x), float(y)),
        background=(float(wall[0]), float(wall[1]), float(wall[2])),
    )
    return Speaker(voice, look)


def direct_delivery(arousal: float, valence: float, rng: np.random.Generator) -> Delivery:
    """Decide how an utterance of 2 to 3 seconds is spoken.

    Args:
        arousal: What is meant, in [0, 1].
        valence: What is meant, in [-1, 1].
        rng: Source of the voice's errors, and of length and loudness, which do not depend on the labels.
    """
    heard_arousal = np.clip(arousal + rng.normal(0, _VOICE_AROUSAL_ERROR), -0.1, 1.1)
    heard_valence = np.clip(valence + rng.normal(0, _VOICE_VALENCE_ERROR), -1.4, 1.4)
    return Delivery(
        duration_seconds=float(rng.uniform(2, 2.6)),
        pitch_factor=float(2 ** (1.5 * heard_arousal)),
        syllables_per_second=float(2 + 5 * np.clip(heard_arousal + rng.normal(0, 0.05), -0.1, 1.1)),
        effort=float(np.clip(heard_arousal, 0, 1)),
        smile=float(0.18 * heard_valence),
        peak=float(10 ** rng.uniform(-1.2, -0.05)),
    )


def direct_performance(arousal: float, valence: float, opening: np.ndarray, rng: np.random.Generator) -> Performance:
    """Decide what the face does while something is said.

    Args:
        arousal: What is meant, in [0, 1].
        valence: What is meant, in [-1, 1].
        opening: (N,) of a `Speech`: the mouth's opening at each sample of the sound.
        rng: Source of the face's errors, of blinking and of the path of the head.
    """
    num_frames = round(len(opening) / SAMPLE_RATE * FRAME_RATE)
    seconds = (np.arange(num_frames) + 0.5) / FRAME_RATE
    jaw = np.interp(seconds, np.arange(len(opening)) / SAMPLE_RATE, opening)
    shown_arousal = np.clip(arousal + rng.normal(0, _FACE_AROUSAL_ERROR), -0.2, 1.2)
    shown_valence = np.clip(valence + rng.normal(0, _FACE_VALENCE_ERROR), -1.2, 1.2)
    sway = 0.5 + 3.5 * shown_arousal.clip(0)  # pixels
    return Performance(
        smile=-4.5 + 5 * shown_valence + _wander(num_frames, 0.5, 1.0, rng),
        opening=-4.5 + 8 * jaw,
        brows=-1 + 4.5 * shown_arousal + _wander(num_frames, 0.4, 1.0, rng),
        eyelids=0.1 - 0.4 * shown_arousal + 2.2 * _blinks(num_frames, rng),
        shift_x=_wander(num_frames, sway, 0.6 + shown_arousal, rng),
        shift_y=_wander(num_frames, 0.6 * sway, 0.6 + shown_arousal, rng),
        roll_degrees=_wander(num_frames, 0.8 * sway, 0.6 + shown_arousal, rng),
    )


def _wander(num_frames: int, amplitude: float, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random path around 0, (num_frames,), of about this amplitude and frequency."""
    seconds = np.arange(num_frames) / FRAME_RATE
    waves = [np.sin(2 * np.pi * (hertz * factor * seconds + rng.uniform())) for factor in (0.5, 1.0, 1.7)]
    return amplitude * np.dot(rng.dirichlet(np.ones(3)), waves)


def _blinks(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return how far the eyes are closed, (num_frames,) in [0, 1], about one blink in three seconds."""
    closed = np.zeros(num_frames + 2)
    for start in np.flatnonzero(rng.uniform(size=num_frames) < 1 / (3 * FRAME_RATE)):
        closed[start : start + 3] = np.maximum(closed[start : start + 3], [0.5, 1.0, 0.5])
    return closed[:num_frames]

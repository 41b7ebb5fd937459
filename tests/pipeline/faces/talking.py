"""Made faces whose mouths open as told, and sounds that go with them."""

import numpy as np

FRAME_RATE = 25
SAMPLE_RATE = 16000


def make_opening(seed: int, num_frames: int) -> np.ndarray:
    """How far a mouth is open in each frame, in [0, 1]: syllables with pauses, another rhythm for each seed."""
    rng = np.random.default_rng(seed)
    opening = np.zeros(num_frames)
    frame = int(rng.integers(0, 6))
    while frame < num_frames:
        length = int(rng.integers(3, 7))
        bump = np.sin(np.linspace(0, np.pi, length + 2))[1:-1]
        stop = min(num_frames, frame + length)
        opening[frame:stop] = bump[: stop - frame]
        frame += length + int(rng.choice([0, 1, 8]))
    return opening


def make_voice(opening: np.ndarray, seed: int = 0) -> np.ndarray:
    """Tones that are as loud as the mouth is open, and a little noise; float32 at 16 kHz."""
    times = np.arange(len(opening) * SAMPLE_RATE // FRAME_RATE) / SAMPLE_RATE
    loudness = np.interp(times, np.arange(len(opening)) / FRAME_RATE, opening)
    tones = 0.1 * (np.sin(2 * np.pi * 900 * times) + np.sin(2 * np.pi * 1700 * times))
    noise = np.random.default_rng(seed).normal(0, 0.001, len(times))
    return (tones * loudness + noise).astype(np.float32)


def make_faces(opening: np.ndarray, seed: int) -> np.ndarray:
    """Aligned crops, (F, 112, 96, 3): a face of coarse random pattern with a dark mouth, and a little camera noise."""
    rng = np.random.default_rng(seed)
    face = rng.integers(90, 200, (14, 12)).repeat(8, 0).repeat(8, 1).astype(float)
    y, x = np.mgrid[:112, :96]
    crops = []
    for share in opening:
        mouth = ((x - 48) / 15) ** 2 + ((y - 92) / (2 + 9 * share)) ** 2 <= 1
        crop = np.where(mouth, 25.0, face)[..., None] + rng.normal(0, 1.5, (112, 96, 3))
        crops.append(np.clip(crop, 0, 255).astype(np.uint8))
    return np.array(crops)

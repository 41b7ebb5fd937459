"""Small random splits, and ones from which something can be learnt."""

import numpy as np

from models.inputs.clips import Clips


def make_clips(num, *, seed=0, stft_frames=20, num_faces=5, labelled=True, crops=False):
    """Noise whose spread over frequencies tells the arousal, and embeddings whose sign tells the valence."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.uniform(0, 1, num), rng.uniform(-1, 1, num)], axis=1).astype(np.float32)
    frequencies = np.arange(257)[:, None]
    direction = np.random.default_rng(99).normal(size=512)
    return Clips(
        names=[f"video{i % 3}/utterance_{i}" for i in range(num)],
        labels=labels if labelled else None,
        stft=[
            (rng.normal(size=(stft_frames, 257, 2)) * (frequencies < 20 + 200 * arousal)).astype(np.float32)
            for arousal, _ in labels
        ],
        embeddings=[(rng.normal(size=(num_faces, 512)) * 0.3 + v * direction).astype(np.float32) for _, v in labels],
        crops=[
            rng.integers(0, 256, size=(num_faces, 112, 96, 3), dtype=np.uint8) if crops else None for _ in range(num)
        ],
    )

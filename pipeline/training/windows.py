"""Windows over one clip: its features are cut into parts, and the networks predict each part like a clip."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.inputs.clips import Clips
from models.paper import STFT_HOP_SECONDS
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.training.data import TrainingData


def place_windows(seconds: float, step: float, length: float) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of windows that begin every `step` seconds and lie whole inside the clip.

    A clip that is not longer than `length` seconds has one window, the whole clip.

    >>> place_windows(10.0, 2.0, 6.0)
    [(0.0, 6.0), (2.0, 8.0), (4.0, 10.0)]
    >>> place_windows(3.0, 2.0, 6.0)
    [(0.0, 3.0)]
    """
    if seconds <= length:
        return [(0.0, seconds)]
    count = int((seconds - length) / step + 1e-9) + 1
    return [(i * step, i * step + length) for i in range(count)]


def cut_windows(clips: Clips, face_times: np.ndarray, windows: Sequence[tuple[float, float]]) -> Clips:
    """Return one clip per window of the one given clip; rows are views.

    Args:
        clips: the one clip.
        face_times: (F,) times of its faces in seconds, ascending.
        windows: (start, end) in seconds, half-open.
    """

    def cut(arrays: Sequence[np.ndarray | None], bounds: Sequence[tuple[int, int]]) -> list[Any]:
        (array,) = arrays
        return [None if array is None or start >= end else array[start:end] for start, end in bounds]

    sound = [(round(start / clips.hop_seconds), round(end / clips.hop_seconds)) for start, end in windows]
    places = np.searchsorted(face_times, windows)  # (W, 2)
    faces = [(int(start), int(end)) for start, end in places]
    return Clips(
        names=[f"{clips.names[0]} {start:g}-{end:g}" for start, end in windows],
        labels=None,
        stft=[part if part is not None and len(part) else None for part in cut(clips.stft, sound)],
        embeddings=cut(clips.embeddings, faces),
        crops=cut(clips.crops, faces),
        hop_seconds=clips.hop_seconds,
    )


def measure_seconds(data: TrainingData, row: LedgerRow) -> float:
    """Give a clip's length in seconds: the end of its sound or of its last face, whichever is later.

    A face lasts until the next frame. Windows are half-open: without this, a window that ends at the time of the last
    face would leave that face out.
    """
    faces = read_face_times(data, row)
    if not len(faces):
        return row.num_stft_frames * STFT_HOP_SECONDS
    frames = data.run.shard("frames", row.shard)
    times = faces if frames is None else frames.rows(row.utterance, "time")
    usual = float(np.median(np.diff(times))) if len(times) > 1 else STFT_HOP_SECONDS
    return max(row.num_stft_frames * STFT_HOP_SECONDS, float(faces[-1]) + usual)


def read_face_times(data: TrainingData, row: LedgerRow) -> np.ndarray:
    """Read the times of a clip's faces in seconds, (F,)."""
    faces = data.run.shard("faces", row.shard)
    return np.zeros(0) if faces is None or not row.has_face else faces.rows(row.utterance, "time")

"""Speech in a sound that arrives in blocks, by the network of voice_activity.py."""

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from models.features.network import ModelError
from models.features.voice_activity import CONTEXT, FRAME, find_model

_STATE = (1, 1, 128)
# Rows per call of the network: 16 s.
_MOST_ROWS = 512


def find_speech_network() -> Path:
    """Find the network's file.

    Raises:
        ModelError: silero-vad or onnxruntime is not installed.
    """
    path = find_model()
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError("it needs the package onnxruntime: pip install -e '.[vad]'")
    return path


class SpeechListener:
    """Takes a sound in blocks of any length, and gives the probability of speech for each 32 ms.

    Its memory grows by one number for each 32 ms of sound.
    """

    def __init__(self) -> None:
        """Load the network.

        Raises:
            ModelError: silero-vad or onnxruntime is not installed.
        """
        self._session = _open_session()
        self._state = [np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)]
        #: The last samples of the former row (its context), then the samples that do not fill a row yet.
        self._waiting = np.zeros(CONTEXT, np.float32)
        self._heard = [np.zeros(0, np.float32)]

    def hear(self, samples: np.ndarray) -> None:
        """Take the next samples, (N,) float32 at 16 kHz."""
        there = np.concatenate([self._waiting, samples])
        count = (len(there) - CONTEXT) // FRAME
        if count:
            # Each piece is a row, with the end of the former row before it.
            pieces = np.lib.stride_tricks.sliding_window_view(there, CONTEXT + FRAME)[::FRAME]
            for start in range(0, count, _MOST_ROWS):
                inputs = {"input": pieces[start : start + _MOST_ROWS], "h": self._state[0], "c": self._state[1]}
                found, *self._state = self._session.run(["speech_probs", "hn", "cn"], inputs)
                self._heard.append(found.reshape(-1))
        self._waiting = there[count * FRAME :]

    def finish(self) -> np.ndarray:
        """Return the probability of speech in each 32 ms, (T,); the last samples are padded with zeros."""
        rest = len(self._waiting) - CONTEXT
        if rest:
            self.hear(np.zeros(FRAME - rest, np.float32))
        return np.concatenate(self._heard)


@functools.cache
def _open_session() -> Any:
    path = find_speech_network()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

"""Which seconds of a sound are speech, by Silero's network (MIT licence), from the package silero-vad.

The package's code is not run: it needs torchaudio for more than its ONNX file, which lies in its wheel.
"""

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from models.features.network import ModelError, Network

#: Samples of a row, at 16 kHz: 32 ms; the network also sees the last 64 samples before them.
FRAME, CONTEXT = 512, 64
#: Probability from which on a row counts as speech, Silero's own default.
THRESHOLD = 0.5
_FILE = Path("data", "silero_vad_16k_sequence.onnx")
_STATE = (1, 1, 128)
# Rows at a call, whose state the next one goes on from: 16 s.
_MOST_ROWS = 512


def find_model() -> Path:
    """Find the network's file in the installed package.

    Raises:
        ModelError: it is not installed, or carries no such file; or what runs it is not installed.
    """
    spec = importlib.util.find_spec("silero_vad")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / _FILE
    if path is None or not path.is_file():
        raise ModelError("it needs the packages silero-vad 6 and onnxruntime: pip install -e '.[vad]'")
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError("it needs the package onnxruntime: pip install -e '.[vad]'")
    return path


class SpeechListener:
    """Hears a sound in blocks, of any length, and tells of each 32 ms how likely it is speech.

    What it holds does not grow with the sound, but for a number each 32 ms.
    """

    def __init__(self) -> None:
        """Load the network.

        Raises:
            ModelError: a package that it needs is not installed.
        """
        self._session = _open_session()
        self._state = [np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)]
        self._before = np.zeros(CONTEXT, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._heard = [np.zeros(0, np.float32)]

    def hear(self, samples: np.ndarray) -> None:
        """Hear the next samples, (N,) float32 at 16 kHz."""
        there = np.concatenate([self._waiting, samples])
        whole = len(there) // FRAME * FRAME
        self._run(there[:whole])
        self._waiting = there[whole:]

    def finish(self) -> np.ndarray:
        """Give what was heard, (T,): the probability of speech in each 32 ms; the last is filled up with zeros."""
        self._run(self._waiting)
        self._waiting = self._waiting[:0]
        return np.concatenate(self._heard)

    def _run(self, sound: np.ndarray) -> None:
        pieces = _cut(sound, self._before)
        for start in range(0, len(pieces), _MOST_ROWS):
            inputs = {"input": pieces[start : start + _MOST_ROWS], "h": self._state[0], "c": self._state[1]}
            found, *self._state = self._session.run(["speech_probs", "hn", "cn"], inputs)
            self._heard.append(found.reshape(-1))
        if len(pieces):
            self._before = pieces[-1, -CONTEXT:]


def open_voice_activity(device: str) -> Network:
    """Give the network: (1, N) sound at 16 kHz to (T, 1), the probability of speech in each 32 ms.

    On a GPU it would wait for each call: it runs on the CPU, whatever the device.
    """
    del device
    find_model()  # what is missing is told now

    def run(sound: np.ndarray) -> np.ndarray:
        listener = SpeechListener()
        listener.hear(sound[0])
        return listener.finish()[:, None]

    return run


@functools.cache
def _open_session() -> Any:
    path = find_model()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def _cut(sound: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Cut (N,) into (T, 576): each piece behind the end of the one before; the last is filled up with zeros."""
    count = -(-len(sound) // FRAME)
    padded = np.zeros(CONTEXT + count * FRAME, np.float32)
    padded[:CONTEXT] = before
    padded[CONTEXT : CONTEXT + len(sound)] = sound
    starts = np.arange(count)[:, None] * FRAME
    return padded[starts + np.arange(CONTEXT + FRAME)]

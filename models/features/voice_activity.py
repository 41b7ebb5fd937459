"""Which seconds of a sound are speech, by Silero's network (MIT licence), from the package silero-vad.

The package's code is not run: it needs torchaudio for more than its ONNX file, which lies in its wheel.
"""

import importlib.util
from pathlib import Path

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
        ModelError: it is not installed, or carries no such file.
    """
    spec = importlib.util.find_spec("silero_vad")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / _FILE
    if path is None or not path.is_file():
        raise ModelError("it needs the packages silero-vad 6 and onnxruntime: pip install -e '.[vad]'")
    return path


def open_voice_activity(device: str) -> Network:
    """Give the network: (1, N) sound at 16 kHz to (T, 1), the probability of speech in each 32 ms.

    On a GPU it would wait for each call: it runs on the CPU, whatever the device.
    """
    del device
    path = find_model()
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError("it needs the package onnxruntime: pip install -e '.[vad]'")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(sound: np.ndarray) -> np.ndarray:
        state = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
        rows = [np.zeros(0, np.float32)]
        pieces = _cut(sound[0])
        for start in range(0, len(pieces), _MOST_ROWS):
            inputs = {"input": pieces[start : start + _MOST_ROWS], "h": state[0], "c": state[1]}
            found, *state = session.run(["speech_probs", "hn", "cn"], inputs)
            rows.append(found.reshape(-1))
        return np.concatenate(rows)[:, None]

    return run


def _cut(sound: np.ndarray) -> np.ndarray:
    """Cut (N,) into (T, 576): each piece behind the end of the one before; the last is filled up with zeros."""
    count = -(-len(sound) // FRAME)
    padded = np.zeros(CONTEXT + count * FRAME, np.float32)
    padded[CONTEXT : CONTEXT + len(sound)] = sound
    starts = np.arange(count)[:, None] * FRAME
    return padded[starts + np.arange(CONTEXT + FRAME)]

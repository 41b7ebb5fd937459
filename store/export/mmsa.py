"""A store's features as MMSA reads them: one pickle of arrays per split, padded with zeros at their ends."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog import FeatureStore
from store.errors import StoreError
from store.export.rows import Labels, read_rows

#: STFT frames averaged into one row of the audio: ten rows a second.
FRAMES_PER_ROW = 10
#: Rows kept of an utterance; longer ones are thinned out evenly, so that the padded arrays stay small.
MAX_ROWS = 300
#: MMSA's names of the splits.
SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}


def export_mmsa(store: FeatureStore, folder: Path, labels: Labels, label: str = "valence") -> int:
    """Write `features.pkl`: train, valid and test with audio, vision, lengths, ids and labels.

    Only utterances with labels and one of these splits are in it; all splits are padded to one length.

    Audio is log(1 + |X|) of the transform averaged over 0.1 s (257 per row); vision the face embeddings (512). MMSA
    also wants words, which this store has none of: `text` is a single zero per utterance.

    Args:
        store: The features.
        folder: Where to write.
        labels: Of each utterance.
        label: Which of the two is the regression label; both are there under their own names as well.

    Returns:
        The number of utterances.

    Raises:
        StoreError: No utterance has a split and labels.

    """
    names = {
        wanted: [name for name in store if labels[name].is_labelled and SPLITS.get(labels[name].split) == wanted]
        for wanted in ("train", "valid", "test")
    }
    names = {split: found for split, found in names.items() if found}
    if not names:
        raise StoreError(
            f"MMSA wants splits and labels, and no utterance of {store.folder} has them: run `valar run` once, or give "
            "--labels train=TRAIN.csv --labels validation=VALIDATION.csv"
        )
    audio = {
        split: [_reduce_sound(read_rows(store[n], "stft", "stft")) for n in found] for split, found in names.items()
    }
    vision = {
        split: [_thin(read_rows(store[name], "embeddings", "embedding"), 512) for name in found]
        for split, found in names.items()
    }
    longest = [max(len(rows) for split in sequences.values() for rows in split) for sequences in (audio, vision)]
    content = {
        split: _make_split(found, labels, label, audio[split], vision[split], longest) for split, found in names.items()
    }
    with files.replacing(folder / "features.pkl") as partial, partial.open("wb") as file:
        pickle.dump(content, file, protocol=4)
    return sum(len(split["id"]) for split in content.values())


def _make_split(
    names: list[str],
    labels: Labels,
    label: str,
    audio: list[np.ndarray],
    vision: list[np.ndarray],
    longest: list[int],
) -> dict[str, Any]:
    arousal, valence = np.array([[labels[name].arousal, labels[name].valence] for name in names], np.float32).T
    regression = {"arousal": arousal, "valence": valence}[label]
    return {
        "id": [name.replace("/", "$_$") for name in names],
        "raw_text": [""] * len(names),
        "text": np.zeros((len(names), 1, 1), np.float32),
        "text_bert": np.zeros((len(names), 3, 1), np.float32),
        "audio": _pad(audio, longest[0]),
        "vision": _pad(vision, longest[1]),
        "audio_lengths": [len(rows) for rows in audio],
        "vision_lengths": [len(rows) for rows in vision],
        "regression_labels": regression,
        "classification_labels": np.sign(regression) + 1,
        "annotations": [("Negative", "Neutral", "Positive")[int(np.sign(value)) + 1] for value in regression],
        "arousal": arousal,
        "valence": valence,
    }


def _reduce_sound(stft: np.ndarray | None) -> np.ndarray:
    if stft is None:
        return np.zeros((1, 257), np.float32)
    levels = np.log1p(np.hypot(stft[..., 0], stft[..., 1]))
    starts = np.arange(0, len(levels), FRAMES_PER_ROW)
    counts = np.diff([*starts, len(levels)])
    return _thin((np.add.reduceat(levels, starts) / counts[:, None]).astype(np.float32), 257)


def _thin(rows: np.ndarray | None, width: int) -> np.ndarray:
    if rows is None:
        return np.zeros((1, width), np.float32)  # MMSA divides by lengths
    if len(rows) <= MAX_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MAX_ROWS).round().astype(int)]


def _pad(sequences: list[np.ndarray], length: int) -> np.ndarray:
    padded = np.zeros((len(sequences), length, sequences[0].shape[1]), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded

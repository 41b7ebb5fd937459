"""A store's features as MMSA reads them: one pickle of arrays per split, padded with zeros at their ends."""

import csv
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog import FeatureStore
from store.errors import StoreError
from store.export.formats import read_rows

#: STFT frames averaged into one row of the audio: ten rows a second.
FRAMES_PER_ROW = 10
#: Rows kept of an utterance; longer ones are thinned out evenly, so that the padded arrays stay small.
MAX_ROWS = 300
#: MMSA's names of the splits.
SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}


def export_mmsa(store: FeatureStore, folder: Path, labels: Mapping[str, Path], label: str = "valence") -> int:
    """Write `features.pkl`: train, valid and test with audio, vision, lengths, ids and labels.

    Audio is log(1 + |X|) of the transform averaged over 0.1 s (257 per row); vision the face embeddings (512). MMSA
    also wants words, which this store has none of: `text` is a single zero per utterance.

    Args:
        store: The features.
        folder: Where to write.
        labels: Split (train, validation, test) to its CSV file with the columns video, utterance, arousal, valence.
        label: Which of the two is the regression label; both are there under their own names as well.

    Raises:
        StoreError: No split was given, or a file lacks a column, or lists nothing that the store has.

    """
    if not labels:
        raise StoreError(
            "MMSA wants splits and labels: give --labels train=TRAIN.csv --labels validation=VALIDATION.csv …"
        )
    content = {SPLITS[split]: _make_split(store, path, label) for split, path in labels.items()}
    with files.replacing(folder / "features.pkl") as partial, partial.open("wb") as file:
        pickle.dump(content, file, protocol=4)
    return sum(len(split["id"]) for split in content.values())


def _make_split(store: FeatureStore, path: Path, label: str) -> dict[str, Any]:
    names, arousal, valence = _read_labels(store, path)
    audio = [_reduce_sound(read_rows(store[name], "stft", "stft")) for name in names]
    vision = [_thin(read_rows(store[name], "embeddings", "embedding"), 512) for name in names]
    regression = {"arousal": arousal, "valence": valence}[label]
    return {
        "id": [name.replace("/", "$_$") for name in names],
        "raw_text": [""] * len(names),
        "text": np.zeros((len(names), 1, 1), np.float32),
        "text_bert": np.zeros((len(names), 3, 1), np.float32),
        "audio": _pad(audio),
        "vision": _pad(vision),
        "audio_lengths": [len(rows) for rows in audio],
        "vision_lengths": [len(rows) for rows in vision],
        "regression_labels": regression,
        "classification_labels": np.sign(regression) + 1,
        "annotations": [("Negative", "Neutral", "Positive")[int(np.sign(value)) + 1] for value in regression],
        "arousal": arousal,
        "valence": valence,
    }


def _read_labels(store: FeatureStore, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    names, values = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = {"video", "utterance", "arousal", "valence"} - set(reader.fieldnames or ())
        if missing:
            raise StoreError(f"{path} has no column {' and no column '.join(sorted(missing))}")
        for row in reader:
            # Names in the CSV end as their files did; those of the store do not.
            for name in (f"{row['video']}/{row['utterance']}", f"{row['video']}/{Path(row['utterance']).stem}"):
                if name in store and row["arousal"] and row["valence"]:
                    names.append(name)
                    values.append((float(row["arousal"]), float(row["valence"])))
                    break
    if not names:
        raise StoreError(f"{path} lists no labelled utterance that {store.folder} has")
    numbers = np.array(values, np.float32)
    return names, numbers[:, 0], numbers[:, 1]


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


def _pad(sequences: list[np.ndarray]) -> np.ndarray:
    padded = np.zeros((len(sequences), max(map(len, sequences)), sequences[0].shape[1]), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded

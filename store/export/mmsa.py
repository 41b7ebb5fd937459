"""A store's features as MMSA reads them: one pickle of arrays per split, padded with zeros at their ends."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.errors import StoreError
from store.export.rows import Labels, find_feature_width, read_rows
from store.features import is_feature, is_of_faces, name_of

#: STFT frames averaged into one row of the audio: ten rows a second.
FRAMES_PER_ROW = 10
#: Rows kept of an utterance; longer ones are thinned out evenly, so that the padded arrays stay small.
MAX_ROWS = 300
#: MMSA's names of the splits.
SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}


#: What audio and vision are made of by default.
OWN_AUDIO = "stft"
OWN_VISION = "sphereface20"
_OWN_WIDTHS = {OWN_AUDIO: 257, OWN_VISION: 512}


@dataclass(frozen=True)
class Written:
    """What an export wrote.

    Attributes:
        count: Utterances.
        empty: "audio" or "vision" to the number of utterances for which it is one row of zeros, because they lack it
            or one of several features side by side. A part that no utterance lacks is left out.
    """

    count: int
    empty: Mapping[str, int]


def export_mmsa(
    store: FeatureStore,
    folder: Path,
    labels: Labels,
    label: str = "valence",
    audio: str = OWN_AUDIO,
    vision: Sequence[str] = (OWN_VISION,),
) -> Written:
    """Write `features.pkl`: train, valid and test with audio, vision, lengths, ids and labels.

    Only utterances with labels and one of these splits are in it; all splits are padded to one length.

    Audio is log(1 + |X|) of the transform, averaged over 0.1 s (257 numbers a row). Vision is the face embeddings (512
    numbers a row). Declared features replace them if they are named. MMSA also requires words, which a store does not
    have: `text` is a single zero per utterance.

    Args:
        store: The features.
        folder: Where to write.
        labels: Split and labels of each utterance.
        label: The regression label, `arousal` or `valence`; the file also has both under their own names.
        audio: `stft`, or a declared feature of sound.
        vision: `sphereface20` and declared features of faces, side by side.

    Returns:
        What was written.

    Raises:
        StoreError: No utterance has a split and labels, or no run has such a feature.

    """
    sound, faces = _choose(store, (audio,), of_faces=False), _choose(store, vision, of_faces=True)
    names = {
        wanted: [name for name in store if labels[name].is_labelled and SPLITS.get(labels[name].split) == wanted]
        for wanted in ("train", "valid", "test")
    }
    names = {split: found for split, found in names.items() if found}
    if not names:
        raise StoreError(
            f"MMSA needs splits and labels, but no utterance of {store.folder} has them: run `valar run` once, or "
            "give --labels train=TRAIN.csv --labels validation=VALIDATION.csv"
        )
    heard = {split: [_read(store[name], sound) for name in found] for split, found in names.items()}
    seen = {split: [_read(store[name], faces) for name in found] for split, found in names.items()}
    longest = [max(len(rows) for split in sequences.values() for rows in split) for sequences in (heard, seen)]
    content = {
        split: _make_split(found, labels, label, heard[split], seen[split], longest) for split, found in names.items()
    }
    with files.replacing(folder / "features.pkl") as partial, partial.open("wb") as file:
        pickle.dump(content, file, protocol=4)
    counted = {
        part: sum(not rows.any() for split in sequences.values() for rows in split)
        for part, sequences in (("audio", heard), ("vision", seen))
    }
    return Written(sum(map(len, names.values())), {part: count for part, count in counted.items() if count})


def _choose(store: FeatureStore, wanted: Sequence[str], *, of_faces: bool) -> dict[str, int]:
    """Give the stages of the features that are named, and how many numbers a row of each has.

    Raises:
        StoreError: There is no feature of that name; the message lists those that there are.
    """
    own = OWN_VISION if of_faces else OWN_AUDIO
    declared = {name_of(stage): stage for stage in store.stages if is_feature(stage) and is_of_faces(stage) == of_faces}
    unknown = [name for name in wanted if name != own and name not in declared]
    if unknown:
        option = "--vision" if of_faces else "--audio"
        raise StoreError(f"{option} {unknown[0]} must be one of {', '.join([own, *declared])}")
    return {
        declared.get(name, name): _OWN_WIDTHS.get(name) or find_feature_width(store, declared[name]) for name in wanted
    }


def _read(clip: Clip, stages: dict[str, int]) -> np.ndarray:
    """Give an utterance's rows of the stages side by side, thinned out; one row of zeros if a stage has none."""
    found = [_read_stage(clip, stage) for stage in stages]
    if any(rows is None for rows in found):
        return np.zeros((1, sum(stages.values())), np.float32)  # MMSA divides by lengths
    # A feature that ended early, with an error, has fewer rows than there are faces.
    shortest = min(len(rows) for rows in found if rows is not None)
    return _thin(np.concatenate([rows[:shortest] for rows in found if rows is not None], axis=1))


def _read_stage(clip: Clip, stage: str) -> np.ndarray | None:
    if stage == OWN_AUDIO:
        return _reduce_sound(read_rows(clip, "stft", "stft"))
    if stage == OWN_VISION:
        return read_rows(clip, "embeddings", "embedding")
    return read_rows(clip, stage, "value")


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


def _reduce_sound(stft: np.ndarray | None) -> np.ndarray | None:
    if stft is None:
        return None
    levels = np.log1p(np.hypot(stft[..., 0], stft[..., 1]))
    starts = np.arange(0, len(levels), FRAMES_PER_ROW)
    counts = np.diff([*starts, len(levels)])
    return (np.add.reduceat(levels, starts) / counts[:, None]).astype(np.float32)


def _thin(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= MAX_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MAX_ROWS).round().astype(int)]


def _pad(sequences: list[np.ndarray], length: int) -> np.ndarray:
    padded = np.zeros((len(sequences), length, sequences[0].shape[1]), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded

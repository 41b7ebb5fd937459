"""A store's features for other tools: NumPy files, spreadsheets, the CMU-MultimodalSDK, MMSA."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store import files
from store.catalog import Clip, FeatureStore
from store.errors import StoreError
from store.looking.plots import STFT_RATE
from store.text import guard_cell

_CSD_TITLES = {
    "stft": "short-time Fourier transform: 10 ms steps; 257 real parts, then 257 imaginary parts",
    "embeddings": "SphereFace-20 features of the speaker's aligned face, one row per frame with a face",
    "landmarks": "x, y of left eye, right eye, nose, left and right corner of the mouth, in pixels",
}


def read_rows(clip: Clip, stage: str, dataset: str) -> np.ndarray | None:
    """Give an utterance's rows; None where there are none."""
    shard = clip.find_shard(stage)
    return None if shard is None or shard.fact(clip.name, "length") == 0 else shard.rows(clip.name, dataset)


def export_npz(store: FeatureStore, folder: Path) -> int:
    """Write `<video>/<utterance>.npz`: stft, embeddings, boxes, landmarks, scores and face_times, as far as they are.

    Returns:
        The number of utterances.
    """
    wanted = {
        "stft": ("stft", "stft"),
        "embeddings": ("embeddings", "embedding"),
        "boxes": ("faces", "box"),
        "landmarks": ("faces", "landmarks"),
        "scores": ("faces", "score"),
        "face_times": ("faces", "time"),
    }
    for name in store:
        clip = store[name]
        found = {key: read_rows(clip, *place) for key, place in wanted.items()}
        path = folder / f"{name}.npz"
        with files.replacing(path) as partial, partial.open("wb") as file:
            arrays: dict[str, Any] = {key: rows for key, rows in found.items() if rows is not None}
            np.savez(file, **arrays)
    return len(store)


def export_csv(store: FeatureStore, folder: Path) -> int:
    """Write utterances.csv (the table), faces.csv (a row per face) and embeddings.csv (the mean per utterance).

    The transform of the sound is left out: no spreadsheet holds it.
    """
    table = store.list_utterances()
    columns = list(dict.fromkeys(column for row in table for column in row))
    _write_csv(folder / "utterances.csv", columns, ([row.get(column, "") for column in columns] for row in table))
    points = [
        f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right") for axis in "xy"
    ]
    head = ["utterance", "frame_index", "time_seconds", "score", "x1", "y1", "x2", "y2", *points]
    _write_csv(folder / "faces.csv", head, (row for name in store for row in _face_rows(store[name])))
    means = (
        [name, *map(_short, rows.mean(axis=0))]
        for name in store
        if (rows := read_rows(store[name], "embeddings", "embedding")) is not None
    )
    _write_csv(folder / "embeddings.csv", ["utterance", *(f"feature_{k}" for k in range(512))], means)
    return len(table)


def _face_rows(clip: Clip) -> Iterator[list[Any]]:
    shard = clip.find_shard("faces")
    if shard is None:
        return
    names = ("frame_index", "time", "score", "box", "landmarks")
    for index, time, score, box, landmarks in zip(*(shard.rows(clip.name, name) for name in names), strict=True):
        yield [clip.name, index, _short(time), _short(score), *map(_short, box), *map(_short, landmarks.ravel())]


def _short(value: float) -> str:
    return f"{value:.7g}"


def _write_csv(path: Path, head: Sequence[str], rows: Iterator[list[Any]]) -> None:
    with files.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([guard_cell(cell) for cell in row] for row in rows)


def export_csd(store: FeatureStore, folder: Path) -> int:
    """Write one computational sequence per feature: `stft.csd`, `embeddings.csd`, `landmarks.csd`.

    Entries are `video[utterance]`, which the SDK knows as parts of one video; intervals are seconds in the clip.
    """
    for feature in _CSD_TITLES:
        with files.replacing(folder / f"{feature}.csd") as partial, h5py.File(partial, "w") as file:
            root = file.create_group(f"valar_{feature}")
            data = root.create_group("data")
            for name in store:
                found = _sequence(store[name], feature)
                if found is not None:
                    video, _, utterance = name.partition("/")
                    entry = data.create_group(f"{video}[{utterance}]")
                    entry["features"], entry["intervals"] = found
            _write_csd_metadata(root, feature)
    return len(store)


def _sequence(clip: Clip, feature: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Give a feature's rows (N, D) and their (N, 2) intervals in seconds."""
    if feature == "stft":
        stft = read_rows(clip, "stft", "stft")
        if stft is None:
            return None
        starts = np.arange(len(stft)) / STFT_RATE
        return stft.transpose(0, 2, 1).reshape(len(stft), -1), np.stack([starts, starts + 1 / STFT_RATE], axis=1)
    stage, dataset = ("embeddings", "embedding") if feature == "embeddings" else ("faces", "landmarks")
    rows, times = read_rows(clip, stage, dataset), read_rows(clip, "faces", "time")
    if rows is None or times is None:
        return None
    steps = np.diff(times)
    step = float(np.median(steps)) if len(steps) else 0.04
    return rows.reshape(len(rows), -1), np.stack([times, times + step], axis=1)


def _write_csd_metadata(root: h5py.Group, feature: str) -> None:
    names: list[str] = []
    if feature == "stft":
        names = [f"{part} {31.25 * k:g} Hz" for part in ("real", "imaginary") for k in range(257)]
    values = {
        "root name": root.name.lstrip("/"),
        "computational sequence description": _CSD_TITLES[feature],
        "dimension names": names,
        "computational sequence version": "1",
        "alignment compatible": True,
        "dataset name": "",
        "dataset version": "",
        "creator": "Valar",
        "contact": "",
        "featureset bib citation": "",
        "dataset bib citation": "",
        "uuid": "",
        "md5": None,
    }
    metadata = root.create_group("metadata")
    for key, value in values.items():
        # The SDK reads variable-length strings.
        metadata.create_dataset(key, data=[json.dumps(value)], dtype=h5py.string_dtype())


EXPORTERS: dict[str, Callable[[FeatureStore, Path], int]] = {"npz": export_npz, "csv": export_csv, "csd": export_csd}


def check_target(folder: Path) -> None:
    """Refuse to mix an export with what is there.

    Raises:
        StoreError: The folder is not empty.

    """
    if folder.exists() and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty; name a new folder for the export, or empty this one")

"""A store's features for other tools: NumPy files, spreadsheets; and the table of all formats."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.errors import StoreError
from store.export.csd import export_csd
from store.export.parquet import export_parquet
from store.export.rows import (
    Labels,
    find_feature_width,
    label_cells,
    list_label_columns,
    read_rows,
    write_csv,
    write_labels,
)
from store.features import is_feature


def export_npz(store: FeatureStore, folder: Path, labels: Labels) -> int:
    """Write `<video>/<utterance>.npz`: stft, embeddings, boxes, landmarks, scores and face_times, if they exist.

    For each declared feature there is also `face_<name>` or `sound_<name>`, with `_times` for the times of its rows.
    `labels.csv` has the split and the labels of each utterance.

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
    for stage in filter(is_feature, store.stages):
        wanted |= {stage: (stage, "value"), f"{stage}_times": (stage, "time")}
    for name in store:
        clip = store[name]
        found = {key: read_rows(clip, *place) for key, place in wanted.items()}
        path = folder / f"{name}.npz"
        with files.replacing(path) as partial, partial.open("wb") as file:
            arrays: dict[str, Any] = {key: rows for key, rows in found.items() if rows is not None}
            np.savez(file, **arrays)
    write_labels(folder / "labels.csv", labels, store)
    return len(store)


def export_csv(store: FeatureStore, folder: Path, labels: Labels) -> int:
    """Write utterances.csv (the table), faces.csv (a row per face) and embeddings.csv (the mean per utterance).

    For each declared feature there is also `face_<name>.csv` or `sound_<name>.csv` with its mean per utterance. Each
    row has the utterance's split and labels. The transform of the sound is left out: it is too large for a spreadsheet.

    Raises:
        StoreError: Two runs have made a feature of different widths.
    """
    for stage in filter(is_feature, store.stages):
        find_feature_width(store, stage)  # before the first file is written
    table = store.list_utterances()
    columns = list(dict.fromkeys(column for row in table for column in row))[1:]
    named = [column for column in list_label_columns(labels) if column not in {"utterance", *columns}]
    told = {name: [name, *label_cells(labels[name], named)] for name in store}
    listed = ([*told[row["utterance"]], *(row.get(column, "") for column in columns)] for row in table)
    write_csv(folder / "utterances.csv", ["utterance", *named, *columns], listed)
    named = named[:3]
    told = {name: cells[:4] for name, cells in told.items()}
    points = [
        f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right") for axis in "xy"
    ]
    head = ["utterance", *named, "frame_index", "time_seconds", "score", "x1", "y1", "x2", "y2", *points]
    write_csv(folder / "faces.csv", head, ([*told[name], *row] for name in store for row in _face_rows(store[name])))
    for stage, dataset in {
        "embeddings": "embedding",
        **dict.fromkeys(filter(is_feature, store.stages), "value"),
    }.items():
        found = ((told[name], read_rows(store[name], stage, dataset)) for name in store)
        _write_means(folder / f"{stage}.csv", ["utterance", *named], found)
    return len(table)


def _write_means(path: Path, head: list[str], found: Iterator[tuple[list[Any], np.ndarray | None]]) -> None:
    """Write a row for each utterance that has rows; if no utterance has any, the header has the usual 512 columns."""
    rows = ((told, values) for told, values in found if values is not None)
    first = next(rows, None)
    width = 512 if first is None else first[1].shape[1]
    means = (
        [*told, *map(_short, values.mean(axis=0))] for told, values in itertools.chain(filter(None, [first]), rows)
    )
    write_csv(path, [*head, *(f"feature_{k}" for k in range(width))], means)


def _face_rows(clip: Clip) -> Iterator[list[Any]]:
    shard = clip.find_shard("faces")
    if shard is None:
        return
    names = ("frame_index", "time", "score", "box", "landmarks")
    for index, time, score, box, landmarks in zip(*(shard.rows(clip.name, name) for name in names), strict=True):
        yield [index, _short(time), _short(score), *map(_short, box), *map(_short, landmarks.ravel())]


def _short(value: float) -> str:
    return f"{value:.7g}"


EXPORTERS: dict[str, Callable[[FeatureStore, Path, Labels], int]] = {
    "npz": export_npz,
    "csv": export_csv,
    "parquet": export_parquet,
    "csd": export_csd,
}


@contextlib.contextmanager
def exporting(folder: Path) -> Iterator[Path]:
    """Give a temporary folder; what it holds becomes the export's folder only on success.

    A new folder gets its name last, so it is whole even if the process is killed at any moment. A folder that exists
    stays what it is (it may be a disk of its own, or have rights of its own), and the files move into it.

    Raises:
        StoreError: The folder is not empty, or it is a file.
        OSError: A file cannot be written; the error has its path in the export's folder.
    """
    is_new = not folder.exists()
    if is_new and folder.is_symlink():
        raise StoreError(
            f"{folder} is a link to {folder.readlink()}, which is not there; name a new folder for the export"
        )
    if not is_new and not folder.is_dir():
        raise StoreError(f"{folder} is a file; name a new folder for the export")
    beside = folder.parent if is_new else folder
    beside.mkdir(parents=True, exist_ok=True)
    files.remove_leftovers(beside)  # of an export that was killed
    if not is_new and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty; name a new folder for the export, or empty this one")
    scratch = folder
    try:
        with files.temporary_folder(beside, folder.name) as scratch:
            yield scratch
            if is_new:
                scratch.rename(folder)
            else:
                for path in sorted(scratch.iterdir()):
                    path.replace(folder / path.name)
    except OSError as error:
        if not isinstance(error.filename, str):
            raise
        # If not even the temporary folder could be made, its name means nothing to the user.
        no_scratch = scratch is folder and Path(error.filename).parent == beside
        name = str(folder) if no_scratch and is_new else error.filename.replace(str(scratch), str(folder))
        raise OSError(error.errno, error.strerror, name) from error

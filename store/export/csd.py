"""A store's features as computational sequences of the CMU-MultimodalSDK.

The SDK does not document what its `align` requires of an entry's name. Its code (mmsdk/mmdatasdk/dataset/dataset.py)
shows it:

- A name has no `[`: `align` cuts every name there and looks up the first part.
- No name is the beginning of another. When `align` removes an entry that some sequences lack, it also removes all
  entries whose names begin with that name. Older releases take an entry as shared if a longer name begins with it.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from store import files
from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.export.rows import Labels, find_feature_width, read_rows, write_labels
from store.features import is_feature, name_of
from store.labels import Label
from store.looking.plots import STFT_RATE

#: Ends each of a name's two parts. It is escaped inside them, so that no name is the beginning of another.
_END = ":"
_ESCAPED = "%[" + _END
#: Sequence of the labels: one entry per utterance with labels, one interval as long as the clip.
LABELS = "labels"
#: Most bytes beside the rows: of a file, of an entry with its two datasets, and of start and end of a row.
_FILE_BYTES, _ENTRY_BYTES, _INTERVAL_BYTES = 65_536, 8192, 16
_CSD_TITLES = {
    "stft": "short-time Fourier transform: 10 ms steps; 257 real parts, then 257 imaginary parts",
    "embeddings": "SphereFace-20 features of the speaker's aligned face, one row per frame with a face",
    "landmarks": "x, y of left eye, right eye, nose, left and right corner of the mouth, in pixels",
}


def export_csd(store: FeatureStore, folder: Path, labels: Labels) -> int:
    """Write one computational sequence per feature, and one of the labels; `labels.csv` has splits and names.

    `stft.csd`, `embeddings.csd`, `landmarks.csd`, and `face_<name>.csd` and `sound_<name>.csd` of declared features
    have one interval per row, in seconds of the clip. `labels.csd` has arousal and valence over the whole clip: align
    to `valar_labels` to have all rows of an utterance beside its labels.

    Raises:
        StoreError: Two runs have made a feature of different widths.
    """
    for stage in filter(is_feature, store.stages):
        find_feature_width(store, stage)  # before the first file is written
    for feature in [
        *_CSD_TITLES,
        *filter(is_feature, store.stages),
        *([LABELS] if any(labels[name].is_labelled for name in store) else []),
    ]:
        path = folder / f"{feature}.csd"
        with files.replacing(path) as partial, _open(path, partial, _count_bytes(store, feature)) as file:
            root = file.create_group(f"valar_{feature}")
            data = root.create_group("data")
            for name in store:
                clip = store[name]
                found = _label_sequence(clip, labels[name]) if feature == LABELS else _sequence(clip, feature)
                if found is not None:
                    entry = data.create_group(make_key(name))
                    entry["features"], entry["intervals"] = found
            _write_csd_metadata(root, feature)
    write_labels(folder / "labels.csv", labels, store, {name: make_key(name) for name in store})
    return len(store)


@contextlib.contextmanager
def _open(path: Path, partial: Path, num_bytes: int) -> Iterator[h5py.File]:
    """Open an HDF5 file after reserving its room: if libhdf5 cannot write when it closes a file, the process ends.

    Raises:
        OSError: The disk has no room for so many bytes.
    """
    with files.naming_full_disk(path, num_bytes), partial.open("wb") as tried:
        os.posix_fallocate(tried.fileno(), 0, num_bytes)
    with h5py.File(partial, "w") as file:
        yield file


def _count_bytes(store: FeatureStore, feature: str) -> int:
    """Compute the most bytes that a sequence can take, without reading its rows."""
    total = _FILE_BYTES
    for name in store:
        clip = store[name]
        if feature == LABELS:
            total += _ENTRY_BYTES
        elif (rows := read_rows(clip, *_find_place(feature))) is not None:
            total += _ENTRY_BYTES + rows.nbytes + len(rows) * _INTERVAL_BYTES
    return total


def _find_place(feature: str) -> tuple[str, str]:
    """Give the stage and the dataset that have a feature's rows."""
    places = {"stft": ("stft", "stft"), "embeddings": ("embeddings", "embedding"), "landmarks": ("faces", "landmarks")}
    return places.get(feature, (feature, "value"))


def make_key(name: str) -> str:
    """Give the name of an utterance's entry.

    >>> make_key("anna/take_1"), make_key("a/b[2]")
    ('anna:take_1:', 'a:b%5B2]:')
    """
    parts = ("".join(f"%{ord(c):02X}" if c in _ESCAPED else c for c in part) for part in name.split("/"))
    return "".join(part + _END for part in parts)


def _label_sequence(clip: Clip, label: Label) -> tuple[np.ndarray, np.ndarray] | None:
    """Give a clip's labels (1, 2) and the interval (1, 2) of all its rows; None without labels or rows."""
    ends = [found[1][-1, 1] for feature in _CSD_TITLES if (found := _sequence(clip, feature)) is not None]
    if not ends or not label.is_labelled:
        return None
    return np.array([[label.arousal, label.valence]], np.float32), np.array([[0.0, max(ends)]])


def _sequence(clip: Clip, feature: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Give a feature's rows (N, D) and their (N, 2) intervals in seconds."""
    if feature == "stft":
        stft = read_rows(clip, "stft", "stft")
        if stft is None:
            return None
        starts = np.arange(len(stft)) / STFT_RATE
        return stft.transpose(0, 2, 1).reshape(len(stft), -1), np.stack([starts, starts + 1 / STFT_RATE], axis=1)
    timed = feature if is_feature(feature) else "faces"
    rows, times = read_rows(clip, *_find_place(feature)), read_rows(clip, timed, "time")
    if rows is None or times is None:
        return None
    steps = np.diff(times)
    step = float(np.median(steps)) if len(steps) else 0.04
    return rows.reshape(len(rows), -1), np.stack([times, times + step], axis=1)


def _describe(feature: str) -> str:
    if is_feature(feature):
        return f"the declared feature {name_of(feature)}"
    return _CSD_TITLES.get(feature, "arousal and valence of the whole utterance")


def _write_csd_metadata(root: h5py.Group, feature: str) -> None:
    names: list[str] = ["arousal", "valence"] if feature == LABELS else []
    if feature == "stft":
        names = [f"{part} {31.25 * k:g} Hz" for part in ("real", "imaginary") for k in range(257)]
    values = {
        "root name": root.name.lstrip("/"),
        "computational sequence description": _describe(feature),
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

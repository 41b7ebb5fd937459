"""A store's tables as Parquet files, for pandas, polars, DuckDB and Arrow."""

import importlib.util
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.feature_store import FeatureStore
from store.errors import StoreError
from store.export.rows import Labels, find_feature_width, list_label_columns, read_rows
from store.features import is_feature, is_of_faces
from store.labels import Label

#: Rows of a table written at a time; of faces 2 kB each.
_ROWS_AT_ONCE = 16384


def export_parquet(store: FeatureStore, folder: Path, labels: Labels) -> int:
    """Write utterances.parquet (the table) and faces.parquet (a row per face with its embedding).

    A declared feature of faces is a column `face_<name>` of faces.parquet. A declared feature of sound has its own
    table, `sound_<name>.parquet`. All tables have split and labels; a missing label is null. The transform of the sound
    is left out: with 257 x 2 numbers for each 10 ms, it is too large for a table.

    Raises:
        StoreError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise StoreError("--to parquet needs pyarrow: pip install 'valar[parquet]', or pip install pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list_label_columns(labels)
    table = [
        {"utterance": row.pop("utterance"), **_describe(labels, row_name, columns), **row}
        for row_name, row in _rows(store)
    ]
    keys = list(dict.fromkeys(key for row in table for key in row))
    values = {key: pa.array([row.get(key) for row in table]) for key in keys}
    with files.replacing(folder / "utterances.parquet") as partial:
        pq.write_table(pa.table(values), partial)
    widths = {stage: width for stage in filter(is_feature, store.stages) if (width := find_feature_width(store, stage))}
    of_faces = {stage: width for stage, width in widths.items() if is_of_faces(stage)}
    with files.replacing(folder / "faces.parquet") as partial:
        schema = _face_schema(pa, of_faces)
        with pq.ParquetWriter(partial, schema) as writer:
            for arrays in _face_tables(store, labels, of_faces):
                writer.write_table(pa.table(_face_columns(pa, arrays, of_faces), schema))
    for stage in widths.keys() - of_faces.keys():
        _write_sound_table(pa, pq, folder / f"{stage}.parquet", store, labels, stage, widths[stage])
    return len(store)


def _write_sound_table(
    pa: Any, pq: Any, path: Path, store: FeatureStore, labels: Labels, stage: str, width: int
) -> None:
    """Write a row per piece of sound: its start in seconds, and the feature's numbers."""
    schema = pa.schema([*_label_fields(pa), ("time_seconds", pa.float64()), (stage, pa.list_(pa.float32(), width))])
    with files.replacing(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        for name in store:
            rows, times = read_rows(store[name], stage, "value"), read_rows(store[name], stage, "time")
            if rows is None or times is None:
                continue
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                block = slice(start, start + _ROWS_AT_ONCE)
                count = len(times[block])
                columns = {
                    **_label_columns(pa, name, labels[name], count),
                    "time_seconds": pa.array(times[block], pa.float64()),
                    stage: _list_array(pa, rows[block], count, width),
                }
                writer.write_table(pa.table(columns, schema))


def _rows(store: FeatureStore) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((row["utterance"], row) for row in store.list_utterances())


def _describe(labels: Labels, name: str, columns: list[str]) -> dict[str, Any]:
    label = labels[name]
    numbers = {"arousal": _null(label.arousal), "valence": _null(label.valence)}
    return {"split": label.split, **numbers, **{column: label.more.get(column) for column in columns[3:]}}


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _label_fields(pa: Any) -> list[tuple[str, Any]]:
    return [
        ("utterance", pa.string()),
        ("split", pa.string()),
        ("arousal", pa.float64()),
        ("valence", pa.float64()),
    ]


def _label_columns(pa: Any, name: str, label: Label, count: int) -> dict[str, Any]:
    """Give the columns of `_label_fields` for `count` rows of one utterance."""
    return {
        "utterance": pa.array([name] * count, pa.string()),
        "split": pa.array([label.split] * count, pa.string()),
        "arousal": pa.array([_null(label.arousal)] * count, pa.float64()),
        "valence": pa.array([_null(label.valence)] * count, pa.float64()),
    }


def _face_schema(pa: Any, features: Mapping[str, int]) -> Any:
    number = pa.float32()
    return pa.schema(
        [
            *_label_fields(pa),
            ("frame_index", pa.int32()),
            ("time_seconds", pa.float64()),
            ("score", number),
            ("box", pa.list_(number, 4)),
            ("landmarks", pa.list_(number, 10)),
            ("embedding", pa.list_(number, 512)),
            *((stage, pa.list_(number, width)) for stage, width in features.items()),
        ]
    )


def _face_tables(store: FeatureStore, labels: Labels, features: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all faces in blocks: names, labels and arrays."""
    for name in store:
        clip, label = store[name], labels[name]
        found = {
            key: read_rows(clip, "faces", dataset)
            for key, dataset in (
                ("frame_index", "frame_index"),
                ("time_seconds", "time"),
                ("score", "score"),
                ("box", "box"),
                ("landmarks", "landmarks"),
            )
        }
        found["embedding"] = read_rows(clip, "embeddings", "embedding")
        found |= {stage: read_rows(clip, stage, "value") for stage in features}
        if found["score"] is None:
            continue
        count = len(found["score"])
        for start in range(0, count, _ROWS_AT_ONCE):
            block = slice(start, min(start + _ROWS_AT_ONCE, count))
            yield {
                "utterance": name,
                "label": label,
                **{key: None if rows is None else rows[block] for key, rows in found.items()},
            }


def _face_columns(pa: Any, arrays: dict[str, Any], features: Mapping[str, int]) -> dict[str, Any]:
    count = len(arrays["score"])
    return {
        **_label_columns(pa, arrays["utterance"], arrays["label"], count),
        "frame_index": pa.array(arrays["frame_index"], pa.int32()),
        "time_seconds": pa.array(arrays["time_seconds"], pa.float64()),
        "score": pa.array(arrays["score"], pa.float32()),
        **{
            key: _list_array(pa, arrays[key], count, width)
            for key, width in {"box": 4, "landmarks": 10, "embedding": 512, **features}.items()
        },
    }


def _list_array(pa: Any, rows: np.ndarray | None, count: int, width: int) -> Any:
    """Give rows as lists; missing rows, such as those after a feature ended early, are null."""
    found = np.zeros((count, width), np.float32)
    is_missing = np.arange(count) >= (0 if rows is None else len(rows))
    if rows is not None:
        found[: len(rows)] = rows.reshape(len(rows), width)
    return pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), width, mask=pa.array(is_missing))

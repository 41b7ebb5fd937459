"""A store's tables as Parquet files, for pandas, polars, DuckDB and Arrow."""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog import FeatureStore
from store.errors import StoreError
from store.export.rows import Labels, list_label_columns, read_rows

#: Rows of the faces table written at a time; 2 kB each.
_ROWS_AT_ONCE = 16384


def export_parquet(store: FeatureStore, folder: Path, labels: Labels) -> int:
    """Write utterances.parquet (the table) and faces.parquet (a row per face with its embedding).

    Both have split and labels, null where there are none. The transform of the sound is left out: 257 x 2 numbers for
    each 10 ms belong into no table.

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
    with files.replacing(folder / "faces.parquet") as partial:
        schema = _face_schema(pa)
        with pq.ParquetWriter(partial, schema) as writer:
            for arrays in _face_tables(store, labels):
                writer.write_table(pa.table(_face_columns(pa, arrays), schema))
    return len(store)


def _rows(store: FeatureStore) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((row["utterance"], row) for row in store.list_utterances())


def _describe(labels: Labels, name: str, columns: list[str]) -> dict[str, Any]:
    label = labels[name]
    numbers = {"arousal": _null(label.arousal), "valence": _null(label.valence)}
    return {"split": label.split, **numbers, **{column: label.more.get(column) for column in columns[3:]}}


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _face_schema(pa: Any) -> Any:
    number, label = pa.float32(), pa.float64()
    return pa.schema(
        [
            ("utterance", pa.string()),
            ("split", pa.string()),
            ("arousal", label),
            ("valence", label),
            ("frame_index", pa.int32()),
            ("time_seconds", pa.float64()),
            ("score", number),
            ("box", pa.list_(number, 4)),
            ("landmarks", pa.list_(number, 10)),
            ("embedding", pa.list_(number, 512)),
        ]
    )


def _face_tables(store: FeatureStore, labels: Labels) -> Iterator[dict[str, Any]]:
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
        embeddings = read_rows(clip, "embeddings", "embedding")
        if found["score"] is None:
            continue
        count = len(found["score"])
        for start in range(0, count, _ROWS_AT_ONCE):
            block = slice(start, min(start + _ROWS_AT_ONCE, count))
            yield {
                "utterance": name,
                "label": label,
                **{key: None if rows is None else rows[block] for key, rows in found.items()},
                "embedding": None if embeddings is None else embeddings[block],
            }


def _face_columns(pa: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    label, count = arrays["label"], len(arrays["score"])
    return {
        "utterance": pa.array([arrays["utterance"]] * count, pa.string()),
        "split": pa.array([label.split] * count, pa.string()),
        "arousal": pa.array([_null(label.arousal)] * count, pa.float64()),
        "valence": pa.array([_null(label.valence)] * count, pa.float64()),
        "frame_index": pa.array(arrays["frame_index"], pa.int32()),
        "time_seconds": pa.array(arrays["time_seconds"], pa.float64()),
        "score": pa.array(arrays["score"], pa.float32()),
        **{
            key: _list_array(pa, arrays[key], count, width)
            for key, width in (("box", 4), ("landmarks", 10), ("embedding", 512))
        },
    }


def _list_array(pa: Any, rows: np.ndarray | None, count: int, width: int) -> Any:
    if rows is None:
        return pa.nulls(count, pa.list_(pa.float32(), width))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows, np.float32).ravel()), width)

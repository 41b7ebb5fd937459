"""Writing datasets, their attributes and dimension scales by HDF5's own calls: h5py's objects take twice as long.

A shard of one short clip has six files, each with some sixty of these parts. The bytes are the same as those that
h5py's objects write.
"""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5ds, h5p, h5s, h5t

from store.schema import SCALES, Column

#: NetCDF's name for a dimension whose positions have no values; its readers (xarray among them) know it.
_COUNTED = "This is a netCDF dimension but not a netCDF variable. {:10d}"


def as_array(values: Sequence[Any], dtype: str) -> np.ndarray:
    """Return values as an array of a column's type; strings get one fixed length, and are cut to the type's."""
    if not dtype.startswith("S"):
        return np.asarray(values, dtype)
    encoded = [str(value).encode() for value in values]
    width = int(dtype[1:] or 0) or max([1, *map(len, encoded)])
    return np.array([_cut(value, width) for value in encoded], f"S{width}").astype(_text_type(width))


def _cut(text: bytes, width: int) -> bytes:
    # Never in the middle of a character.
    return text if len(text) <= width else text[:width].decode(errors="ignore").encode()


def _text_type(width: int) -> np.dtype:
    # Of fixed length: h5py writes str with variable length, and one flipped bit in their heap can hang libhdf5.
    return h5py.string_dtype("utf-8", max(1, width))


def set_attribute(place: Any, name: str, value: str | int) -> None:
    """Give a group or dataset, by its HDF5 id, an attribute that it does not have."""
    if isinstance(value, int):
        array = np.asarray(value)
    else:
        text = value.encode()
        array = np.asarray(np.bytes_(text or b"\0")).astype(_text_type(len(text)))
    kind = h5t.py_create(array.dtype, logical=True)
    h5a.create(place, name.encode(), kind, h5s.create_simple(())).write(array, kind)


class Scaled:
    """A group whose datasets have dimension scales, made when first needed.

    Args:
        place: the group's HDF5 id.
    """

    def __init__(self, place: Any) -> None:
        self._place = place
        self._scales: dict[str, Any] = {}

    def write(self, column: Column, values: np.ndarray) -> None:
        """Write a dataset with its values."""
        dataset = _create(self._place, column.name, values.shape, values.dtype)
        dataset.write(h5s.ALL, h5s.ALL, values)
        self._describe(dataset, column, column.description, values.shape)

    def allocate(self, column: Column, num_rows: int, description: str) -> tuple[int, int] | None:
        """Make a dataset and its room in the file, without writing to it.

        Returns:
            Its first byte and its number of bytes; None without rows: HDF5 then gives it no place in the file.
        """
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5d.FILL_TIME_NEVER)
        shape, dtype = (num_rows, *column.shape), np.dtype(column.dtype)
        dataset = _create(self._place, column.name, shape, dtype, properties)
        self._describe(dataset, column, description, shape)
        offset = dataset.get_offset()
        return None if offset is None else (offset, int(np.prod(shape)) * dtype.itemsize)

    def _describe(self, dataset: Any, column: Column, description: str, shape: tuple[int, ...]) -> None:
        """Add the attributes that netCDF's readers know, and the dimension scales."""
        set_attribute(dataset, "long_name", description)
        set_attribute(dataset, "units", column.unit)
        for axis, dimension in enumerate(column.dimensions):
            if dimension not in self._scales:
                self._scales[dimension] = self._add_scale(dimension, shape[axis])
            h5ds.attach_scale(dataset, self._scales[dimension], axis)

    def _add_scale(self, name: str, length: int) -> Any:
        if name not in SCALES:
            # Nothing is written to it, so it takes no room however long it is.
            dataset = _create(self._place, name, (length,), np.dtype("|u1"))
            h5ds.set_scale(dataset, _COUNTED.format(length).encode())
            return dataset
        scale = SCALES[name]
        values = as_array(scale.values, "S" if isinstance(scale.values[0], str) else "<f4")
        dataset = _create(self._place, name, values.shape, values.dtype)
        dataset.write(h5s.ALL, h5s.ALL, values)
        h5ds.set_scale(dataset, name.encode())
        set_attribute(dataset, "long_name", scale.description)
        set_attribute(dataset, "units", scale.unit)
        return dataset


def _create(place: Any, name: str, shape: tuple[int, ...], dtype: np.dtype, properties: Any = None) -> Any:
    """Create a dataset, without the time of its creation, so that equal rows give equal files."""
    properties = properties or h5p.create(h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    kind = h5t.py_create(dtype, logical=True)
    return h5d.create(place, name.encode(), kind, h5s.create_simple(shape), dcpl=properties)

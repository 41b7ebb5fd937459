"""Writing the pages of the clips of one shard: each file is opened once, and let go of."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.feature_store import FeatureStore
from store.looking.clip_page import render_clip
from store.looking.quality import Quality
from store.pages_mark import page_number

#: What a process is asked for: the folders of store and pages, whether files are mapped, the run's name, and its clips.
Group = Mapping[str, Any]


@functools.lru_cache(maxsize=4)
def _open_store(folder: str, run: str, *, mapped: bool) -> FeatureStore:
    return FeatureStore(folder, run, mapped=mapped)


def write_group(group: Group) -> list[tuple[str, list[Any]]]:
    """Write the pages of clips of one shard, in a process of its own."""
    store = _open_store(group["store"], group["run"], mapped=group["mapped"])
    return write_pages_of(store, Path(group["folder"]), group["names"])


def write_pages_of(store: FeatureStore, folder: Path, names: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """Write the pages of clips of one shard.

    Returns:
        Each clip's name, and its row of the index.
    """
    written = [(name, _write_clip(store, folder, name)) for name in names]
    clip = store[names[0]]
    store.close_shard(clip.shard, clip.listing)
    return written


def _write_clip(store: FeatureStore, folder: Path, name: str) -> list[Any]:
    number = page_number(name)
    page, face, quality = render_clip(store, name, number, folder / "clips")
    files.write_soon(folder / "clips" / f"{number}.html", page.encode())
    if face is not None:
        files.write_soon(folder / "clips" / f"{number}.jpg", face)
    return _as_row(quality, has_face=face is not None)


#: Statuses and numbers of a `Quality`, its notes, and whether there is a picture of a face.
ROW_LENGTH = 9


def _as_row(quality: Quality, *, has_face: bool) -> list[Any]:
    numbers = (quality.seconds, quality.coverage, quality.score, quality.level_db, quality.badness)
    plain = [round(float(value), 4) if np.isfinite(value) else None for value in numbers]
    return [quality.sound, quality.picture, *plain, "; ".join(quality.notes), has_face]

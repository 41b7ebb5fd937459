"""Writing the pages of the clips of one shard: each file is opened once and then closed."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from store import files
from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.looking.clip_page import render_clip
from store.looking.quality import Quality
from store.pages_mark import page_number

#: A request to a process: folders of store and pages, whether files are mapped, the run's name, and names of clips.
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
    clips = folder / "clips"
    written = [(clip.name, _write_clip(store.folder, clips, clip)) for clip in _open_clips(store, names)]
    clip = store[names[0]]
    store.close_shard(clip.shard, clip.listing)
    return written


#: By stage, the columns that every page reads; they are loaded as a whole.
_LOADED = {
    "frames": ("time",),
    "faces": ("time", "score", "box", "landmarks"),
    "crops_jpeg": ("start", "size"),
}


def _open_clips(store: FeatureStore, names: Sequence[str]) -> list[Clip]:
    """Open clips of one shard; the shard's files are found only once."""
    first = store[names[0]]
    shards = {stage: store.shard(stage, first.shard, first.listing) for stage in first.stages}
    for stage, columns in _LOADED.items():
        if (shard := shards.get(stage)) is not None:
            shard.load(*columns)
    return [Clip(lambda stage, *_: shards.get(stage), name, first.listing) for name in names]


def _write_clip(store: Path, folder: Path, clip: Clip) -> list[Any]:
    number = page_number(clip.name)
    page = render_clip(store, clip, number, folder)
    files.write_soon(f"{folder}/{number}.html", page.text.encode())
    if page.picture is not None:
        files.write_soon(f"{folder}/{number}.jpg", page.picture)
    return _as_row(page.quality, page.num_faces)


#: Entries of a row: two statuses, five numbers and the notes of a `Quality`, and the number of faces in the picture.
ROW_LENGTH = 9


def _as_row(quality: Quality, num_faces: int) -> list[Any]:
    numbers = (quality.seconds, quality.coverage, quality.score, quality.level_db, quality.badness)
    plain = [round(float(value), 4) if math.isfinite(value) else None for value in numbers]
    return [quality.sound, quality.picture, *plain, "; ".join(quality.notes), num_faces]

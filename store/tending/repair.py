"""Setting faulty shards aside, so that the next run makes them again."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from store import files
from store.errors import StoreError
from store.features import find_schema, is_feature
from store.layout import damaged_folder, find_stage_sets
from store.records.listings import Listing, find_listings
from store.tending.check import Fault
from store.tending.removal import check_no_links, parts_of_shard
from store.text import format_count

#: The files that are made from a file's rows, directly or not. They are set aside with it, because the damage may be
#: older than they are, and because a run makes a file again only if one that needs it is missing. A test compares this
#: table with the pipeline's, which this package may not import.
MADE_FROM = {
    "wav": ("stft",),
    "stft": (),
    "frames": ("pixels", "faces", "crops", "crops_jpeg", "embeddings"),
    "pixels": ("faces", "crops", "crops_jpeg", "embeddings"),
    "faces": ("crops", "crops_jpeg", "embeddings"),
    "crops": ("crops_jpeg", "embeddings"),
    "crops_jpeg": (),
    "embeddings": (),
}


def is_made_from(stage: str, source: str) -> bool:
    """Tell whether a stage is made from the rows of another; a declared feature is made from faces or from sound."""
    if is_feature(stage):
        return source in (("wav",) if stage.startswith("sound_") else ("frames", "pixels", "faces", "crops"))
    return stage in MADE_FROM.get(source, ())


@dataclass
class Repaired:
    """What was moved, and what was left where it is, with the reason."""

    moved: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def set_aside(root: Path, faults: Iterable[Fault]) -> Repaired:
    """Move every faulty file, and what was made from it, to `<store>/damaged/`; nothing is deleted.

    A shard with a clip whose file is gone stays: its rows cannot be made again.

    Raises:
        StoreError: A folder of the store is a link: nothing was moved.
    """
    check_no_links(root)
    repaired = Repaired()
    vanished = _vanished_by_shard(root)
    for fault in faults:
        parts = Path(fault.path).parts
        if fault.kind == "version":
            repaired.left.append((fault.path, "nothing is wrong with it; update Valar"))
            continue
        if fault.kind == "erased":
            repaired.left.append(
                (fault.path, "it says which utterances the store must refuse; restore it from a backup")
            )
            continue
        shard = _shard_of(parts)
        gone = vanished.get(shard, [])
        if gone:
            names = ", ".join(gone[:3])
            clips = format_count(
                len(gone), "clip of this shard has lost its file and", "clips of this shard have lost their files and"
            )
            reason = f"{clips} cannot be read again (the first: {names})"
            repaired.left.append((fault.path, f"{reason}; bring the clips back, or restore this file from a backup"))
            continue
        if fault.kind == "orphan" and shard and parts[-1] == f"{shard}.h5":
            for part in parts_of_shard(root / fault.path):
                _move(root, part, repaired)
            continue
        if fault.kind == "orphan" or find_schema(parts[0]) is None:
            _move(root, root / fault.path, repaired)
            continue
        stage = parts[0]
        for stage_set in find_stage_sets(root):
            itself = stage_set.stage == stage and stage_set.fingerprint == parts[1]
            if itself or is_made_from(stage_set.stage, stage):
                path = stage_set.folder / f"{shard}.h5"
                for part in parts_of_shard(path):
                    _move(root, part, repaired)
    return repaired


def _shard_of(parts: Sequence[str]) -> str:
    """Give the id of the shard to which a file, sidecar, WAV file or plan belongs; "" for any other path."""
    places = 3 if find_schema(parts[0]) is not None else 2 if parts[0] == "shards" else len(parts) + 1
    return parts[places - 1].partition(".")[0] if len(parts) >= places else ""


def _vanished_by_shard(root: Path) -> dict[str, list[str]]:
    vanished: dict[str, list[str]] = {}
    for path in find_listings(root):
        try:
            listing = Listing.read(path)
        except StoreError:
            continue
        for name in sorted(listing.vanished):
            vanished.setdefault(listing.shards[name], []).append(name)
    return vanished


def _move(root: Path, path: Path, repaired: Repaired) -> None:
    if not os.path.lexists(path):
        return
    target = damaged_folder(root) / path.relative_to(root)
    number = 1
    while os.path.lexists(target):
        number += 1
        target = damaged_folder(root) / f"{path.relative_to(root)}.{number}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    files.flush_folder(path.parent)
    repaired.moved.append(str(path.relative_to(root)))

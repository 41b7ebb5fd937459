"""Removing what no run needs: stage sets of old settings, shards of clips that have changed or are no longer listed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import files
from store.errors import StoreError
from store.layout import StageSet, check_is_store, damaged_folder, find_stage_sets
from store.records.listings import Listing, read_listings
from store.records.plans import plan_path, read_stored_plans
from store.tables import forget_removed
from store.tending.removal import check_no_links, measure, parts_of_shard, remove, remove_empty
from store.text import format_bytes, format_count


@dataclass(frozen=True)
class Garbage:
    """One file or folder that no run needs.

    Args:
        path: Its path, relative to the store's folder.
        reason: Why no run needs it, in words.
        num_bytes: Bytes that removing it frees.

    """

    path: str
    reason: str
    num_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return dict(vars(self))


def find_garbage(root: Path) -> list[Garbage]:
    """Find every file that no run's listing reaches.

    Raises:
        StoreError: There is no listing, or one cannot be read: then it is not known what a run needs. Or the folder is
            not a store.

    """
    check_is_store(root)
    listings = read_listings(root)
    if not listings:
        raise StoreError(
            f"{root} has no listing of a run, so gc cannot know what is needed; run `valar features`, then gc again"
        )
    reached = {
        (stage, fingerprint, shard)
        for listing in listings
        for shard in set(listing.shards.values())
        for stage, fingerprint in listing.kept_fingerprints.items()
    }
    shards = {shard for listing in listings for shard in listing.shards.values()}
    found = []
    for stage_set in find_stage_sets(root):
        reason = _explain(stage_set, listings)
        for shard, path in stage_set.shards.items():
            if (stage_set.stage, stage_set.fingerprint, shard) not in reached:
                found.append(Garbage(str(path.relative_to(root)), reason, sum(map(measure, parts_of_shard(path)))))
    for shard in read_stored_plans(root):
        if shard not in shards:
            path = plan_path(root, shard)
            reason = "no utterance that a run lists is in this shard"
            found.append(Garbage(str(path.relative_to(root)), reason, path.stat().st_size))
    return found + _find_leftovers(root)


def _explain(stage_set: StageSet, listings: list[Listing]) -> str:
    """Say why no run needs a shard of a stage set."""
    stage, fingerprint = stage_set.stage, stage_set.fingerprint
    listed_by = [listing for listing in listings if listing.fingerprints.get(stage) == fingerprint]
    if not listed_by:
        return "no run has these settings any more"
    if not any(listing.keeps(stage) for listing in listed_by):
        return "no run keeps them any more"
    return "no utterance that a run lists is in this shard"


def _find_leftovers(root: Path) -> list[Garbage]:
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if Path(folder) / name != damaged_folder(root)]
        for path in (Path(folder) / name for name in sorted([*subfolders, *names])):
            if files.is_leftover(path):
                reason = "half-written by a process that was killed"
                found.append(Garbage(str(path.relative_to(root)), reason, measure(path)))
    return found


def remove_garbage(root: Path, garbage: list[Garbage]) -> None:
    """Remove what `find_garbage` found, all of it or nothing; folders that are empty then go too.

    Raises:
        StoreError: A path is reached through a link, or is not one of a store's files; nothing was removed.
    """
    check_no_links(root)
    paths = [root / item.path for item in garbage]
    shards = [path for path in paths if path.suffix == ".h5"]
    remove(root, [*paths, *(part for path in shards for part in parts_of_shard(path))])
    for folder in {path.parent for path in shards}:
        remove_empty(folder)
    forget_removed(root)


def render_garbage(garbage: list[Garbage], *, removed: bool) -> str:
    """Give what was found as lines, and the bytes."""
    lines = [f"{item.path}: {item.reason} ({format_bytes(item.num_bytes)})" for item in garbage]
    total = format_bytes(sum(item.num_bytes for item in garbage))
    verb = "removed" if removed else "would be removed"
    return "\n".join(
        [
            *lines,
            f"{format_count(len(garbage), 'file')}, {total} {verb}"
            if garbage
            else "nothing to remove: a run needs every file",
        ]
    )

"""Writing shards from rows of other shards: for `compact`, `erase` and renamed clips. No feature is computed."""

import dataclasses
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from store.errors import StoreError
from store.features import find_width
from store.layout import StageSet, find_stage_sets, wav_path
from store.records.listings import SeenListings
from store.records.plans import StoredPlan, plan_path
from store.shard.reader import Shard
from store.shard.writer import ShardWriter, UtteranceRows
from store.tending.removal import parts_of_shard, remove

_ROWS_AT_ONCE = 1024
_IMAGES_AT_ONCE = 64


#: Stage sets, and the shards that each had when a rewriting began.
Sets = Mapping[StageSet, Mapping[str, Path]]


def snapshot_sets(root: Path) -> Sets:
    """List once which shards every stage set has."""
    return {stage_set: stage_set.shards for stage_set in find_stage_sets(root)}


def write_merged(root: Path, sets: Sets, plan: StoredPlan, origins: Mapping[str, str]) -> list[Path]:
    """Write a planned shard in every stage set in which all of its sources have a file.

    Args:
        root: The store's folder.
        sets: The stage sets and their shards.
        plan: The new shard.
        origins: Member to the id of the shard whose rows are taken.

    Returns:
        The files of old shards that could not be read; in their stage sets, the new shard was not written.
    """
    unreadable = []
    shards = sorted(set(origins.values()))
    for stage_set, paths in sets.items():
        target = stage_set.folder / f"{plan.shard}.h5"
        if target.exists() or not set(shards) <= set(paths):
            continue
        sources = {}
        for shard in shards:
            try:
                sources[shard] = Shard(paths[shard])
                names = [name for name in plan.names if origins[name] == shard]
                for name in names:
                    sources[shard].check_rows(name)
            except StoreError:
                unreadable.append(paths[shard])
        if not set(unreadable) & {paths[shard] for shard in shards}:
            _write_stage(root, stage_set, plan, {name: (sources[shard], name) for name, shard in origins.items()})
    return unreadable


def write_copied(
    root: Path,
    stage_set: StageSet,
    plan: StoredPlan,
    places: Mapping[str, tuple[str, str]],
    digests: Mapping[str, str],
) -> None:
    """Write a planned shard of one stage set from rows that other shards have under other names.

    Nothing is written if the new shard exists already, or if the stage set lacks some of those rows.

    Args:
        root: The store's folder.
        stage_set: The stage set.
        plan: The new shard.
        places: Member to the id of the shard whose rows are taken, and the name that they have there.
        digests: Member to the SHA-256 of its file; nothing is written if rows were made from another file.

    Raises:
        StoreError: A shard cannot be read.
    """
    paths = {shard: stage_set.folder / f"{shard}.h5" for shard, _ in places.values()}
    if (stage_set.folder / f"{plan.shard}.h5").exists() or not all(path.exists() for path in paths.values()):
        return
    shards = {shard: Shard(path) for shard, path in paths.items()}
    rows_of = {name: (shards[shard], old) for name, (shard, old) in places.items()}
    for source, old in rows_of.values():
        source.check_rows(old)
    if all(source.fact(old, "source_sha256") == digests[name] for name, (source, old) in rows_of.items()):
        _write_stage(root, stage_set, plan, rows_of)


def _write_stage(root: Path, stage_set: StageSet, plan: StoredPlan, rows_of: Mapping[str, tuple[Shard, str]]) -> None:
    """Write a shard: each member's rows come from a shard, and have a name there."""
    path = stage_set.folder / f"{plan.shard}.h5"
    provenance = _merge_provenance([source for source, _ in rows_of.values()])
    with ShardWriter(
        path,
        stage=stage_set.stage,
        shard=plan.shard,
        fingerprint=stage_set.fingerprint,
        provenance=provenance,
        width=find_width(next(iter(rows_of.values()))[0].schema),
    ) as writer:
        for name in plan.names:
            source, old = rows_of[name]
            with writer.utterance(name, source_sha256=source.fact(old, "source_sha256")) as rows:
                rows.set_status(source.fact(old, "status"), source.fact(old, "message"))
                facts = [column.name for column in source.schema.facts if column.name in source.fact_names]
                rows.facts = {fact: source.fact(old, fact) for fact in facts}
                if stage_set.stage == "wav":
                    rows.length = source.fact(old, "length")
                    places = ((source.path.stem, old), (plan.shard, name))
                    _link_wav(*(wav_path(root, stage_set.fingerprint, *place) for place in places))
                else:
                    _copy_rows(source, old, rows)


def _copy_rows(source: Shard, name: str, rows: UtteranceRows) -> None:
    schema = source.schema
    if schema.bytes_of:
        images = source.images(name)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            rows.append_bytes(list(images[start : start + _IMAGES_AT_ONCE]))
        return
    arrays = {column.name: source.rows(name, column.name) for column in schema.rows}
    for start in range(0, source.fact(name, "length"), _ROWS_AT_ONCE):
        rows.append(**{column: array[start : start + _ROWS_AT_ONCE] for column, array in arrays.items()})


def _merge_provenance(sources: list[Shard]) -> dict[str, Any]:
    """Merge the provenance of the sources; if it differs (in package versions), the new shard has all of it."""
    first = sources[0].provenance
    others = []
    for source in sources[1:]:
        if source.provenance != first and source.provenance not in others:
            others.append(source.provenance)
    return {**first, "merged_with": others} if others else dict(first)


def _link_wav(source: Path, target: Path) -> None:
    # A name that is too long for the file system has no WAV file; Path.exists would raise an error for it.
    if os.path.exists(source) and not target.exists():  # noqa: PTH110
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileExistsError:  # another host that does the same was first
            pass
        except OSError:  # a file system without hard links
            shutil.copy2(source, target)


def rewrite_listings(
    listings: SeenListings, root: Path, moved: Mapping[tuple[str, str], str], dropped: Iterable[str] = ()
) -> list[str]:
    """Let every run's listing name the new shards.

    Args:
        listings: Those that have been read already are not read again.
        root: The store's folder.
        moved: (utterance, id of its old shard) to the id of its new one.
        dropped: Utterances to remove from the listings.

    Returns:
        The runs whose listing has changed.
    """
    gone = set(dropped)
    changed = []
    for path, listing in listings.read().items():
        shards = {name: moved.get((name, shard), shard) for name, shard in listing.shards.items() if name not in gone}
        if shards != listing.shards:
            times = path.stat()
            sources = {name: listing.sources[name] for name in shards}
            vanished = listing.vanished - gone
            new = dataclasses.replace(listing, shards=shards, sources=sources, vanished=vanished)
            new.write(root, path)
            # The newest listing is the one that counts: which one that is must not change.
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            listings.keep(path, new)
            changed.append(listing.run)
    return changed


def files_of_shard(sets: Sets, root: Path, shard: str) -> list[Path]:
    """List a shard's files in every stage set, and its plan."""
    parts = [part for stage_set in sets for part in parts_of_shard(stage_set.folder / f"{shard}.h5")]
    return [*parts, plan_path(root, shard)]


def remove_shard(root: Path, sets: Sets, shard: str) -> None:
    """Remove a shard's files in every stage set, and its plan; existing mappings of them stay whole."""
    remove(root, files_of_shard(sets, root, shard))

"""Checking a whole store: every shard, every WAV file, the plan, the listings, and what belongs to nothing."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from store import files
from store.errors import LaterFormatError, StoreError
from store.layout import check_is_store, find_links, find_stage_sets, listings_folder, plans_folder
from store.records.erased import read_erased
from store.records.listings import Listing
from store.records.plans import StoredPlan
from store.shard.reader import Shard
from store.tending.check import Fault, check_shard, check_wavs

_KNOWN_FILES = {"erased.json"}


@dataclass
class Checked:
    """What `verify_store` has checked so far."""

    shards: int = 0
    num_bytes: int = 0


def verify_store(root: Path, checked: Checked | None = None) -> Iterator[Fault]:
    """Check a store, file by file; the digests come first, so that a damaged file cannot hang the check.

    Args:
        root: The store's folder.
        checked: Counts the shards and bytes that were checked.

    Yields:
        Each fault when it is found; a fault of one file does not hide those of others.

    Raises:
        StoreError: The folder is not a store.

    """
    check_is_store(root)
    checked = checked or Checked()
    for link in find_links(root):
        message = f"it is a link to {link.readlink()}; gc, compact, erase and --repair refuse the store"
        yield Fault(str(link.relative_to(root)), "link", message)
    try:
        read_erased(root)
    except LaterFormatError as error:
        yield Fault("erased.json", "version", str(error))
    except StoreError as error:
        yield Fault("erased.json", "erased", str(error))
    plans: dict[str, StoredPlan] = {}
    yield from _check_plans(root, plans)
    yield from _check_listings(root, plans)
    paths = [path for stage_set in find_stage_sets(root) for path in stage_set.shards.values()]
    # Digests are computed without the interpreter's lock: threads read and digest several files at a time.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, faults in zip(paths, pool.map(lambda path: _check(root, path, plans), paths), strict=True):
            checked.shards += 1
            checked.num_bytes += path.stat().st_size if path.exists() else 0
            yield from faults
    yield from _find_orphans(root, plans)


def _check(root: Path, path: Path, plans: dict[str, StoredPlan]) -> list[Fault]:
    faults = check_shard(root, path)
    if not faults and path.stem in plans:
        names = Shard(path, mapped=False).names
        if sorted(names) != sorted(plans[path.stem].names):
            odd = sorted(set(names) ^ set(plans[path.stem].names))
            where = str(path.relative_to(root))
            faults.append(Fault(where, "plan", "its utterances are not the members of its plan", tuple(odd)))
    if path.parent.parent.name == "wav":
        faults += check_wavs(root, path)
    return faults


def _check_plans(root: Path, plans: dict[str, StoredPlan]) -> Iterator[Fault]:
    for path in _visible(plans_folder(root), "*.json"):
        try:
            plans[path.stem] = StoredPlan.read(path)
        except LaterFormatError as error:
            yield Fault(str(path.relative_to(root)), "version", str(error))
        except StoreError as error:
            yield Fault(str(path.relative_to(root)), "plan", str(error))


def _check_listings(root: Path, plans: dict[str, StoredPlan]) -> Iterator[Fault]:
    for path in _visible(listings_folder(root), "*.json"):
        name = str(path.relative_to(root))
        try:
            listing = Listing.read(path)
        except LaterFormatError as error:
            yield Fault(name, "version", str(error))
            continue
        except (StoreError, OSError) as error:
            yield Fault(name, "root", str(error))
            continue
        members = {shard: set(plan.names) for shard, plan in plans.items()}
        unplanned = sorted(shard for shard in set(listing.shards.values()) if shard not in members)
        if unplanned:
            names = tuple(sorted(name for name, shard in listing.shards.items() if shard not in members))
            yield Fault(name, "root", f"shards without a plan ({', '.join(unplanned[:3])})", names)
        strangers = sorted(n for n, shard in listing.shards.items() if shard in members and n not in members[shard])
        if strangers:
            yield Fault(name, "root", "utterances that are not members of their shard", tuple(strangers))


def _find_orphans(root: Path, plans: dict[str, StoredPlan]) -> Iterator[Fault]:
    stages = {stage_set.folder: stage_set for stage_set in find_stage_sets(root)}
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        # Half-written folders, and links (which are not followed), are checked like files.
        single = [name for name in subfolders if files.is_leftover(here / name) or _is_stray_link(root, here / name)]
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "damaged")
        if here in stages:
            shards = stages[here].shards
            # The WAV files of a shard are checked with it; their folder without the shard is an orphan.
            for name in [name for name in subfolders if stages[here].stage == "wav"]:
                subfolders.remove(name)
                if name not in shards and name not in plans:
                    yield Fault(str((here / name).relative_to(root)), "orphan", f"WAV files without {name}.h5")
        for name in sorted([*names, *single]):
            message = _orphaned(root, here / name, here in stages, plans)
            if message:
                yield Fault(str((here / name).relative_to(root)), "orphan", message)


def _is_stray_link(root: Path, path: Path) -> bool:
    return path.is_symlink() and path not in find_links(root)


def _orphaned(root: Path, path: Path, in_stage: bool, plans: dict[str, StoredPlan]) -> str:
    if path.name.startswith("."):
        return "half-written by a process that was killed" if files.is_leftover(path) else ""
    if in_stage and path.suffix == ".h5":
        return "" if path.stem in plans else f"no plan names the shard {path.stem}"
    if in_stage and path.name.endswith(".h5.sums"):
        # Sidecar and WAV files are written before the shard's file: for a planned shard, they are unfinished work.
        shard = path.name.removesuffix(".h5.sums")
        return "" if shard in plans or path.with_suffix("").exists() else "digests without their file"
    if path.parent in (plans_folder(root), listings_folder(root)) and path.suffix == ".json":
        return ""
    return "" if path.parent == root and path.name in _KNOWN_FILES else "it is not a part of a store"


def _visible(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))

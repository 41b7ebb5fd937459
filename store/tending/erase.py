"""Erasing a participant who withdraws: every row, sound, plan and listing of theirs; later runs refuse the clips."""

import difflib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store import files
from store.erased import read_erased
from store.errors import StoreError, UtteranceNotFoundError
from store.layout import damaged_folder, find_stage_sets
from store.listings import read_listings
from store.plans import Member, plan_of, read_stored_plans
from store.shard.reader import Shard
from store.tending.rewrite import remove_files, remove_shard, rewrite_listings, write_merged

#: Files of a run in which names stand as text; everything else in it is a checkpoint or a log.
_TEXT = {".csv", ".json", ".html", ".log", ".txt", ".jsonl"}
#: The file by which a folder of pages made by `browse` is known.
PAGES_MARK = "valar-pages.json"


@dataclass
class Erasure:
    """What was erased, and what outside of the store still rests on it.

    Args:
        utterances: The erased ones.
        shards: Ids of the shards that were written anew or removed.
        unreadable: Damaged files that were removed whole; the next run makes them again for the others.
        pages: Folders of pages in the store that were removed; `browse` makes them again.
        reports: Files of runs in which an erased name stands.
        checkpoints: Checkpoints of the runs that listed an erased utterance: they may have been trained on it.

    """

    utterances: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return dict(vars(self))


def find_utterances(root: Path, names: Iterable[str]) -> list[str]:
    """Find what is to be erased: an utterance by its full name, a video with all of its utterances.

    Raises:
        UtteranceNotFoundError: A name is not in this store and was not erased before; names the nearest.

    """
    known = {name for plan in read_stored_plans(root).values() for name in plan.names}
    known |= {name for listing in read_listings(root) for name in listing.shards}
    erased = read_erased(root)
    found: set[str] = set()
    for wanted in names:
        matching = {name for name in known if name == wanted or name.startswith(f"{wanted.rstrip('/')}/")}
        if not matching and wanted not in erased:
            near = difflib.get_close_matches(wanted, known | {name.partition("/")[0] for name in known}, 3, 0.6)
            hint = f"; the nearest names are {', '.join(near)}" if near else ""
            raise UtteranceNotFoundError(f"{wanted!r} is no utterance and no video of {root}{hint}; nothing was erased")
        found |= matching
    return sorted(found)


def erase(root: Path, names: list[str], runs: Iterable[Path] = ()) -> Erasure:
    """Erase utterances and videos from a store, and let it refuse them from now on.

    Args:
        root: The store's folder; its lock must be held.
        names: `video/utterance`, or `video` for all of its utterances.
        runs: Folders of runs to be searched, beside those that the listings name.

    """
    victims = set(find_utterances(root, names))
    result = Erasure(utterances=sorted(victims))
    folders = sorted({*map(Path, runs), *_runs_that_listed(root, victims)})
    # The refusal comes first: whatever interrupts the rest, the wish is on record and can be given again.
    read_erased(root).with_names([name.rstrip("/") for name in names]).write(root)
    moved: dict[tuple[str, str], str] = {}
    affected = _find_affected(root, victims)
    for shard, members in affected.items():
        plan = plan_of([member for member in members if member[0] not in victims], [shard])
        if plan.members:
            unreadable = write_merged(root, plan, dict.fromkeys(plan.names, shard))
            result.unreadable += [str(path.relative_to(root)) for path in unreadable]
            plan.write(root)
            moved |= {(name, shard): plan.shard for name in plan.names}
    rewrite_listings(root, moved, victims)
    for shard in affected:
        remove_shard(root, shard)
        result.shards.append(shard)
    _remove_strays(root, set(affected), victims)
    result.pages = _remove_pages(root)
    for folder in folders:
        _search_run(folder, victims | set(names), result)
    return result


def _runs_that_listed(root: Path, victims: set[str]) -> set[Path]:
    return {Path(listing.runs) for listing in read_listings(root) if listing.runs and victims & set(listing.shards)}


def _find_affected(root: Path, victims: set[str]) -> dict[str, list[Member]]:
    plans = read_stored_plans(root)
    return {shard: list(plan.members) for shard, plan in plans.items() if victims & set(plan.names)}


def _remove_strays(root: Path, affected: set[str], victims: set[str]) -> None:
    """Remove what no plan names: shards without a plan, what was set aside, what was half-written."""
    for stage_set in find_stage_sets(root):
        for path in stage_set.shards.values():
            try:
                if victims & set(Shard(path).names):
                    remove_files(path)
            except StoreError:
                continue  # of a shard that never held them, by its plan
    files.remove_leftovers(root, below=True)
    for folder, _, names in os.walk(damaged_folder(root), topdown=False):
        here = Path(folder)
        for path in (here / name for name in names):
            of_affected = any(part.partition(".")[0] in affected for part in path.relative_to(root).parts)
            # Plans and listings that were set aside cannot be read, so what they name is not known.
            if of_affected or ".json" in path.name:
                path.unlink()
        if not any(here.iterdir()):
            here.rmdir()


def _remove_pages(root: Path) -> list[str]:
    folders = sorted(path.parent for path in root.rglob(PAGES_MARK))
    for folder in folders:
        shutil.rmtree(folder)
    return [str(folder.relative_to(root)) for folder in folders]


def _search_run(folder: Path, names: set[str], result: Erasure) -> None:
    # A ledger has video/utterance, a file of predictions the two in columns.
    needles = [text.encode() for name in sorted(names) for text in {name, name.replace("/", ",", 1)}]
    for path in sorted(folder.rglob("*")):
        if path.name == "training.json" and path.is_file():
            result.checkpoints.append(str(path.parent))
        elif path.is_file() and not path.is_symlink() and path.suffix in _TEXT:
            content = path.read_bytes()
            if any(needle in content for needle in needles):
                result.reports.append(str(path))


def render_erasure(result: Erasure) -> str:
    """Say what was erased, and what the user has to see to."""
    lines = [f"erased {len(result.utterances)} utterances from {len(result.shards)} shards: later runs refuse them"]
    for title, found in (
        ("damaged files that were removed whole; the next run makes them again", result.unreadable),
        ("pages that were removed; `browse` makes them again", result.pages),
        ("checkpoints that may have been trained on them; remove them and train again", result.checkpoints),
        ("files of runs in which their names stand; remove them", result.reports),
    ):
        if found:
            lines += [f"{title}:", *(f"  {path}" for path in found)]
    lines.append("their clips, CSV rows, and copies or backups of this store are outside of it: remove them yourself")
    return "\n".join(lines)

"""Erasing a participant who withdraws: every row, sound, plan and listing of theirs; later runs refuse the clips."""

import contextlib
import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store import files
from store.errors import ShardError, UtteranceNotFoundError
from store.layout import check_is_store, damaged_folder, find_stage_sets
from store.pages_mark import find_pages, list_pages, page_number
from store.records.erased import Content, read_erased
from store.records.listings import SeenListings, read_listings
from store.records.plans import Member, plan_of, read_stored_plans
from store.shard.reader import Shard
from store.tables import forget
from store.tending.removal import check_no_links, check_removable, parts_of_shard, remove, remove_empty
from store.tending.rewrite import files_of_shard, remove_shard, rewrite_listings, snapshot_sets, write_merged
from store.text import format_count

#: Files of a run in which names stand as text; everything else in it is a checkpoint or a log.
_TEXT = {".csv", ".json", ".html", ".js", ".log", ".txt", ".jsonl"}


@dataclass
class Erasure:
    """What was erased, and what outside of the store still depends on it.

    Args:
        utterances: The erased utterances.
        equal: Those of them that the user did not name: their content is the same as that of a named one.
        akin: Utterances that are kept, although they come from the same file as an erased one: they are other parts of
            it, or have other settings.
        shards: Ids of the shards that are written anew or removed.
        unreadable: Damaged files that were removed whole; the next run makes them again for the others.
        pages: Folders of pages in the store, whose pages are removed; `browse` makes them again.
        reports: Files of runs that contain an erased name.
        checkpoints: Checkpoints of the runs that listed an erased utterance: they may have been trained on it.
        contents: The contents of the erased utterances.

    """

    utterances: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    akin: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data, without `contents`: a digest that is printed would outlive the clip."""
        return {name: value for name, value in vars(self).items() if name != "contents"}


def find_utterances(root: Path, names: Iterable[str]) -> list[str]:
    """Find what is to be erased: an utterance by its full name, a video with all of its utterances.

    Utterances that an earlier, interrupted erasure has left are found, too.

    Raises:
        UtteranceNotFoundError: A name is not in this store and was not erased before; the message has similar names.

    """
    known = {name for plan in read_stored_plans(root).values() for name in plan.names}
    known |= {name for listing in read_listings(root) for name in listing.shards}
    erased = read_erased(root)
    found = {name for name in known if name in erased}
    for wanted in names:
        matching = {name for name in known if name == wanted or name.startswith(f"{wanted.rstrip('/')}/")}
        if not matching and wanted not in erased:
            near = difflib.get_close_matches(wanted, known | {name.partition("/")[0] for name in known}, 3, 0.6)
            hint = f"; the nearest names are {', '.join(near)}" if near else ""
            raise UtteranceNotFoundError(
                f"{wanted!r} is neither an utterance nor a video of {root}{hint}; nothing was erased"
            )
        found |= matching
    return sorted(found)


def _find_equal(root: Path, victims: set[str]) -> tuple[set[str], set[str], list[Content]]:
    """Find utterances with the same content as the victims: a clip may have had another name before.

    Parts of one recording come from one file, and differ in the user's settings for them (the override). Empty files,
    and pages that a web site sent in place of a video, are equal, too, but show no person: only utterances with rows
    count.

    Returns:
        Utterances with the same file and override; utterances with the same file only, of which it is not known
        whether they show the same person; and the contents of the victims.
    """
    members = {
        (shard, member.name): (member.size, member.override)
        for shard, plan in read_stored_plans(root).items()
        for member in plan.members
    }
    names: dict[tuple[str, str], set[str]] = {}
    contents: dict[Content, set[str]] = {}
    for stage_set in find_stage_sets(root):
        for shard, path in stage_set.shards.items():
            with contextlib.suppress(ShardError):
                rows = Shard(path)
                columns = rows.facts("source_sha256"), rows.facts("length")
                for name, digest, length in zip(rows.names, *columns, strict=True):
                    if digest and length:
                        size, override = members.get((shard, name), (0, ""))
                        content = Content(bytes(digest).decode("ascii", "replace"), size, override)
                        names.setdefault((content.sha256, override), set()).add(name)
                        contents.setdefault(content, set()).add(name)
    equal = {name for found in names.values() if found & victims for name in found} | victims
    digests = {digest for (digest, _), found in names.items() if found & equal}
    same_file = {name for (digest, _), found in names.items() if digest in digests for name in found}
    return equal - victims, same_file - equal, sorted(each for each, found in contents.items() if found & victims)


def find_erasure(root: Path, names: list[str], runs: Iterable[Path] = ()) -> Erasure:
    """Find what `erase` would erase and what depends on it, changing nothing.

    Args:
        root: The store's folder.
        names: `video/utterance`, or `video` for all of its utterances.
        runs: Folders of runs to search, in addition to those that the listings name.

    Raises:
        StoreError: The folder is not a store, or a part of it could not be removed.
        UtteranceNotFoundError: A name is not in it.

    """
    check_is_store(root)
    check_no_links(root)
    named = set(find_utterances(root, names))
    equal, akin, contents = _find_equal(root, named)
    victims = named | equal
    sets = snapshot_sets(root)
    shards = sorted(_find_affected(root, victims))
    pages = find_pages(root)
    result = Erasure(sorted(victims), sorted(equal), sorted(akin), shards, contents=contents)
    result.pages += [str(folder.relative_to(root)) for folder in pages]
    removed = [*(path for shard in shards for path in files_of_shard(sets, root, shard)), *_find_aside(root, shards)]
    for path in [*removed, *(path for folder in pages for path in list_pages(folder))]:
        if os.path.lexists(path):
            check_removable(root, path)
    for folder in sorted({*map(Path, runs), *_runs_that_listed(root, victims)}):
        _search_run(folder, victims | set(names), result)
    return result


def erase(root: Path, names: list[str], runs: Iterable[Path] = ()) -> Erasure:
    """Erase utterances and videos from a store, and let it refuse them from now on.

    Args:
        root: The store's folder; its lock must be held.
        names: As `find_erasure` takes them.
        runs: Folders of runs, as `find_erasure` takes them.

    Raises:
        StoreError: As `find_erasure` raises; then nothing was erased.

    """
    result = find_erasure(root, names, runs)
    victims = set(result.utterances)
    # The refusal is written first: if the rest is interrupted, it is on record, and the command can be given again.
    erased = read_erased(root).with_names([*(name.rstrip("/") for name in names), *result.equal])
    erased.with_contents(result.contents).write(root)
    moved: dict[tuple[str, str], str] = {}
    affected = _find_affected(root, victims)
    sets = snapshot_sets(root)
    for shard, members in affected.items():
        plan = plan_of([member for member in members if member.name not in victims], [shard])
        if plan.members:
            unreadable = write_merged(root, sets, plan, dict.fromkeys(plan.names, shard))
            result.unreadable += [str(path.relative_to(root)) for path in unreadable]
            plan.write(root)
            moved |= {(name, shard): plan.shard for name in plan.names}
    rewrite_listings(SeenListings(root), root, moved, victims)
    for shard in affected:
        remove_shard(root, sets, shard)
    _remove_strays(root, set(affected), victims)
    forget(root)
    _remove_pages(root)
    return result


def _runs_that_listed(root: Path, victims: set[str]) -> set[Path]:
    found = {Path(listing.runs) for listing in read_listings(root) if listing.runs and victims & set(listing.shards)}
    # In a store from someone else, a listing may name any folder: only a folder that looks like a run's is searched.
    return {folder for folder in found if any((folder / name).exists() for name in ("checkpoints", "reports"))}


def _find_affected(root: Path, victims: set[str]) -> dict[str, list[Member]]:
    plans = read_stored_plans(root)
    return {shard: list(plan.members) for shard, plan in plans.items() if victims & set(plan.names)}


def _remove_strays(root: Path, affected: set[str], victims: set[str]) -> None:
    """Remove what no plan names: shards without a plan, what was set aside, what was half-written."""
    for stage_set in find_stage_sets(root):
        for path in stage_set.shards.values():
            try:
                holds = victims & set(Shard(path).names)
            except ShardError:
                continue  # it cannot be read; by its plan, it never had them
            if holds:
                remove(root, parts_of_shard(path))
    files.remove_leftovers(root, below=True)
    remove(root, _find_aside(root, affected))
    for folder, _, _ in os.walk(damaged_folder(root), topdown=False):
        remove_empty(Path(folder))


def _find_aside(root: Path, affected: Iterable[str]) -> list[Path]:
    """Find files that were set aside and may contain the erased utterances."""
    found = []
    shards = set(affected)
    for folder, _, names in os.walk(damaged_folder(root)):
        for path in (Path(folder) / name for name in names):
            of_affected = any(part.partition(".")[0] in shards for part in path.relative_to(root).parts)
            # Plans and listings that were set aside cannot be read, so what they name is not known.
            if of_affected or ".json" in path.name:
                found.append(path)
    return found


def _remove_pages(root: Path) -> None:
    for folder in find_pages(root):
        remove(root, list_pages(folder))
        remove_empty(folder / "clips")
        remove_empty(folder)


def _search_run(folder: Path, names: set[str], result: Erasure) -> None:
    # A ledger has video/utterance, a file of predictions the two in columns.
    needles = [text.encode() for name in sorted(names) for text in {name, name.replace("/", ",", 1)}]
    faces = {f"{page_number(name)}.jpg" for name in names}
    for path in sorted(folder.rglob("*")):
        if path.name == "training.json" and path.is_file():
            result.checkpoints.append(str(path.parent))
        elif path.name in faces:
            result.reports.append(str(path))
        elif path.is_file() and not path.is_symlink() and path.suffix in _TEXT:
            content = path.read_bytes()
            if any(needle in content for needle in needles):
                result.reports.append(str(path))


def render_erasure(result: Erasure, *, erased: bool = True) -> str:
    """Say what was erased, or would be, and what the user still has to remove."""
    verb = "erased" if erased else "would erase"
    names, shards = format_count(len(result.utterances), "utterance"), format_count(len(result.shards), "shard")
    lines = [f"{verb} {names} from {shards}; later runs refuse them"]
    for title, found in (
        ("you did not name the following of these; they have the same content as one that you named", result.equal),
        ("kept, although they come from the same file; also erase those of the same person", result.akin),
        ("damaged files that are removed whole; the next run makes them again", result.unreadable),
        ("pages that are removed; `browse` makes them again", result.pages),
        ("checkpoints that may have been trained on them; remove them and train again", result.checkpoints),
        ("files of runs that contain their names; remove them", result.reports),
    ):
        if found:
            lines += [f"{title}:", *(f"  {path}" for path in found)]
    lines.append("their clips, CSV rows, and copies or backups of this store are outside of it: remove them yourself")
    return "\n".join(lines)

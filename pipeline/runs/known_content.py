"""Clips that the store knows by their content under another name: renamed ones, moved ones, copies.

What a stage makes of a clip rests on its bytes, on what its user says of it and on the settings, not on its name. So
nothing is computed for such a clip: its rows are copied into a shard of its own, under the new name.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.progress import logger
from pipeline.runs.plan import Place
from pipeline.runs.run import Run, compute_file_digest
from pipeline.runs.stage_files import StageFiles
from store.errors import StoreError
from store.layout import StageSet, stage_folder
from store.records.listings import BESIDE
from store.records.plans import Member, StoredPlan
from store.tending.rewrite import write_copied
from store.text import format_count

#: Statuses that are the content's alone: what broke off, or could not be read, is tried anew.
_LASTING = frozenset({"ok", "no_stream", "no_face", "too_short"})


def find_known_content(
    stage_files: StageFiles,
    stored: Mapping[str, StoredPlan],
    clips: Sequence[Member],
    videos: Path,
    is_erased: Callable[[str], bool],
) -> dict[str, Place]:
    """Find rows that were made of the same bytes as clips that no shard has.

    A clip is read only where something of its size is known, of which its user has said the same.

    Args:
        stage_files: The stage sets of the run.
        stored: The shards planned so far, by id.
        clips: The clips.
        videos: The folder of videos.
        is_erased: Whether the rows of a name are to be gone: none are taken from there.

    Returns:
        Name of a clip to where its rows are; clips that are not known are not in it.
    """
    wanted = {(clip.size, clip.override) for clip in clips}
    places: dict[tuple[int, str], list[Place]] = {}
    for shard, plan in stored.items() if wanted else ():
        for member in plan.members:
            if (member.size, member.override) in wanted and not is_erased(member.name):
                places.setdefault((member.size, member.override), []).append((shard, member.name))
    known = {key: _read_digests(stage_files, sorted(found)) for key, found in places.items()}
    found = {}
    for clip in clips:
        digests = known.get((clip.size, clip.override))
        with contextlib.suppress(OSError):  # what cannot be read is told by the stage that has to read it
            if digests and (place := digests.get(compute_file_digest(videos / clip.path))):
                found[clip.name] = place
    return found


def _read_digests(stage_files: StageFiles, places: Iterable[Place]) -> dict[str, Place]:
    """Give what finished shards say of their sources: digest to the first place that has its rows."""
    found: dict[str, Place] = {}
    for shard, name in places:
        with contextlib.suppress(StoreError):  # `verify` tells of it
            if stage_files.is_finished(shard) and (digest := _find_digest(stage_files, shard, name)):
                found.setdefault(digest, (shard, name))
    return found


def _find_digest(stage_files: StageFiles, shard: str, name: str) -> str:
    """Give the digest of what an utterance's features were made of; "" where they cannot stand for another's."""
    digests = set()
    for stage in [stage.name for stage in stage_files.chain.values() if stage.is_feature]:
        table = stage_files.table(stage, shard)
        if table is None or name not in table or table.fact(name, "status") not in _LASTING:
            return ""
        digests.add(str(table.fact(name, "source_sha256")))
    return digests.pop() if len(digests) == 1 else ""


def take_over(run: Run) -> None:
    """Copy the rows of clips that are known into their shards; where that fails, they are computed like any other's.

    Args:
        run: Opened; its store's lock is held, and its plans need not be written yet.
    """
    for shard, places in run.taken.items():
        table = run.table("stft", shard)
        assert table is not None, "only what is finished is known"
        digests = {name: table.fact(name, "source_sha256") for name in places}
        try:
            for stage, fingerprint in run.fingerprints.items():
                if stage not in BESIDE or stage in run.kept:
                    stage_set = StageSet(stage, fingerprint, stage_folder(run.store, stage, fingerprint))
                    write_copied(run.store, stage_set, run.plan.shards[shard], places, digests)
        except (StoreError, OSError) as error:
            logger.warning("the rows of shard %s cannot be copied, so they are computed: %s", shard, error)
        run.close_shards(shard)


def describe_taken(taken: Mapping[str, Mapping[str, Place]]) -> str:
    """Say which clips are known under other names; "" where none are.

    >>> describe_taken({"00": {"v/new": ("11", "v/old")}})
    '1 clip is known by its content, and nothing is computed for it (v/new has that of v/old)'
    """
    names = {name: old for places in taken.values() for name, (_, old) in places.items()}
    if not names:
        return ""
    name = min(names)
    known = format_count(len(names), "clip has known content", "clips have known content")
    first, them = ("", "it") if len(names) == 1 else ("the first: ", "them")
    return f"{known}, and nothing is computed for {them} ({first}{name} has that of {names[name]})"

"""Clips whose content the store already has under another name: renamed clips, moved clips, copies.

A stage's rows depend on a clip's bytes, on its overrides and on the settings, not on its name. So nothing is computed
for such a clip: its rows are copied into a new shard, under the new name.
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

#: Statuses that depend on the content alone. A clip with a decode error, or one that could not be read, is tried again.
_LASTING = frozenset({"ok", "no_stream", "no_face", "too_short"})


def find_known_content(
    stage_files: StageFiles,
    stored: Mapping[str, StoredPlan],
    clips: Sequence[Member],
    videos: Path,
    is_erased: Callable[[str], bool],
) -> dict[str, Place]:
    """Find rows that were made from the same bytes as clips that no shard holds.

    A clip is read only where the store has a clip of the same size with the same overrides.

    Args:
        stage_files: The stage sets of the run.
        stored: The shards planned so far, by id.
        clips: The clips that no shard holds.
        videos: The folder of videos.
        is_erased: Whether an utterance was erased: its rows are not used.

    Returns:
        Name of a clip to the place of its rows; clips with unknown content are not in it.
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
        with contextlib.suppress(OSError):  # the stage that reads the clip reports that it cannot be read
            if digests and (place := digests.get(compute_file_digest(videos / clip.path))):
                found[clip.name] = place
    return found


def _read_digests(stage_files: StageFiles, places: Iterable[Place]) -> dict[str, Place]:
    """Give the digests of sources that finished shards record: digest to the first place that has its rows."""
    found: dict[str, Place] = {}
    for shard, name in places:
        with contextlib.suppress(StoreError):  # `verify` reports damaged files
            if stage_files.is_finished(shard) and (digest := _find_digest(stage_files, shard, name)):
                found.setdefault(digest, (shard, name))
    return found


def _find_digest(stage_files: StageFiles, shard: str, name: str) -> str:
    """Give the digest of the file of an utterance's features; "" where these features cannot be copied."""
    digests = set()
    for stage in [stage.name for stage in stage_files.chain.values() if stage.is_feature]:
        table = stage_files.table(stage, shard)
        if table is None or name not in table or table.fact(name, "status") not in _LASTING:
            return ""
        digests.add(str(table.fact(name, "source_sha256")))
    return digests.pop() if len(digests) == 1 else ""


def take_over(run: Run) -> None:
    """Copy the rows of clips with known content into their new shards; if that fails, the rows are computed.

    Args:
        run: An opened run; the caller holds its store's lock. Its new plans need not be written yet.
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
    """Say for which clips the store has the content under another name; "" where there are none.

    >>> describe_taken({"00": {"v/new": ("11", "v/old")}})
    '1 clip is in the store under another name, so nothing is computed for it (v/new has the content of v/old)'
    """
    names = {name: old for places in taken.values() for name, (_, old) in places.items()}
    if not names:
        return ""
    name = min(names)
    count = len(names)
    known = format_count(count, "clip is in the store under another name", "clips are in the store under other names")
    first, them = ("", "it") if count == 1 else ("the first: ", "them")
    return f"{known}, so nothing is computed for {them} ({first}{name} has the content of {names[name]})"

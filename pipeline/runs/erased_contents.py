"""Copies of erased clips under other names: the store refuses the copies, too."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.runs.run import compute_file_digest
from pipeline.runs.stage_files import StageFiles
from store.records.erased import read_erased
from store.records.plans import Member, read_stored_plans


def find_erased_contents(stage_files: StageFiles, clips: Mapping[str, Member], videos: Path) -> dict[str, str]:
    """Find clips whose content was erased.

    A clip is read only if a clip of the same size was erased and no finished shard records the digest of its content.

    Args:
        stage_files: The stage sets of the run.
        clips: The clips that exist, by name.
        videos: The folder of videos.

    Returns:
        Name of a refused clip to a sentence that says why it is refused.
    """
    erased = read_erased(stage_files.store)
    if not erased.has_contents:
        return {}
    suspects = [clip for clip in clips.values() if erased.may_hold(clip.size, clip.override)]
    known = _find_known(stage_files, suspects)
    found = {}
    for clip in suspects:
        digest = known.get(clip, "")
        with contextlib.suppress(OSError):  # the stage that reads the clip reports that it cannot be read
            digest = digest or compute_file_digest(videos / clip.path)
        if date := erased.find_content_date(digest, clip.override):
            found[clip.name] = (
                f"{clip.name} is a copy of a clip that was erased from {stage_files.store} on {date} and is not added "
                "again; remove its file and its CSV row"
            )
    return found


def _find_known(stage_files: StageFiles, suspects: Iterable[Member]) -> dict[Member, str]:
    """Give the sha256 that finished shards record of these clips' files, for those clips that have one there."""
    wanted, found = set(suspects), {}
    for shard, plan in read_stored_plans(stage_files.store).items() if wanted else ():
        for member in wanted & set(plan.members):
            table = stage_files.table("stft", shard) if stage_files.is_finished(shard) else None
            if table is not None and member.name in table:
                found[member] = str(table.fact(member.name, "source_sha256"))
    return found

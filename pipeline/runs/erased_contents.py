"""Copies of erased clips under other names: the store refuses them, too."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.runs.run import compute_file_digest
from pipeline.runs.stage_files import StageFiles
from store.records.erased import read_erased
from store.records.plans import Member, read_stored_plans


def find_erased_contents(stage_files: StageFiles, clips: Mapping[str, Member], videos: Path) -> dict[str, str]:
    """Find clips whose content was erased.

    A clip is read only where something of its size was erased, and where no finished shard says what it is.

    Args:
        stage_files: The stage sets of the run.
        clips: The clips that are there, by name.
        videos: The folder of videos.

    Returns:
        Name of a clip to a sentence that says why it is refused.
    """
    erased = read_erased(stage_files.store)
    if not erased.has_contents:
        return {}
    suspects = [clip for clip in clips.values() if erased.may_hold(clip.size, clip.override)]
    known = _find_known(stage_files, suspects)
    found = {}
    for clip in suspects:
        digest = known.get(clip, "")
        with contextlib.suppress(OSError):  # what cannot be read is told by the stage that has to read it
            digest = digest or compute_file_digest(videos / clip.path)
        if date := erased.find_content_date(digest, clip.override):
            found[clip.name] = (
                f"{clip.name} is a copy of a clip that was erased from {stage_files.store} on {date} and is not taken "
                "up again; remove its file and its CSV row"
            )
    return found


def _find_known(stage_files: StageFiles, suspects: Iterable[Member]) -> dict[Member, str]:
    """Give what finished shards say of the sources of just these files."""
    wanted, found = set(suspects), {}
    for shard, plan in read_stored_plans(stage_files.store).items() if wanted else ():
        for member in wanted & set(plan.members):
            table = stage_files.table("stft", shard) if stage_files.is_finished(shard) else None
            if table is not None and member.name in table:
                found[member] = str(table.fact(member.name, "source_sha256"))
    return found

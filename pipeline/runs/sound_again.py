"""Sound that an earlier version could not decode, perhaps because its ffmpeg was broken: found and made again.

Such sound is found by the messages that only earlier versions wrote.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

from pipeline.runs.plan import Plan
from pipeline.runs.run import Run
from pipeline.runs.stage_files import StageFiles
from store.records.plans import Member, StoredPlan
from store.shard.reader import Shard
from store.shard.sidecar import sidecar_path
from store.tables import Table

#: The beginnings of messages of versions that blamed the clip whenever ffmpeg failed, even when ffmpeg itself could not
#: run. No message of today begins so: sound that was made again is not found again.
MISTRUSTED = ("ffmpeg cannot decode the sound", "the audio stream gives not one sample")


def find_mistrusted(rows: Table | Shard | None) -> frozenset[str]:
    """Find the utterances without sound where a broken ffmpeg of an earlier version may be the reason.

    Only the messages of clips with a decode_error are read, and those are few.

    Args:
        rows: A shard's file of the stage stft, or its table; None where the shard has none.
    """
    if rows is None:
        return frozenset()
    table = Table.of(rows) if isinstance(rows, Shard) else rows
    failed = table.find("status", "decode_error")
    return frozenset(name for name in failed if table.fact(name, "message").startswith(MISTRUSTED))


class MistrustedSound:
    """The sound in a store's shards that may be wrong (`find_mistrusted`), for planning; each shard is read once.

    Args:
        stage_files: The stage sets of the run.
        stored: The shards planned so far, by id.
        clips: The clips that exist, by utterance.
        seen: Utterance to (shard id, stamp) as the run before recorded them.
        videos: The folder of videos.
    """

    def __init__(
        self,
        stage_files: StageFiles,
        stored: Mapping[str, StoredPlan],
        clips: Mapping[str, Member],
        seen: Mapping[str, tuple[str, tuple[int, int]]],
        videos: Path,
    ) -> None:
        self._stored = stored
        self._clips = clips
        self._seen = seen
        self._videos = videos
        #: Shard id to the utterances with such sound.
        self.find = functools.cache(lambda shard: find_mistrusted(stage_files.table("stft", shard)))
        self._is_whole = functools.cache(self._has_all_clips)

    def is_to_be_made(self, shard: str) -> bool:
        """Tell whether a shard has such sound and all its clips exist, so that making it again loses no rows."""
        return bool(self.find(shard)) and self._is_whole(shard)

    def is_lost(self, shard: str, name: str) -> bool:
        """Tell whether an utterance has such sound in a shard that cannot be made again: it needs another shard."""
        return name in self.find(shard) and not self._is_whole(shard)

    def pick(self, plan: Plan) -> frozenset[str]:
        """Pick the shards of a plan whose sound is to be made again: the plan takes such an utterance from there."""
        return frozenset(
            shard
            for shard in plan.shards
            if self.is_to_be_made(shard) and any(plan.assigned.get(name) == shard for name in self.find(shard))
        )

    def _has_all_clips(self, shard: str) -> bool:
        stored = self._stored.get(shard)  # if the shard's plan was lost, it is made again from clips that exist
        return stored is None or all(self._is_there(shard, member) for member in stored.members)

    def _is_there(self, shard: str, member: Member) -> bool:
        """Check what `Run.find_source` checks, before there is a plan; clips that the run does not list count, too."""
        clip = self._clips.get(member.name)
        # A file whose time has changed, but not its content, stays in its shard.
        is_touched = clip is not None and self._seen.get(member.name) == (shard, clip.stamp)
        known = clip if clip is not None and is_touched and clip.override == member.override else member
        try:
            now = (self._videos / known.path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (now.st_size, now.st_mtime_ns) == known.stamp


def remove_mistrusted(run: Run) -> None:
    """Remove the sound that is to be made again from the run's shards; the files of faces stay.

    Args:
        run: An opened run; the caller holds its store's lock.
    """
    # Other runs may list these shards, too. Their sound is wrong for all runs. The shard keeps its id and its members,
    # so the other runs find the new files under the same names.
    for shard in run.sound_again:
        for stage in run.sound_stages:
            run.close_shard(stage, shard)  # another file will replace it
        # The file is opened again: since this run was opened, another host may have made it, or a clip may be gone.
        path = run.path("stft", shard)
        is_needed = path.exists() and find_mistrusted(Shard(path))
        if is_needed and all(run.find_source(shard, member) for member in run.plan.shards[shard].members):
            _remove_sound(run, shard)


def _remove_sound(run: Run, shard: str) -> None:
    # `stft`, whose messages show that the sound is to be made again, goes last: if this process is stopped before, the
    # next run finds the shard once more. The WAV files stay until new ones replace them.
    for path in [run.path(stage, shard) for stage in run.sound_stages]:
        path.unlink(missing_ok=True)
        sidecar_path(path).unlink(missing_ok=True)

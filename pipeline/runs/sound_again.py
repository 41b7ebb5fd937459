"""Sound on which the ffmpeg of an earlier version failed: found by what it said then, and made again."""

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

#: How the messages began of versions that believed their ffmpeg about every clip, even one that could not run. No
#: message of today begins so: what was looked at once more is not found again.
MISTRUSTED = ("ffmpeg cannot decode the sound", "the audio stream gives not one sample")


def find_mistrusted(rows: Table | Shard | None) -> frozenset[str]:
    """Find the utterances whose sound has no rows for a reason that may have been the ffmpeg of then.

    Only the messages of clips with a decode_error are read, and those are few.

    Args:
        rows: A shard's file of the stage stft, or what it says; None where there is none.
    """
    if rows is None:
        return frozenset()
    table = Table.of(rows) if isinstance(rows, Shard) else rows
    failed = table.find("status", "decode_error")
    return frozenset(name for name in failed if table.fact(name, "message").startswith(MISTRUSTED))


class MistrustedSound:
    """Such sound in the shards of a store, before there is a plan; each shard is looked at once.

    Args:
        stage_files: The stage sets of the run.
        stored: The shards planned so far, by id.
        clips: The clips that are there, by utterance.
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
        #: Of a shard, the utterances with such sound.
        self.find = functools.cache(lambda shard: find_mistrusted(stage_files.table("stft", shard)))
        self._is_whole = functools.cache(self._has_all_clips)

    def is_to_be_made(self, shard: str) -> bool:
        """Tell whether a shard has such sound, and all its clips: no row is lost when it is made again as a whole."""
        return bool(self.find(shard)) and self._is_whole(shard)

    def is_lost(self, shard: str, name: str) -> bool:
        """Tell whether an utterance has such sound in a shard that cannot be made again: it needs another one."""
        return name in self.find(shard) and not self._is_whole(shard)

    def pick(self, plan: Plan) -> frozenset[str]:
        """Pick the shards of a plan that are to be made again for the sake of an utterance that it sees to there."""
        return frozenset(
            shard
            for shard in plan.shards
            if self.is_to_be_made(shard) and any(plan.assigned.get(name) == shard for name in self.find(shard))
        )

    def _has_all_clips(self, shard: str) -> bool:
        stored = self._stored.get(shard)  # a plan that was lost is made anew, of clips that are there
        return stored is None or all(self._is_there(shard, member) for member in stored.members)

    def _is_there(self, shard: str, member: Member) -> bool:
        """Do as `Run.find_source`, which needs a plan; clips that the run does not list count, too."""
        clip = self._clips.get(member.name)
        # A touched but equal file stays in its shard under a new time.
        is_touched = clip is not None and self._seen.get(member.name) == (shard, clip.stamp)
        known = clip if clip is not None and is_touched and clip.override == member.override else member
        try:
            now = (self._videos / known.path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (now.st_size, now.st_mtime_ns) == known.stamp


def remove_mistrusted(run: Run) -> None:
    """Remove the sound of the shards that is to be made again; their faces stay.

    Args:
        run: Opened; its store's lock is held.
    """
    # Other runs may list these shards, and are not asked: the rows are wrong for everyone. The shard keeps its id and
    # its members, and what is made in their place is what the other runs would make; they find it by the same name.
    for shard in run.sound_again:
        for stage in run.sound_stages:
            run.close_shard(stage, shard)  # it will be another file
        # Looked at anew: another host may have made it since this run was opened, and a clip may have gone.
        path = run.path("stft", shard)
        is_needed = path.exists() and find_mistrusted(Shard(path))
        if is_needed and all(run.find_source(shard, member) for member in run.plan.shards[shard].members):
            _remove_sound(run, shard)


def _remove_sound(run: Run, shard: str) -> None:
    # What tells of it goes last: who is stopped before finds the shard once more. The WAV files stay until others are
    # moved into their places.
    for path in [run.path(stage, shard) for stage in run.sound_stages]:
        path.unlink(missing_ok=True)
        sidecar_path(path).unlink(missing_ok=True)

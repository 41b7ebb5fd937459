"""Planning a run: gives `make_plan` what the store, the last run and the clips' files say. Nothing is written."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.chain import FEATURE_STAGES, SOURCE_STAGES
from pipeline.dataset.utterances import Dataset
from pipeline.errors import UserError
from pipeline.runs.known_content import find_known_content
from pipeline.runs.plan import Plan, make_plan
from pipeline.runs.run import Run, compute_file_digest, has_rows
from pipeline.runs.sound_again import MistrustedSound
from pipeline.runs.stage_files import StageFiles
from store.layout import listings_folder
from store.records.erased import read_erased
from store.records.listings import PREDICTION, Listing
from store.records.plans import Member, read_stored_plans


def plan_clips(
    shard_size: int,
    dataset: Dataset,
    clips: Mapping[str, Member],
    before: Listing | None,
    stage_files: StageFiles,
    videos: Path,
) -> tuple[Plan, frozenset[str]]:
    """Make the plan, and find the shards in it whose sound is to be made again.

    Args:
        shard_size: The largest number of utterances in a new shard.
        dataset: The utterances of the CSV files.
        clips: The clips that exist, by utterance.
        before: The listing that the run wrote when it last ran, or None.
        stage_files: The stage sets of the run.
        videos: The folder of videos.
    """
    store = stage_files.store
    stored = read_stored_plans(store)
    seen: Mapping[str, tuple[str, tuple[int, int]]] = {} if before is None else _Seen(before)
    mistrusted = MistrustedSound(stage_files, stored, clips, seen, videos)
    unread = functools.cache(functools.partial(_find_unread, stage_files))
    looks: list[str] = []

    @functools.cache
    def find_suspects(shard: str) -> frozenset[str]:
        return mistrusted.find(shard) | unread(shard)

    @functools.cache
    def is_lost(shard: str, name: str) -> bool:
        looks.append(name)
        # A clip that still cannot be read stays in its old shard: alone in a new shard it would stop every run.
        return mistrusted.is_lost(shard, name) or (name in unread(shard) and _can_be_read(videos, clips.get(name)))

    def was_made(shard: str, name: str) -> bool:
        looks.append(name)
        return any(has_rows(store, stage, shard, name) for stage in FEATURE_STAGES)

    plan = make_plan(
        [utterance.name for utterance in dataset.utterances],
        clips,
        stored.values(),
        seen=seen,
        is_finished=functools.cache(lambda shard: stage_files.is_usable(shard) and not mistrusted.is_to_be_made(shard)),
        holds=lambda shard, name: name not in find_suspects(shard) or not is_lost(shard, name),
        was_made=was_made,
        same_content=lambda shard, clip: _same_content(stage_files, shard, clip, videos),
        find_content=lambda new: find_known_content(stage_files, stored, new, videos, read_erased(store).__contains__),
        shard_size=shard_size,
    )
    return dataclasses.replace(plan, rests_on_more=bool(looks)), mistrusted.pick(plan)


class _Seen(Mapping[str, tuple[str, tuple[int, int]]]):
    """Utterance to (shard id, stamp) as a run has listed them; each pair is made only when it is needed."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def __getitem__(self, name: str) -> tuple[str, tuple[int, int]]:
        return self._listing.shards[name], self._listing.sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listing.shards)

    def __len__(self) -> int:
        return len(self._listing.shards)


def find_read_again(plan: Plan, stage_files: StageFiles) -> frozenset[str]:
    """Find new shards whose files exist already: shards of the same clips, none of which could be read then.

    A shard's id is a digest of its clips' names, sizes and times, so the same files give the same id.
    """
    return frozenset(shard for shard in plan.new if _find_unread(stage_files, shard))


def read_listing(store: Path, name: str) -> Listing | None:
    """Read this run's earlier listing; for a folder of runs that is new to the store, the newest listing."""
    path = listings_folder(store) / f"{name}.json"
    others = [other for other in listings_folder(store).glob("*.json") if not other.name.startswith(PREDICTION)]
    others.sort(key=lambda other: other.stat().st_mtime_ns)
    if path.exists() or not others:
        return Listing.read(path) if path.exists() else None
    return Listing.read(others[-1])


def _find_unread(stage_files: StageFiles, shard: str) -> frozenset[str]:
    """Find the utterances for which a shard has no rows because their files were gone."""
    tables = [stage_files.table(stage, shard) for stage in FEATURE_STAGES]
    return frozenset(name for table in tables if table is not None for name in table.find("status", "missing_file"))


def _can_be_read(videos: Path, clip: Member | None) -> bool:
    """Tell whether a clip can be read to its end; True where there is no clip."""
    if clip is None:
        return True
    try:
        compute_file_digest(videos / clip.path)
    except OSError:
        return False
    return True


def _same_content(stage_files: StageFiles, shard: str, clip: Member, videos: Path) -> bool:
    for stage in (*FEATURE_STAGES, *SOURCE_STAGES):
        rows = stage_files.table(stage, shard)
        if rows is not None and clip.name in rows:
            return bool(rows.fact(clip.name, "source_sha256") == compute_file_digest(videos / clip.path))
    return False


def check_vanished(run: Run) -> None:
    """Stop the run where so many clips have vanished at once that a disk may not be mounted.

    Raises:
        UserError: More than the share `[run] max_vanished` of the last run's clips have vanished, or no clip exists.
    """
    before = run.before
    if not run.clips and not run.plan.assigned:
        first = run.dataset.utterances[0] if run.dataset.utterances else None
        where = f": the first one would be {run.videos / first.video / first.utterance}" if first else ""
        raise UserError(f"none of the {len(run.dataset.utterances)} utterances has a file in {run.videos}{where}")
    present = [] if before is None else [name for name in before.shards if name not in before.vanished]
    gone = [name for name in present if name in run.plan.vanished]
    limit = run.settings.run.max_vanished
    if gone and len(gone) > limit * len(present):
        raise UserError(
            f"{len(gone)} of the {len(present)} sources of the last run have disappeared from {run.videos} (the "
            f"first: {gone[0]}), more than [run] max_vanished = {limit:g} of them. Nothing has been changed. Mount "
            "their disk; or, if they were removed for good, run once with max_vanished = 1: their features are "
            "kept, with the status source_missing"
        )

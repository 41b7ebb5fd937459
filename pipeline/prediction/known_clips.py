"""Finds a video's features in the store, under any name."""

import dataclasses
from pathlib import Path

from pipeline.runs.plan import Plan
from pipeline.runs.run import Run, compute_file_digest
from store.errors import StoreError
from store.layout import shard_path
from store.records.listings import Listing, read_listings
from store.records.plans import StoredPlan, plan_path
from store.shard.reader import Shard


def find_known(run: Run, video: Path, store: Path) -> Run | None:
    """Give a run of the one video that uses rows of the store; None where the store has none with the same settings.

    A clip is recognised by its content: its size is compared first, then its digest. Clips with overrides, or that are
    a part of a recording, are not used: their rows are of something else than the whole file.

    Args:
        run: A run of the video alone, with a new store.
        video: The file.
        store: `[store] root`.
    """
    try:
        listings = read_listings(store)
    except StoreError:
        return None  # a damaged store is reported by the commands that work on it
    num_bytes = video.stat().st_size
    for listing in listings:
        if any(listing.fingerprints.get(stage) != run.fingerprints[stage] for stage in _find_read(run)):
            continue
        for name in (name for name, (size, _) in listing.sources.items() if size == num_bytes):
            plan = _find_plan(run, listing, name, video, store)
            found = None if plan is None else _point_at(run, name, plan, store)
            # A name that itself seems to have a file's ending would lose it when it is read again.
            if found is not None and found.dataset.utterances[0].name == name:
                return found
    return None


def _find_read(run: Run) -> list[str]:
    """Name the stages from which a prediction reads rows."""
    return [stage for stage in run.chain if run.chain[stage].is_feature or stage == "faces"]


def _find_plan(run: Run, listing: Listing, name: str, video: Path, store: Path) -> StoredPlan | None:
    """Give the plan of the shard with a clip's rows; None where they are incomplete or not of this video."""
    shard = listing.shards[name]
    try:
        plan = StoredPlan.read(plan_path(store, shard))
        said = next((member.override for member in plan.members if member.name == name), "?")
        files = [shard_path(store, stage, run.fingerprints[stage], shard) for stage in _find_read(run)]
        if said or not all(path.exists() for path in files):
            return None
        rows = [Shard(path) for path in files]
        digests = {each.fact(name, "source_sha256") for each in rows}
        are_made = all(each.fact(name, "status") != "missing_file" for each in rows)
    except (StoreError, KeyError):
        return None
    return plan if are_made and digests == {compute_file_digest(video)} else None


def _point_at(run: Run, name: str, plan: StoredPlan, store: Path) -> Run:
    """Give the run with a plan in which the clip is in this shard of the store."""
    (listed,) = run.dataset.utterances
    (stamp,) = run.plan.stamps.values()
    video, _, utterance = name.partition("/")
    known = dataclasses.replace(listed, video=video, utterance=utterance)
    return dataclasses.replace(
        run.in_store(store),
        dataset=dataclasses.replace(run.dataset, utterances=(known,)),
        plan=Plan({plan.shard: plan}, {name: plan.shard}, frozenset(), frozenset(), {name: stamp}),
        clips={},
    )

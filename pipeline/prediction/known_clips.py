"""A video whose features the store has already, under whatever name."""

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
    """Give a run of the one video whose rows lie in the store; None where it has none under the same settings.

    A clip is known by its content: size first, then digest. What the user has said of it (overrides, a part of a
    recording) would make it another one.

    Args:
        run: Of the video alone, as it would be made anew.
        video: The file.
        store: `[store] root`.
    """
    try:
        listings = read_listings(store)
    except StoreError:
        return None  # damaged: told by whoever works on that store
    num_bytes = video.stat().st_size
    for listing in listings:
        if any(listing.fingerprints.get(stage) != run.fingerprints[stage] for stage in _find_read(run)):
            continue
        for name in (name for name, (size, _) in listing.sources.items() if size == num_bytes):
            plan = _find_plan(run, listing, name, video, store)
            found = None if plan is None else _point_at(run, name, plan, store)
            # A name that itself looks like one with an ending would be shortened when it is read again.
            if found is not None and found.dataset.utterances[0].name == name:
                return found
    return None


def _find_read(run: Run) -> list[str]:
    """Name the stages whose rows a prediction reads."""
    return [stage for stage in run.chain if run.chain[stage].is_feature or stage == "faces"]


def _find_plan(run: Run, listing: Listing, name: str, video: Path, store: Path) -> StoredPlan | None:
    """Give the plan of the shard that has a clip's rows, where they are of the video and whole."""
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
    """Give the run as if it had planned the clip there."""
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

"""Merging the small shards that weekly additions leave into full ones; features are copied, not computed."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from store.layout import check_is_store, find_stage_sets
from store.records.listings import SeenListings
from store.records.plans import StoredPlan, plan_of, read_stored_plans
from store.tending.removal import check_no_links
from store.tending.rewrite import Sets, remove_shard, rewrite_listings, snapshot_sets, write_merged
from store.text import format_count

#: Share of a disk's free room that new shards may take before the listings name them, and the old ones go.
_SHARE_OF_ROOM = 0.5


@dataclass(frozen=True)
class Merge:
    """A new shard, and for each member the shard from which its rows come."""

    plan: StoredPlan
    origins: Mapping[str, str]

    def __str__(self) -> str:
        count = format_count(len(self.plan.members), "utterance")
        return f"{', '.join(self.plan.supersedes)} -> {self.plan.shard} ({count})"


def plan_merges(root: Path, shard_size: int, listings: SeenListings | None = None) -> list[Merge]:
    """Find which shards to merge: those with fewer live utterances than a full one, and the same stages made.

    Args:
        root: The store's folder.
        shard_size: Most utterances in a shard.
        listings: Remembers what it reads, for `compact_store`.

    Raises:
        StoreError: The folder is no store, or a plan or a listing cannot be read.

    """
    check_is_store(root)
    live: dict[str, set[str]] = {}
    for listing in (listings or SeenListings(root)).read().values():
        for name, shard in listing.shards.items():
            live.setdefault(shard, set()).add(name)
    plans = {shard: plan for shard, plan in read_stored_plans(root).items() if shard in live}
    made: dict[str, list[str]] = {}
    for stage_set in find_stage_sets(root):
        for shard in stage_set.shards:
            made.setdefault(shard, []).append(f"{stage_set.stage}/{stage_set.fingerprint}")
    groups: dict[tuple[str, ...], list[str]] = {}
    for shard in sorted(plans, key=lambda shard: plans[shard].names):
        if shard in made and len(live[shard]) < max(shard_size, len(plans[shard].members)):
            groups.setdefault(tuple(made[shard]), []).append(shard)
    bins = [found for group in groups.values() for found in _fill(group, live, shard_size)]
    return [merge for found in bins if (merge := _merge(found, plans, live)) is not None]


def _fill(shards: Iterable[str], live: Mapping[str, set[str]], shard_size: int) -> list[list[str]]:
    bins: list[list[str]] = []
    names: set[str] = set()
    for shard in shards:
        fits = bins and len(names) + len(live[shard]) <= shard_size and not names & live[shard]
        if not fits:
            bins.append([])
            names = set()
        bins[-1].append(shard)
        names |= live[shard]
    return bins


def _merge(shards: list[str], plans: Mapping[str, StoredPlan], live: Mapping[str, set[str]]) -> Merge | None:
    origins = {name: shard for shard in shards for name in sorted(live[shard])}
    members = [member for shard in shards for member in plans[shard].members if origins.get(member[0]) == shard]
    plan = plan_of(members, shards)
    # Rewriting a single shard is only of use if it drops rows that no run lists.
    return None if plan.shard in shards else Merge(plan, origins)


def compact_store(root: Path, merges: Sequence[Merge], listings: SeenListings | None = None) -> None:
    """Merge; old shards are removed only when all listings name the new ones: a crash may leave rows twice, never none.

    The listings, which have a row for every utterance of the store, are written once, unless the disk has too little
    room for all of the new shards beside the old ones.

    Args:
        root: The store's folder.
        merges: What to merge.
        listings: What `plan_merges` has read; a listing that has not changed since is not read again.
    """
    listings = listings or SeenListings(root)
    check_no_links(root)
    sets = snapshot_sets(root)
    for batch in _share_room(merges, sets, int(_SHARE_OF_ROOM * shutil.disk_usage(root).free)):
        done = []
        for merge in batch:
            if write_merged(root, sets, merge.plan, merge.origins):
                # Half a shard must not take the place of whole ones.
                remove_shard(root, sets, merge.plan.shard)
                continue
            merge.plan.write(root)
            done.append(merge)
        moved = {place: merge.plan.shard for merge in done for place in merge.origins.items()}
        rewrite_listings(listings, root, moved)
        for shard in [shard for merge in done for shard in merge.plan.supersedes]:
            remove_shard(root, sets, shard)


def _share_room(merges: Sequence[Merge], sets: Sets, room: int) -> Iterator[list[Merge]]:
    """Give merges in as few batches as a disk with that many bytes of room allows, at least one at a time."""
    batch: list[Merge] = []
    needed = 0
    for merge in merges:
        size = sum(
            paths[shard].stat().st_size for paths in sets.values() for shard in merge.plan.supersedes if shard in paths
        )
        if batch and needed + size > room:
            yield batch
            batch, needed = [], 0
        batch.append(merge)
        needed += size
    if batch:
        yield batch

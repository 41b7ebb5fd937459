"""Which utterance is in which shard. Pure: names, sizes and times in, a plan out; no video is read."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store import files
from store.errors import StoreError
from store.layout import plans_folder

_PLAN_VERSION = 1


@dataclass(frozen=True, order=True)
class Member:
    """A clip as it was when it was planned.

    Args:
        name: video/utterance, without the file's ending.
        path: The clip's file, relative to the folder of videos.
        size: Bytes.
        mtime_ns: Time of its last change, ns since 1970.
        override: What the user says of it (`pipeline.dataset.overrides`), as text; "" for nothing.
    """

    name: str
    path: str
    size: int
    mtime_ns: int
    override: str = ""

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time: what tells a changed file without reading it."""
        return self.size, self.mtime_ns


@dataclass(frozen=True)
class ShardPlan:
    """A fixed group of utterances, the unit of work and of files."""

    members: tuple[Member, ...]

    @property
    def id(self) -> str:
        """Digest of the members' names, sizes, times and overrides: machines that plan the same write the same file."""
        facts = [[m.name, *m.stamp, *([m.override] if m.override else [])] for m in self.members]
        canonical = json.dumps(facts, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def write(self, store: Path) -> None:
        """Write to `<store>/shards/<id>.json`; an existing file is the same one and stays."""
        path = plans_folder(store) / f"{self.id}.json"
        if not path.exists():
            members = [[m.name, m.path, *m.stamp, *([m.override] if m.override else [])] for m in self.members]
            files.write_json(path, {"format_version": _PLAN_VERSION, "members": members})

    @classmethod
    def read(cls, path: Path) -> "ShardPlan":
        """Read what `write` wrote.

        Raises:
            StoreError: The file is damaged: its members' digest is not its name.
        """
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            plan = cls(tuple(Member(*member) for member in value["members"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({error!r}); remove it: its clips are then planned anew") from error
        if plan.id != path.stem:
            raise StoreError(f"{path} is damaged: its members' digest is {plan.id}; remove it and run again")
        return plan


@dataclass(frozen=True)
class Plan:
    """What a run has to see to.

    Args:
        shards: Shards by id that the run needs whole, old and new.
        assigned: Utterance to the id of its shard, for every utterance with a file or with rows of an earlier file.
        vanished: Utterances with rows whose file is gone; their shard is not in `shards` for their sake.
        missing: Utterances that never had a file.
        stamps: Utterance to the (size, mtime_ns) by which the next run knows its file again.
        new: Ids of the shards that were made now.
    """

    shards: dict[str, ShardPlan]
    assigned: dict[str, str]
    vanished: frozenset[str]
    missing: frozenset[str]
    stamps: dict[str, tuple[int, int]]
    new: frozenset[str] = field(default_factory=frozenset)


def make_plan(
    listed: Sequence[str],
    clips: Mapping[str, Member],
    known: Iterable[ShardPlan],
    *,
    seen: Mapping[str, tuple[str, tuple[int, int]]],
    is_finished: Callable[[str], bool],
    holds: Callable[[str, str], bool],
    was_made: Callable[[str, str], bool],
    same_content: Callable[[str, Member], bool],
    shard_size: int,
) -> Plan:
    """Give every new or changed utterance to a new shard and find the shard of every other one.

    Args:
        listed: Names of the utterances of the CSV files.
        clips: The files that are there, by name.
        known: The shards planned so far.
        seen: Name to (shard id, stamp) as the run before recorded them: how a touched but equal file is known again.
        is_finished: Whether a shard has all its features; where two hold an utterance, a finished one counts.
        holds: (shard id, name) -> False where a finished shard has no rows because the file was gone when it was read.
        was_made: (shard id, name) -> whether there are features of it in the shard, under whatever settings: one that
            was planned, never read, and is gone has never had a file as far as anybody can tell.
        same_content: (shard id, clip) -> whether the clip's digest equals that of the shard's rows; reads the clip.
        shard_size: Most utterances in a new shard.
    """
    plans = {plan.id: plan for plan in known}
    holders: dict[str, list[tuple[str, Member]]] = {}
    for shard, plan in plans.items():
        for member in plan.members:
            holders.setdefault(member.name, []).append((shard, member))

    assigned: dict[str, str] = {}
    fresh: list[Member] = []
    vanished: set[str] = set()
    for name in listed:
        planned = sorted(holders.get(name, ()), key=lambda pair: (not is_finished(pair[0]), pair[0]))
        clip = clips.get(name)
        if clip is not None:
            # What the user says of a clip is part of it: other words, another clip.
            planned = [(shard, member) for shard, member in planned if member.override == clip.override]
        held = [(shard, member) for shard, member in planned if holds(shard, name)]
        if clip is None:
            made = [
                (shard, member)
                for shard, member in planned
                if (is_finished(shard) and holds(shard, name)) or was_made(shard, name)
            ]
            found = _shard_of_vanished([pair for pair in made if pair in held] or made, seen.get(name))
        else:
            found = _shard_of(clip, held, seen, same_content)
        if found is not None:
            assigned[name] = found
            if clip is None:
                vanished.add(name)
        elif clip is not None:
            fresh.append(clip)

    fresh.sort()
    new = [ShardPlan(tuple(fresh[i : i + shard_size])) for i in range(0, len(fresh), shard_size)]
    assigned |= {member.name: plan.id for plan in new for member in plan.members}
    plans |= {plan.id: plan for plan in new}
    needed = {shard for name, shard in assigned.items() if name not in vanished}
    return Plan(
        shards={shard: plans[shard] for shard in sorted(needed)},
        assigned=assigned,
        vanished=frozenset(vanished),
        missing=frozenset(name for name in listed if name not in assigned),
        stamps={name: _stamp(name, shard, clips, seen, plans) for name, shard in assigned.items()},
        new=frozenset(plan.id for plan in new),
    )


def _shard_of(
    clip: Member,
    held: Sequence[tuple[str, Member]],
    seen: Mapping[str, tuple[str, tuple[int, int]]],
    same_content: Callable[[str, Member], bool],
) -> str | None:
    for shard, member in held:
        if member.stamp == clip.stamp:
            return shard
    shards = [shard for shard, _ in held]
    before = seen.get(clip.name)
    if before is not None and before[1] == clip.stamp and before[0] in shards:
        return before[0]
    # The same number of bytes at another time: perhaps only touched. A digest tells; another size needs none.
    return next((shard for shard, member in held if member.size == clip.size and same_content(shard, clip)), None)


def _shard_of_vanished(held: Sequence[tuple[str, Member]], before: tuple[str, tuple[int, int]] | None) -> str | None:
    shards = [shard for shard, _ in held]
    if before is not None and before[0] in shards:
        return before[0]
    return shards[0] if shards else None


def _stamp(
    name: str,
    shard: str,
    clips: Mapping[str, Member],
    seen: Mapping[str, tuple[str, tuple[int, int]]],
    plans: Mapping[str, ShardPlan],
) -> tuple[int, int]:
    if name in clips:
        return clips[name].stamp
    if name in seen:
        return seen[name][1]
    return next(member.stamp for member in plans[shard].members if member.name == name)


def read_plans(store: Path) -> list[ShardPlan]:
    """Read all shards planned so far, in the order of their ids."""
    return [ShardPlan.read(path) for path in sorted(plans_folder(store).glob("*.json"))]

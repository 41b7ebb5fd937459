"""Which utterance is in which shard. From names, sizes and times the plan follows; no file is read here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from store.records.plans import Member, StoredPlan

#: Above this number of new shards, larger shards are advised: each shard has up to seven files and a plan.
_TOO_MANY_SHARDS = 2000
#: Where an utterance's rows are: the id of a shard, and the name that they have in it.
Place = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """The shards of a run, and the shard of each utterance.

    Args:
        shards: The shards that the run needs whole, old and new, by id.
        assigned: Utterance to the id of its shard, for every utterance with a file or with rows of an earlier file.
        vanished: Utterances with rows whose file is gone. A shard that holds only such utterances is not in `shards`.
        missing: Utterances that never had a file.
        stamps: Utterance to the (size in bytes, mtime_ns) by which the next run recognises its file.
        new: Ids of the shards that this plan adds.
        overrides: Utterance to the overrides with which its rows are made (who speaks, which part of a recording it
            is); utterances without overrides are not in it.
        taken: New shards that hold only clips whose content the store has under other names. Shard id to member to the
            place of its rows.
        rests_on_more: Whether the plan depends on more than names, sizes, times and the tables of the run's own stage
            sets.
    """

    shards: dict[str, StoredPlan]
    assigned: dict[str, str]
    vanished: frozenset[str]
    missing: frozenset[str]
    stamps: dict[str, tuple[int, int]]
    new: frozenset[str] = field(default_factory=frozenset)
    overrides: Mapping[str, str] = field(default_factory=dict)
    taken: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)
    rests_on_more: bool = False
    _groups: dict[int, dict[str, list[str]]] = field(default_factory=dict, repr=False, compare=False)

    def group_shards(self, digits: int) -> dict[str, list[str]]:
        """Group the shards' ids by their first `digits` characters."""
        if digits not in self._groups:
            groups: dict[str, list[str]] = {}
            for shard in sorted(self.shards):
                groups.setdefault(shard[:digits], []).append(shard)
            self._groups[digits] = groups
        return self._groups[digits]


def make_plan(
    listed: Sequence[str],
    clips: Mapping[str, Member],
    known: Iterable[StoredPlan],
    *,
    seen: Mapping[str, tuple[str, tuple[int, int]]],
    is_finished: Callable[[str], bool],
    holds: Callable[[str, str], bool],
    was_made: Callable[[str, str], bool],
    same_content: Callable[[str, Member], bool],
    find_content: Callable[[Sequence[Member]], Mapping[str, Place]],
    shard_size: int,
) -> Plan:
    """Give every new or changed utterance to a new shard and find the shard of every other one.

    Args:
        listed: Names of the utterances of the CSV files.
        clips: The clips that exist, by name.
        known: The shards planned so far.
        seen: Name to (shard id, stamp) as the run before recorded them. By these a file is recognised whose time has
            changed and whose content has not.
        is_finished: Whether a shard has all its features; where two shards hold an utterance, the finished one counts.
        holds: (shard id, name) -> False where a finished shard has no rows because the file was gone when it was read,
            or because a broken ffmpeg read it and the shard cannot be made again.
        was_made: (shard id, name) -> whether the shard has features of the utterance, under any settings. An utterance
            that was planned and never read, and whose file is gone, counts as one that never had a file.
        same_content: (shard id, clip) -> whether the clip's digest equals that of the shard's rows; reads the clip.
        find_content: New clips -> name to the place of its rows, for those whose content the store has under another
            name.
        shard_size: The largest number of utterances in a new shard.
    """
    plans = {plan.shard: plan for plan in known}
    holders, several = _find_holders(plans)
    assigned: dict[str, str] = {}
    fresh: list[Member] = []
    vanished: set[str] = set()
    for name in listed:
        first, clip = holders.get(name), clips.get(name)
        if first is not None and first[1] == clip and name not in several and holds(first[0], name):
            assigned[name] = first[0]  # the short way: nearly all clips, in a run with few new ones
            continue
        planned = _rank_holders(several.get(name) or ([] if first is None else [first]), clip, is_finished)
        held = [pair for pair in planned if holds(pair[0], name)]
        if clip is not None:
            found = _shard_of(clip, held, seen, same_content)
        else:
            made = [pair for pair in planned if (is_finished(pair[0]) and pair in held) or was_made(pair[0], name)]
            found = _shard_of_vanished([pair for pair in made if pair in held] or made, seen.get(name))
        if found is not None:
            assigned[name] = found
            if clip is None:
                vanished.add(name)
        elif clip is not None:
            fresh.append(clip)

    places = find_content(fresh)
    return _complete_plan(listed, clips, plans, assigned, fresh, places, frozenset(vanished), seen, shard_size)


_Holder = tuple[str, Member]


def _rank_holders(planned: list[_Holder], clip: Member | None, is_finished: Callable[[str], bool]) -> list[_Holder]:
    """The shards that an utterance was planned in, as its clip is now, if it is there: finished shards first."""
    if clip is not None:
        # Overrides are part of a clip: with other overrides it is another clip.
        planned = [pair for pair in planned if pair[1].override == clip.override]
    if len(planned) > 1:
        planned = sorted(planned, key=lambda pair: (not is_finished(pair[0]), pair[0]))
    return planned


def _find_holders(plans: Mapping[str, StoredPlan]) -> tuple[dict[str, _Holder], dict[str, list[_Holder]]]:
    """Find the shards in which each utterance was planned, each with the member as it was then.

    Returns:
        Utterance to its first shard; and utterance to all its shards, for utterances that were planned in several.
    """
    holders: dict[str, _Holder] = {}
    several: dict[str, list[_Holder]] = {}
    for shard, plan in plans.items():
        for member in plan.members:
            first = holders.setdefault(member.name, (shard, member))
            if first[1] is not member:
                several.setdefault(member.name, [first]).append((shard, member))
    return holders, several


def _complete_plan(
    listed: Sequence[str],
    clips: Mapping[str, Member],
    plans: dict[str, StoredPlan],
    assigned: dict[str, str],
    fresh: Sequence[Member],
    places: Mapping[str, Place],
    vanished: frozenset[str],
    seen: Mapping[str, tuple[str, tuple[int, int]]],
    shard_size: int,
) -> Plan:
    """Put the clips that no shard holds into new shards, and make the plan."""
    # Clips with known content get shards of their own, for which nothing has to be computed.
    known = _fill_shards([clip for clip in fresh if clip.name in places], shard_size)
    fresh_plans = known | _fill_shards([clip for clip in fresh if clip.name not in places], shard_size)
    assigned = assigned | {member.name: shard for shard, plan in fresh_plans.items() for member in plan.members}
    plans = plans | fresh_plans
    needed = {shard for name, shard in assigned.items() if name not in vanished}
    return Plan(
        shards={shard: plans[shard] for shard in sorted(needed)},
        assigned=assigned,
        vanished=vanished,
        missing=frozenset(name for name in listed if name not in assigned),
        stamps={
            name: clips[name].stamp if name in clips else _stamp_of_vanished(name, shard, seen, plans)
            for name, shard in assigned.items()
        },
        new=frozenset(fresh_plans),
        overrides={
            member.name: member.override
            for shard in set(assigned.values())
            for member in plans[shard].members
            if member.override and assigned.get(member.name) == shard
        },
        taken={shard: {name: places[name] for name in plan.names} for shard, plan in known.items()},
    )


def _fill_shards(clips: Iterable[Member], shard_size: int) -> dict[str, StoredPlan]:
    ordered = sorted(clips)
    plans = [StoredPlan(tuple(ordered[i : i + shard_size])) for i in range(0, len(ordered), shard_size)]
    return {plan.shard: plan for plan in plans}


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
    # The same size and another time: perhaps only the time has changed, so the digest decides.
    return next((shard for shard, member in held if member.size == clip.size and same_content(shard, clip)), None)


def _shard_of_vanished(held: Sequence[tuple[str, Member]], before: tuple[str, tuple[int, int]] | None) -> str | None:
    shards = [shard for shard, _ in held]
    if before is not None and before[0] in shards:
        return before[0]
    return shards[0] if shards else None


def _stamp_of_vanished(
    name: str,
    shard: str,
    seen: Mapping[str, tuple[str, tuple[int, int]]],
    plans: Mapping[str, StoredPlan],
) -> tuple[int, int]:
    if name in seen:
        return seen[name][1]
    return next(member.stamp for member in plans[shard].members if member.name == name)


def advise_shard_size(num_new: int, num_clips: int, shard_size: int) -> str:
    """Advise a larger `[store] shard_size` where new clips make very many shards; "" otherwise.

    Args:
        num_new: New shards.
        num_clips: Clips in them.
        shard_size: The value of `[store] shard_size`.

    >>> advise_shard_size(3000, 3000, 1).partition(";")[0]
    '[store] shard_size = 1 makes 3000 new shards of 3000 clips'
    """
    if num_new <= _TOO_MANY_SHARDS:
        return ""
    better = max(64, 1 << (num_clips // 1000).bit_length())
    return (
        f"[store] shard_size = {shard_size} makes {num_new} new shards of {num_clips} clips; stop and set {better}, or "
        f"merge them later by `valar store compact --shard-size {better}`"
    )

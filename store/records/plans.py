"""The plan's files: which clip is a member of which shard (FORMAT.md, section 6)."""

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from store import files
from store.errors import StoreError
from store.json_files import check_integers, check_list, check_text, reading_json
from store.layout import plans_folder
from store.names import check_id, check_relative_paths, check_utterances

_PLAN_VERSION = 1


class Member(NamedTuple):
    """A clip as it was when it was planned.

    Args:
        name: video/utterance, without the file's ending.
        path: The clip's file, relative to the folder of videos.
        size: Bytes.
        mtime_ns: Time of its last change, ns since 1970.
        override: The user's settings for this clip that change its rows, as text; "" if there are none.
    """

    name: str
    path: str
    size: int
    mtime_ns: int
    override: str = ""

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time: they show that a file has changed, without reading it."""
        return self.size, self.mtime_ns


@dataclass(frozen=True)
class StoredPlan:
    """The members of one shard, sorted by name, and the ids of the shards that it replaces."""

    members: tuple[Member, ...]
    supersedes: tuple[str, ...] = ()

    @functools.cached_property
    def shard(self) -> str:
        """The shard's id: a digest of its members' names, sizes, times and overrides."""
        facts = [[m.name, m.size, m.mtime_ns, *([m.override] if m.override else [])] for m in self.members]
        return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()[:16]

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return [member.name for member in self.members]

    def write(self, root: Path) -> Path:
        """Write to the store's folder of plans.

        Raises:
            StoreError: A member's name or path may not be in a store.
        """
        try:
            _check_members(self.members)
        except ValueError as error:
            raise StoreError(f"a shard cannot be planned in {root}: {error}; rename the clip") from error
        path = plan_path(root, self.shard)
        members = [list(member[: 5 if member.override else 4]) for member in self.members]
        value: dict[str, Any] = {"format_version": _PLAN_VERSION, "members": members}
        files.write_json(path, {**value, "supersedes": list(self.supersedes)} if self.supersedes else value)
        return path

    @classmethod
    def read(cls, path: Path) -> "StoredPlan":
        """Read a plan.

        Raises:
            StoreError: It is damaged, its members' digest is not its name, or it is of a later version.
        """
        try:
            with reading_json(path, _PLAN_VERSION, "remove it: its clips are then planned again") as value:
                members = _read_members(value["members"])
                supersedes = check_list(value.get("supersedes", []), "supersedes")
                plan = cls(members, tuple(check_id(shard) for shard in supersedes))
                if len(set(plan.names)) != len(members):
                    raise ValueError("it lists an utterance twice")
                if plan.shard != path.stem:
                    raise ValueError(f"its members' digest is {plan.shard}, not its name")
        except FileNotFoundError as error:
            raise StoreError(f"{path} has disappeared; run again") from error
        return plan


def _read_members(value: Any) -> tuple[Member, ...]:
    listed = check_list(value, "members")
    for member in listed:
        if not 4 <= len(check_list(member, "a member")) <= 5:
            raise ValueError(f"a member has {len(member)} entries, it must have 4 or 5")
    members = tuple(Member(*member) for member in listed)
    _check_members(members)
    return members


def _check_members(members: Sequence[Member]) -> None:
    """Check the members' names, paths, sizes, times and overrides, column by column.

    Raises:
        ValueError: One of them is not valid.
    """
    check_utterances([member.name for member in members])
    check_relative_paths([member.path for member in members])
    check_integers([member.size for member in members], "sizes", "a size", 0)
    check_integers([member.mtime_ns for member in members], "times", "a time")
    for member in members:
        if member.override != "":
            check_text(member.override, "an override")


def plan_path(root: Path, shard: str) -> Path:
    """Give the file of a shard's plan."""
    return plans_folder(root) / f"{shard}.json"


def plan_of(members: Iterable[Member], supersedes: Iterable[str] = ()) -> StoredPlan:
    """Make a plan: members in the order of their names."""
    return StoredPlan(tuple(sorted(members)), tuple(sorted(supersedes)))


def read_stored_plans(root: Path) -> dict[str, StoredPlan]:
    """Read the plans of all shards, by id."""
    paths = sorted(path for path in plans_folder(root).glob("*.json") if not path.name.startswith("."))
    return {path.stem: StoredPlan.read(path) for path in paths}

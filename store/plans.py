"""The plan's files: which clip is a member of which shard (FORMAT.md, section 6)."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import files
from store.errors import StoreError, check_version
from store.layout import plans_folder

_PLAN_VERSION = 1

#: Name, path relative to the folder of videos, size in bytes, time of change in ns; and the user's override, if any.
Member = tuple[Any, ...]


@dataclass(frozen=True)
class StoredPlan:
    """The members of one shard, sorted by name, and the ids of the shards that it replaces."""

    members: tuple[Member, ...]
    supersedes: tuple[str, ...] = ()

    @property
    def shard(self) -> str:
        """The shard's id: a digest of its members' names, sizes, times and overrides."""
        canonical = json.dumps([[name, *facts] for name, _, *facts in self.members], ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return [member[0] for member in self.members]

    def write(self, root: Path) -> Path:
        """Write to the store's folder of plans."""
        path = plan_path(root, self.shard)
        value = {"format_version": _PLAN_VERSION, "members": [list(member) for member in self.members]}
        files.write_json(path, {**value, "supersedes": list(self.supersedes)} if self.supersedes else value)
        return path

    @classmethod
    def read(cls, path: Path) -> "StoredPlan":
        """Read one.

        Raises:
            StoreError: It is damaged: its members' digest is not its name.

        """
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            check_version(path, value["format_version"], _PLAN_VERSION)
            members: tuple[Any, ...] = tuple(
                (str(name), str(place), int(size), int(time), *map(str, override))
                for name, place, size, time, *override in value["members"]
            )
            plan = cls(members, tuple(value.get("supersedes", ())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} is damaged ({error!r}); remove it: its clips are then planned anew") from error
        if plan.shard != path.stem:
            raise StoreError(
                f"{path} is damaged: its members' digest is {plan.shard}; remove it: they are planned anew"
            )
        return plan


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

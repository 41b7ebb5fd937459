"""Whom a store must not take up again: digests of names, never the names (FORMAT.md, section 6)."""

import datetime
import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from store import files
from store.errors import StoreError, check_version

_ERASED_VERSION = 1


@dataclass(frozen=True)
class Erased:
    """The erased utterances and videos of a store.

    Args:
        salt: Makes the digests of one store useless for another.
        dates: (digest, kind) to the day of the erasure; kind is `utterance` or `video`.

    """

    salt: str
    dates: dict[tuple[str, str], str]

    def __contains__(self, name: str) -> bool:
        return bool(self.find_date(name))

    def find_date(self, name: str) -> str:
        """Give the day on which an utterance, or its whole video, was erased; "" for one that was not."""
        if not self.dates:
            return ""
        video = name.partition("/")[0]
        keys = ((self._digest("utterance", name), "utterance"), (self._digest("video", video), "video"))
        return next((self.dates[key] for key in keys if key in self.dates), "")

    def _digest(self, kind: str, name: str) -> str:
        return hashlib.sha256(f"{self.salt}\0{kind}\0{name}".encode()).hexdigest()

    def with_names(self, names: list[str]) -> "Erased":
        """Add utterances (with a slash in their name) and videos (without)."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        kinds = [(name, "utterance" if "/" in name else "video") for name in names]
        return Erased(self.salt, self.dates | {(self._digest(kind, name), kind): today for name, kind in kinds})

    def write(self, root: Path) -> None:
        """Write to `<store>/erased.json`."""
        entries = sorted([digest, kind, date] for (digest, kind), date in self.dates.items())
        files.write_json(erased_path(root), {"format_version": _ERASED_VERSION, "salt": self.salt, "erased": entries})


def erased_path(root: Path) -> Path:
    """Give the file of a store's erased names."""
    return root / "erased.json"


def read_erased(root: Path) -> Erased:
    """Read whom the store must not take up; nobody where the file is not there.

    Raises:
        StoreError: The file is damaged: whom to refuse is unknown.

    """
    path = erased_path(root)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        check_version(path, value["format_version"], _ERASED_VERSION)
        return Erased(value["salt"], {(digest, kind): date for digest, kind, date in value["erased"]})
    except FileNotFoundError:
        return Erased(secrets.token_hex(16), {})
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error!r}): whom this store must refuse is not known; restore it from a backup"
        ) from error

"""Whom a store must not take up again: digests of names, never the names (FORMAT.md, section 6)."""

import datetime
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import files
from store.json_files import check_list, check_text, reading_json
from store.names import check_id

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
    next_step = "the utterances that this store must refuse are not known; restore it from a backup"
    try:
        with reading_json(erased_path(root), _ERASED_VERSION, next_step) as value:
            entries = [_read_entry(entry) for entry in check_list(value["erased"], "erased")]
            return Erased(check_text(value["salt"], "salt", 256), dict(entries))
    except FileNotFoundError:
        return Erased(secrets.token_hex(16), {})


def _read_entry(value: Any) -> tuple[tuple[str, str], str]:
    digest, kind, date = (check_text(part, "a part of an entry", 64) for part in check_list(value, "an entry"))
    if len(check_id(digest)) != 64 or kind not in ("utterance", "video"):
        raise ValueError(f"{digest!r}, {kind!r} is not a digest of an utterance or a video")
    return (digest, kind), datetime.date.fromisoformat(date).isoformat()

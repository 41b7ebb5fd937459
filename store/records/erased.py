"""What a store must not add again: digests of names and of contents, never the names (FORMAT.md, section 6)."""

import datetime
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from store import files
from store.json_files import check_list, check_text, reading_json
from store.names import check_id

#: A file without contents has version 1, which earlier releases read.
_ERASED_VERSION = 2
_NAMES, _CONTENTS = ("utterance", "video"), ("content", "size")


class Content(NamedTuple):
    """The source of a clip's rows.

    Args:
        sha256: Digest of its file, hexadecimal.
        size: Size of its file in bytes.
        override: The user's settings for this clip, as text. Parts of one recording differ in it.
    """

    sha256: str
    size: int
    override: str


@dataclass(frozen=True)
class Erased:
    """The erased utterances and videos of a store.

    Args:
        salt: Makes the digests of one store useless for another.
        dates: (digest, kind) to the day of the erasure; kind is `utterance` or `video`, `content` or `size`.

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

    def with_contents(self, contents: Iterable[Content]) -> "Erased":
        """Add the contents of erased clips: a copy under another name is then refused, too."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        keys = [self._key_content(found.sha256, found.override) for found in contents]
        keys += [self._key_size(found.size, found.override) for found in contents]
        return Erased(self.salt, self.dates | dict.fromkeys(keys, today))

    @property
    def has_contents(self) -> bool:
        """Whether any content is refused."""
        return any(kind in _CONTENTS for _, kind in self.dates)

    def may_hold(self, size: int, override: str) -> bool:
        """Tell whether a clip of this size may be a copy of an erased one, without reading it."""
        return self._key_size(size, override) in self.dates

    def find_content_date(self, sha256: str, override: str) -> str:
        """Give the day on which a content was erased; "" for one that was not."""
        return self.dates.get(self._key_content(sha256, override), "")

    def _key_content(self, sha256: str, override: str) -> tuple[str, str]:
        return self._digest("content", f"{sha256}\0{override}"), "content"

    def _key_size(self, size: int, override: str) -> tuple[str, str]:
        return self._digest("size", f"{size}\0{override}"), "size"

    def write(self, root: Path) -> None:
        """Write to `<store>/erased.json`."""
        entries = sorted([digest, kind, date] for (digest, kind), date in self.dates.items())
        version = _ERASED_VERSION if self.has_contents else 1
        files.write_json(erased_path(root), {"format_version": version, "salt": self.salt, "erased": entries})


def erased_path(root: Path) -> Path:
    """Give the file of a store's erased names."""
    return root / "erased.json"


def read_erased(root: Path) -> Erased:
    """Read what the store must not add again; nothing if the file does not exist.

    Raises:
        StoreError: The file is damaged: what to refuse is not known.

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
    if len(check_id(digest)) != 64 or kind not in (*_NAMES, *_CONTENTS):
        raise ValueError(f"{digest!r}, {kind!r} is not a digest of an utterance, a video or a content")
    return (digest, kind), datetime.date.fromisoformat(date).isoformat()

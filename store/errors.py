"""What can go wrong with a store. Not-found errors also inherit the builtin, so that callers need not import these."""

from pathlib import Path


class StoreError(Exception):
    """Base of all errors of a feature store; the message names the file and the next step."""


class ShardError(StoreError):
    """A shard's file is not what its format says: cut short, of another product, or of a later version."""


class LaterFormatError(ShardError):
    """A file is of a later format version: nothing is wrong with it, this release is too old for it."""


class UtteranceNotFoundError(StoreError, KeyError):
    """No shard of this store holds rows of that utterance."""

    def __str__(self) -> str:
        """Show the message as it is: KeyError would show its repr."""
        return str(self.args[0])


class StoreInUseError(StoreError):
    """Another process holds the store's lock."""


class StoreReadOnlyError(StoreError):
    """This process may not change the store; commands that only read it still work."""


def check_version(path: Path, found: int, known: int) -> None:
    """Refuse a file of a later format version than this release knows.

    Raises:
        LaterFormatError: The file's version is later.

    """
    if found > known:
        raise LaterFormatError(f"{path} has format version {found}, this release reads up to {known}; update Valar")

"""`valar store COMMAND`: the store's own commands. Without a named store, they use the store of the settings."""

import argparse
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from store import __main__ as commands
from store.commands.hand_on import Export
from valar.label_files import read_label_files
from valar.settings import check_folder, find_store

#: A store has at least one of these folders.
_SIGNS = ("roots", "shards")
#: Commands that need two stores.
_OF_TWO = {"diff"}


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Make the parser of all the commands."""
    return commands.make_parser(prog)


def main(words: Sequence[str], prog: str) -> int:
    """Run a command; see `store.__main__.main`."""
    Export.read_label_files = staticmethod(read_label_files)
    return commands.main(add_store(list(words), prog), prog=prog)


def add_store(words: list[str], prog: str) -> list[str]:
    """Insert the store of the settings after the command, unless a word is a store's folder already.

    Args:
        words: Of the command line.
        prog: Name of the command for messages.

    Raises:
        SettingsError: There is no store in the settings.
    """
    if not words or words[0] not in commands.COMMANDS:
        return words
    stores = sum(any((Path(word) / sign).is_dir() for sign in _SIGNS) for word in words[1:])
    if stores >= (2 if words[0] in _OF_TWO else 1):
        return words
    with_store = [words[0], str(find_store()), *words[1:]]
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            make_parser(prog).parse_args(with_store)
    except SystemExit as ended:
        if not ended.code:
            return with_store
        if "are required" not in told.getvalue():
            return words  # one word too many: a path that is not a store, as the command itself will say
    check_folder("store", "root")
    return with_store

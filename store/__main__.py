"""`python -m store COMMAND STORE …`: inspect and tend a feature store."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import cast

from store.commands.command import Command
from store.errors import StoreError
from store.explaining import explain
from store.text import escape

COMMANDS = {
    "ls": ("store.commands.look", "List"),
    "show": ("store.commands.look", "Show"),
    "why": ("store.commands.look", "Why"),
    "diff": ("store.commands.look", "Diff"),
    "verify": ("store.commands.tend", "Verify"),
    "gc": ("store.commands.tend", "CollectGarbage"),
    "compact": ("store.commands.tend", "Compact"),
    "erase": ("store.commands.tend", "Erase"),
    "export": ("store.commands.hand_on", "Export"),
    "browse": ("store.commands.hand_on", "Browse"),
}


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(prog=prog, description="Inspect and maintain a feature store.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = _find(name)
        command.add_arguments(subparsers.add_parser(name, help=command.HELP))
    return parser


def _find(name: str) -> type[Command]:
    module, command = COMMANDS[name]
    return cast("type[Command]", getattr(importlib.import_module(module), command))


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m store") -> int:
    """Run a command and return its exit code: 0 done, 1 a fault or difference found, 2 wrong use or unusable input."""
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser(prog)
    if not words:
        parser.print_help()
        return 2
    arguments = parser.parse_args(words)
    try:
        code = int(_find(arguments.command).run(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does. Python would report an error when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except StoreError as error:
        print(escape(f"{error}"), file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:  # perhaps the output could not be written
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(escape(explain(error)), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""`python -m store COMMAND STORE …`: inspect and tend a feature store."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from store.errors import StoreError

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 1 for faults and differences, 2 for what cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m store", description="Inspect and tend a feature store.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = {}
    for name, (module, command) in COMMANDS.items():
        commands[name] = getattr(importlib.import_module(module), command)
        commands[name].add_arguments(subparsers.add_parser(name, help=commands[name].HELP))
    arguments = parser.parse_args(argv)
    try:
        return int(commands[arguments.command].run(arguments))
    except (StoreError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())

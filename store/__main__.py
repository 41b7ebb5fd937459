"""`python -m store COMMAND STORE …`: inspect and tend a feature store."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from store.errors import StoreError

COMMANDS = {
    "ls": ("store.cli_inspect", "List"),
    "show": ("store.cli_inspect", "Show"),
    "why": ("store.cli_inspect", "Why"),
    "diff": ("store.cli_inspect", "Diff"),
    "verify": ("store.cli_tend", "Verify"),
    "gc": ("store.cli_tend", "CollectGarbage"),
    "compact": ("store.cli_tend", "Compact"),
    "erase": ("store.cli_tend", "Erase"),
    "export": ("store.cli_export", "Export"),
    "browse": ("store.cli_export", "Browse"),
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

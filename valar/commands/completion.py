"""`valar completion SHELL`: a script that lets a shell complete commands and options."""

import argparse
import importlib
from pathlib import Path

import shtab

SHELLS = ("bash", "zsh", "tcsh")
HELP = "Print a script for a shell, which then completes the commands and options of `valar`."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the argument for the shell."""
    parser.add_argument("shell", choices=SHELLS)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    print(shtab.complete(make_whole_parser(), arguments.shell))
    return 0


def make_whole_parser() -> argparse.ArgumentParser:
    """Make one parser of all commands with their arguments; this imports all their modules."""
    from valar.cli import COMMANDS, DESCRIPTION, make_parser

    whole = argparse.ArgumentParser(prog="valar", description=DESCRIPTION)
    whole.add_argument("--version", action="store_true", help="print the version")
    whole.add_argument("--config", metavar="FILE", help="settings").complete = shtab.FILE  # type: ignore[attr-defined]
    subparsers = whole.add_subparsers()
    for name, entry in COMMANDS.items():
        module = importlib.import_module(entry.module)
        made = module.make_parser(f"valar {name}") if entry.is_group else make_parser(name, module)
        _complete_paths(made)
        subparsers.add_parser(name, help=entry.summary, parents=[made], add_help=False)
    return whole


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Let the shell offer files for each argument that is a path."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _complete_paths(inner)
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]

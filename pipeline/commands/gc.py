"""`python -m pipeline gc`: removes checkpoints that nothing names any more; `python -m store gc` removes features."""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.runs.old_checkpoints import (
    OldCheckpoints,
    find_old_checkpoints,
    find_store,
    remove_old_checkpoints,
)
from pipeline.settings import config
from store.errors import StoreError
from store.lock import locked
from store.text import escape_json, escape_lines, format_bytes, format_count

HELP = "remove checkpoints that neither a report nor the last run needs; reports and their history stay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="the folder of runs (default: [run] root of the settings)"
    )
    parser.add_argument("--newest", type=_count, metavar="N", help="only the N newest reports keep their checkpoints")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a whole number of at least 1: the newest report's checkpoints stay"
        )
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Find and remove old checkpoints; return 2 where it is not known which are old, or where none may be removed."""
    try:
        if arguments.runs is None:
            config.load()
        root = arguments.runs or Path(config.run().root)
        store = find_store(root)
        is_held = not arguments.dry_run and store.is_dir()
        with locked(store) if is_held else contextlib.nullcontext():
            found = find_old_checkpoints(root, newest=arguments.newest)
            if not arguments.dry_run:
                remove_old_checkpoints(root, found)
    except (UserError, StoreError) as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2
    if arguments.json:
        value = {"removed": not arguments.dry_run, "checkpoints": [vars(item) for item in found]}
        print(escape_json(json.dumps(value, indent=2, ensure_ascii=False)))
    else:
        print(escape_lines(render(found, is_removed=not arguments.dry_run)))
    return 0


def render(found: Sequence[OldCheckpoints], *, is_removed: bool) -> str:
    """Describe the checkpoints that were found, a line for each, and the bytes that they take."""
    lines = [f"{item.path}: {item.reason} ({format_bytes(item.num_bytes)})" for item in found]
    if not found:
        return (
            "nothing to remove: reports or the last run need all checkpoints (--newest N removes those of older "
            "reports)"
        )
    total = format_bytes(sum(item.num_bytes for item in found))
    return "\n".join(
        [*lines, f"{format_count(len(found), 'folder')}, {total} {'removed' if is_removed else 'would be removed'}"]
    )

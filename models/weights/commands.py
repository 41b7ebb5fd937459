"""The command line of `python -m models.weights`."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from models.tables import render_table
from models.weights.digests import compute_sha256
from models.weights.download import fetch_weights
from models.weights.table import (
    DEFAULT_FOLDER,
    WEIGHTS,
    DamagedWeightsError,
    MissingWeightsError,
    WeightsEntry,
    WeightsError,
    WrongDigestError,
    find_carried_weights,
    resolve_weights,
)

_INTERRUPTED = 130
_SECONDS_BETWEEN_LINES = 10.0


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m models.weights") -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    Args:
        arguments: the words after `python -m models.weights`; by default those of the process.
        prog: name of the command in its help.
    """
    words = sys.argv[1:] if arguments is None else arguments
    parser = make_parser(prog)
    if not words:
        parser.print_help()
        return 2
    options = parser.parse_args(words)
    if options.command == "list":
        print(_format(options))
        return 0
    try:
        path = fetch_weights(options.name, options.folder, base_url=options.base_url, progress=_Progress(options.name))
    except (WeightsError, OSError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the part that has arrived is kept, and the same command continues there", file=sys.stderr)
        return _INTERRUPTED
    print(path)
    return 0


def _format(options: argparse.Namespace) -> str:
    if options.json:
        return json.dumps(list_weights(options.folder), indent=2)
    return format_details(options.folder) if options.verbose else format_table(options.folder)


def list_weights(folder: Path) -> list[dict[str, str]]:
    """List the weights with the state of each file: verified, absent, wrong digest, origin unknown or no weights."""
    rows = []
    for entry in WEIGHTS.values():
        path, state = _examine(entry, folder)
        facts = {"licence": entry.licence, "for": entry.purpose, "file": path, "digest": entry.published_digest}
        rows.append({"name": entry.name, "state": state, **facts, "source": entry.source})
    return rows


def format_table(folder: Path) -> str:
    """Return `list_weights` as a short table for a terminal, and the commands that fetch what is absent."""
    listed = list_weights(folder)
    shown = ("name", "state", "licence", "for")
    lines = [render_table([shown, *(tuple(row[column] for column in shown) for row in listed)])]
    lines.append("-v shows files, digests and sources")
    absent = [row["name"] for row in listed if row["state"] == "absent"]
    if absent:
        lines += ["next:", *(f"  valar weights fetch {name}" for name in absent)]
    return "\n".join(lines)


def format_details(folder: Path) -> str:
    """Return all of `list_weights` as text, one fact per line."""
    return "\n".join(
        "\n".join([row["name"], *(f"  {fact}: {value}" for fact, value in row.items() if fact != "name")])
        for row in list_weights(folder)
    )


def _examine(entry: WeightsEntry, folder: Path) -> tuple[str, str]:
    """Return the path of a file of weights, and its state (see `list_weights`)."""
    try:
        if entry.package is not None:
            carried = find_carried_weights(entry.name)
            verified = compute_sha256(carried.path) == carried.sha256
            return entry.package, "verified" if verified else "wrong digest"
        path = folder / entry.file_name
        return str(path), "verified" if resolve_weights(entry.name, str(path)).verified else "origin unknown"
    except MissingWeightsError:
        return entry.package or str(folder / entry.file_name), "absent"
    except WrongDigestError:
        return str(folder / entry.file_name), "wrong digest"
    except DamagedWeightsError:
        return str(folder / entry.file_name), "no weights"


class _Progress:
    """Writes progress to standard error: a line that changes on a terminal, a new line every ten seconds elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_terminal = sys.stderr.isatty()
        self._last_seconds = -_SECONDS_BETWEEN_LINES

    def __call__(self, have: int, total: int | None) -> None:
        now = time.monotonic()
        pause = 0.1 if self._is_terminal else _SECONDS_BETWEEN_LINES
        if now - self._last_seconds < pause and have != total:
            return
        self._last_seconds = now
        share = "" if not total else f" of {total / 1e6:.1f} MB ({100 * have / total:.0f} %)"
        start, end = ("\r", "\n" if have == total else "") if self._is_terminal else ("", "\n")
        print(f"{start}{self._name}: {have / 1e6:.1f} MB{share}", end=end, file=sys.stderr, flush=True)


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Make the parser of `python -m models.weights`."""
    parser = argparse.ArgumentParser(prog=prog, description="Third-party weights.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the weights, and which of them are here")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.add_argument("-v", "--verbose", action="store_true", help="also print files, digests and sources")
    fetching = commands.add_parser("fetch", help="download weights, check and unpack them")
    fetching.add_argument("name", choices=list(WEIGHTS), help="names of weights; `list` says what each is for")
    fetching.add_argument(
        "--base-url",
        metavar="URL",
        help="a mirror, https:// or http://, that has the file under its own name",
    )
    for command in (listing, fetching):
        command.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="default: %(default)s")
    return parser

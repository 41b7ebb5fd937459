"""The commands that check and change a store: verify, gc, compact, erase."""

import argparse
import contextlib
import sys
from pathlib import Path

from store.commands.command import Command, show
from store.errors import StoreError
from store.layout import check_is_store
from store.lock import locked
from store.records.listings import SeenListings
from store.tending.check import Fault
from store.tending.compact import compact_store, plan_merges
from store.tending.erase import Erasure, erase, find_erasure, render_erasure
from store.tending.garbage import find_garbage, remove_garbage, render_garbage
from store.tending.repair import Repaired, set_aside
from store.tending.verify import Checked, verify_store
from store.text import escape, escape_lines, format_bytes, format_count


class Verify(Command):
    """`verify`."""

    HELP = "check digests, structure, NaN, index and orphans; exit code 1 if there is a fault"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Offer the repair."""
        super().add_arguments(parser)
        parser.add_argument(
            "--repair", action="store_true", help="set faulty shards aside, so that the next run makes them again"
        )

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Check everything; faults are printed as they are found."""
        checked, faults, repaired = Checked(), [], Repaired()
        # Without the lock, files that a run is writing would look like faults and be moved away.
        with _held(arguments.store, changes=arguments.repair):
            for fault in verify_store(arguments.store, checked):
                faults.append(fault)
                if not arguments.json:
                    print(fault, flush=True)
            if arguments.repair and faults:
                repaired = set_aside(arguments.store, faults)
        value = {
            "shards": checked.shards,
            "bytes": checked.num_bytes,
            "faults": [fault.as_dict() for fault in faults],
            "moved": repaired.moved,
            "left": [{"path": path, "reason": reason} for path, reason in repaired.left],
        }
        show(arguments, value, _render_verified(checked, faults, repaired))
        return 1 if faults else 0


def _render_verified(checked: Checked, faults: list[Fault], repaired: Repaired) -> str:
    lines = [escape(f"set aside: {path}") for path in repaired.moved]
    lines += [escape(f"left as it is: {path}: {reason}") for path, reason in repaired.left]
    files = len({fault.path for fault in faults})
    found = f"{format_count(len(faults), 'fault')} in {format_count(files, 'file')}" if faults else "no fault"
    lines.append(f"{format_count(checked.shards, 'shard')}, {format_bytes(checked.num_bytes)}: {found}")
    if repaired.moved:
        lines.append("the next run makes them again")
    return "\n".join(lines)


def _offer_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


class CollectGarbage(Command):
    """`gc`."""

    HELP = "remove stage sets and shards that no run's listing reaches"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Offer to change nothing."""
        super().add_arguments(parser)
        _offer_dry_run(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Find and remove."""
        with _held(arguments.store, changes=not arguments.dry_run):
            garbage = find_garbage(arguments.store)
            if not arguments.dry_run:
                remove_garbage(arguments.store, garbage)
        value = {"removed": not arguments.dry_run, "garbage": [item.as_dict() for item in garbage]}
        show(arguments, value, render_garbage(garbage, removed=not arguments.dry_run))
        return 0


class Compact(Command):
    """`compact`."""

    HELP = "merge small shards into full ones, without computing a feature again"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take the size of a full shard."""
        super().add_arguments(parser)
        _offer_dry_run(parser)
        parser.add_argument(
            "--shard-size",
            type=int,
            default=64,
            metavar="NUMBER",
            help="largest number of utterances in a shard (default: 64)",
        )

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Plan and merge."""
        if arguments.shard_size < 1:
            raise StoreError(f"--shard-size {arguments.shard_size} must be at least 1 utterance; usual are 64 and 256")
        with _held(arguments.store, changes=not arguments.dry_run):
            listings = SeenListings(arguments.store)
            merges = plan_merges(arguments.store, arguments.shard_size, listings)
            if not arguments.dry_run:
                compact_store(arguments.store, merges, listings)
        value = [{"shard": merge.plan.shard, "supersedes": list(merge.plan.supersedes)} for merge in merges]
        count = sum(len(merge.plan.supersedes) for merge in merges)
        verb = "would become" if arguments.dry_run else "became"
        summary = f"{format_count(count, 'shard')} {verb} {len(merges)}" if merges else "nothing to merge"
        show(arguments, value, "\n".join([*map(str, merges), summary]))
        return 0


class Erase(Command):
    """`erase`."""

    HELP = "remove every trace of utterances or videos, and let later runs refuse them"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take names, and further folders to search."""
        super().add_arguments(parser)
        _offer_dry_run(parser)
        parser.add_argument("names", nargs="+", metavar="VIDEO|UTTERANCE", help="video, or video/utterance")
        parser.add_argument(
            "--runs",
            action="append",
            type=Path,
            default=[],
            metavar="DIR",
            help="also search this folder of runs for their names",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask, even on a terminal")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Erase, and list what else was made from the erased clips."""
        with _held(arguments.store, changes=not arguments.dry_run):
            found = find_erasure(arguments.store, arguments.names, arguments.runs)
            if arguments.dry_run or not (arguments.yes or _confirm(found)):
                show(arguments, {"erased": False, **found.as_dict()}, render_erasure(found, erased=False))
                return 0
            result = erase(arguments.store, arguments.names, arguments.runs)
        show(arguments, {"erased": True, **result.as_dict()}, render_erasure(result))
        return 0


def _confirm(found: Erasure) -> bool:
    """Ask on a terminal; without a terminal (in a script), go on without asking."""
    if not sys.stdin.isatty():
        return True
    print(escape_lines(render_erasure(found, erased=False)), file=sys.stderr)
    print("erase them for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _held(store: Path, *, changes: bool) -> contextlib.AbstractContextManager[None]:
    """Hold the store's lock if the command changes the store; reading needs neither lock nor write permission."""
    check_is_store(store)
    return locked(store) if changes else contextlib.nullcontext()

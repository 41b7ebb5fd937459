"""The beginning of a run's work: it writes its plans and its listing, and removes the leftovers of killed runs."""

import contextlib
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.chain import FEATURE_STAGES
from pipeline.runs.known_content import take_over
from pipeline.runs.run import Run
from pipeline.runs.sound_again import remove_mistrusted
from store import files
from store.layout import listings_folder, plans_folder
from store.records.listings import Listing
from store.shard.reader import Shard
from store.shard.sidecar import sidecar_path
from store.tables import Table

#: Folders inside the folder of runs in which a killed run may leave temporary files, beside those of each checkpoint
#: and each report.
_IN_RUNS = ("failures", "reports", "predictions")


def begin(run: Run) -> Run:
    """Write a run's new plans and its listing, and remove the files that must not stay.

    Removed are half-written files of killed runs, shards that are to be read again, and sound that is to be made again.

    Args:
        run: An opened run; the caller holds its store's lock.

    Returns:
        The run to work on.
    """
    _remove_unread(run)
    take_over(run)
    for shard in run.plan.new:
        run.plan.shards[shard].write(run.store)
    plan, folder = run.plan, str(run.folder.resolve())
    listing = Listing(
        run.name, dict(run.fingerprints), plan.assigned, plan.stamps, plan.vanished, folder, kept=run.kept
    )
    path = listings_folder(run.store) / f"{run.name}.json"
    if listing == run.before and path.exists():
        os.utime(path)  # the newest listing is the one that counts
    else:
        listing.write(run.store)
    remove_mistrusted(run)
    run = dataclasses.replace(run, sound_again=frozenset(), read_again=frozenset(), taken={})
    remove_leftovers(run)
    return run


def remove_leftovers(run: Run) -> None:
    """Remove files that killed processes of this host left half-written; files of running processes stay.

    Only the folders into which this run writes are searched, and most of them without their subfolders: there are as
    many WAV files and pages as clips.

    Args:
        run: An opened run; the caller holds its store's lock.
    """
    remove_leftovers_beside(run.store, run.fingerprints, run.folder)
    pending = run.pending
    if not pending:
        return
    files.remove_leftovers(plans_folder(run.store))
    for stage, fingerprint in run.fingerprints.items():
        files.remove_leftovers(run.store / stage / fingerprint)
    for shard in pending:
        files.remove_leftovers(run.store / "wav" / run.fingerprints["wav"] / shard, below=True)
    if run.settings.run.scratch:
        files.remove_leftovers(Path(run.settings.run.scratch))


def remove_leftovers_beside(store: Path, stages: Iterable[str], runs: Path) -> None:
    """Remove half-written files of killed processes of this host from the folders that hold finished files.

    Args:
        store: The feature store's folder; the caller holds its lock.
        stages: Names of the stages, and of the kinds of files kept beside them (such as crops).
        runs: The folder of runs.
    """
    for folder in (listings_folder(store), *(store / stage for stage in stages)):
        files.remove_leftovers(folder)
    with contextlib.suppress(OSError):  # the folder of runs may belong to another user; then there is nothing to do
        inside = (folder for kind in ("checkpoints", "reports") for folder in (runs / kind).glob("*"))
        for folder in (runs, *(runs / name for name in _IN_RUNS), *inside):
            files.remove_leftovers(folder)


def _remove_unread(run: Run) -> None:
    """Remove the shards that are to be made again because none of their clips could be read."""
    for shard in run.read_again:
        run.close_shards(shard)
        # The files are opened again: another host may have made the shard since this run was opened.
        tables = [Table.of(Shard(path)) for stage in FEATURE_STAGES if (path := run.path(stage, shard)).exists()]
        if any(table.find("status", "missing_file") for table in tables):
            # The features' files, which show that the shard is unread, go last: if this process is stopped before, the
            # next run finds the shard once more.
            for stage in sorted(run.fingerprints, key=FEATURE_STAGES.__contains__):
                path = run.path(stage, shard)
                path.unlink(missing_ok=True)
                sidecar_path(path).unlink(missing_ok=True)

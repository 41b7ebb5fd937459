"""Beginning a run's work: what it writes before, and what it removes of killed ones."""

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

#: Folders of the folder of runs in which files are written beside their place; checkpoints have one each.
_IN_RUNS = ("failures", "reports", "predictions")


def begin(run: Run) -> Run:
    """Write what a run says before its work, and remove what is in its way.

    That is what killed runs left half-written where it will work, and sound that is to be made again.

    Args:
        run: Opened; its store's lock is held.

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
    """Remove what killed processes of this host have left half-written; what is at work is let alone.

    Looked at is what a run writes into, one folder after another: not below all of them, since there are as many WAV
    files and pages as clips.

    Args:
        run: Opened; its store's lock is held.
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
    """Remove what killed processes of this host have left beside what is finished.

    Args:
        store: The feature store's folder; its lock is held.
        stages: Names of the stages, and of what is kept beside them.
        runs: The folder of runs.
    """
    for folder in (listings_folder(store), *(store / stage for stage in stages)):
        files.remove_leftovers(folder)
    with contextlib.suppress(OSError):  # that of the runs may be another user's where nothing is to do
        inside = (folder for kind in ("checkpoints", "reports") for folder in (runs / kind).glob("*"))
        for folder in (runs, *(runs / name for name in _IN_RUNS), *inside):
            files.remove_leftovers(folder)


def _remove_unread(run: Run) -> None:
    """Remove the shards that say of all their clips that they could not be read, and that are to be made again."""
    for shard in run.read_again:
        run.close_shards(shard)
        # Looked at anew: another host may have made it since this run was opened.
        tables = [Table.of(Shard(path)) for stage in FEATURE_STAGES if (path := run.path(stage, shard)).exists()]
        if any(table.find("status", "missing_file") for table in tables):
            # What tells of it goes last: who is stopped before finds the shard once more.
            for stage in sorted(run.fingerprints, key=FEATURE_STAGES.__contains__):
                path = run.path(stage, shard)
                path.unlink(missing_ok=True)
                sidecar_path(path).unlink(missing_ok=True)

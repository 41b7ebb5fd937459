"""Beginning a run's work: what it writes before, and what it removes of killed ones."""

import dataclasses
import os
from pathlib import Path

from pipeline.runs.known_content import take_over
from pipeline.runs.run import Run
from pipeline.runs.sound_again import remove_mistrusted
from store import files
from store.layout import listings_folder
from store.listings import Listing


def begin(run: Run) -> Run:
    """Write what a run says before its work, and remove what is in its way.

    That is what killed runs left half-written where it will work, and sound that is to be made again.

    Args:
        run: Opened; its store's lock is held.

    Returns:
        The run to work on.
    """
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
    run = dataclasses.replace(run, sound_again=frozenset(), taken={})
    pending = run.pending
    if not pending:
        return run
    for stage, fingerprint in run.fingerprints.items():
        files.remove_leftovers(run.store / stage / fingerprint)
    for shard in pending:
        # Not below all of the stage set: there are as many WAV files as clips.
        files.remove_leftovers(run.store / "wav" / run.fingerprints["wav"] / shard, below=True)
    if run.settings.run.scratch:
        files.remove_leftovers(Path(run.settings.run.scratch))
    return run

"""What is kept of a shard's aligned faces after their embeddings were computed: `[faces] crops`."""

import contextlib
import functools
from pathlib import Path

from pipeline.chain import find_readers
from pipeline.errors import UserError
from pipeline.runs.run import Run
from store.records.listings import Listing, find_listings
from store.shard.reader import Shard
from store.shard.sidecar import sidecar_path
from store.tables import Stamp, stamp_of

#: The folders' names under which crops may be kept.
CROPS = ("crops", "crops_jpeg")
#: This is in the provenance of raw crops that were made only to be embedded.
PASSING = {"kept": "until they are embedded"}


def remove_passing_crops(run: Run, shard: str) -> None:
    """Remove a shard's raw crops if they were made only to be embedded, and that is done.

    `python -m store gc` removes everything else that is no longer needed. Crops that another run lists and keeps stay.
    """
    crops = run.shard("crops", shard)
    if crops is None or "crops" in run.kept or not PASSING.items() <= crops.provenance.items():
        return
    readers = {"faces", *find_readers("crops", run.chain)}
    if not run.find_work(shard).keys() & readers and not _is_kept_elsewhere(run, shard):
        run.close_shard("crops", shard)  # the disk space of a mapped file is not freed
        crops.path.unlink(missing_ok=True)
        sidecar_path(crops.path).unlink(missing_ok=True)


def _is_kept_elsewhere(run: Run, shard: str) -> bool:
    for path in find_listings(run.store):
        with contextlib.suppress(FileNotFoundError):  # removed in the meantime: its run needs nothing any more
            if path.stem != run.name:
                crops, shards = _find_kept(path, stamp_of(path.stat()))
                if crops == run.fingerprints["crops"] and shard in shards:
                    return True
    return False


@functools.lru_cache(maxsize=64)
def _find_kept(path: Path, stamp: Stamp) -> tuple[str, frozenset[str]]:
    """Give the fingerprint and the shards of the raw crops that a listing's run keeps; "" and no shard for none.

    A listing is read once for each stamp of its file, and not once for each shard.
    """
    listing = Listing.read(path)
    if not listing.keeps("crops"):
        return "", frozenset()
    return listing.fingerprints.get("crops", ""), frozenset(listing.shards.values())


def find_crops(run: Run, shard: str) -> Shard:
    """Open a shard's crops: `crops` or `crops_jpeg`; where both exist, the kind that the settings keep.

    Raises:
        UserError: No crops are kept.
    """
    for stage in CROPS[::-1] if "crops_jpeg" in run.kept else CROPS:
        found = run.shard(stage, shard)
        if found is not None:
            return found
    raise UserError(
        f"{run.path('crops', shard)} is not there: [vnet] backbone = finetune reads the crops; set [faces] crops = raw "
        "or jpeg, and run again"
    )


def describe_crops(crops: Shard) -> str:
    """Describe crops as a network's input: "raw", or "jpeg" and the quality with which they were compressed."""
    return "raw" if crops.stage == "crops" else f"jpeg {crops.provenance.get('jpeg_quality', 'of unknown quality')}"


def forecast_crops(run: Run) -> str:
    """Describe crops that are not made yet, in the words of `describe_crops`."""
    return f"jpeg {run.settings.faces.jpeg_quality}" if "crops_jpeg" in run.kept else "raw"


def check_crops_stay(crops: str, reader: str) -> None:
    """Refuse settings under which the crops are gone before they are read.

    Args:
        crops: `[faces] crops`.
        reader: The setting or command that reads the crops, for the message.

    Raises:
        UserError: `[faces] crops = none`.
    """
    if crops == "none":
        raise UserError(f"{reader} reads the crops, and [faces] crops = none keeps none; set it to raw or jpeg")

"""What stays of a shard's aligned faces once they are embedded: `[faces] crops`."""

from pipeline.chain import find_readers
from pipeline.errors import UserError
from pipeline.runs.run import Run
from store.records.listings import read_listings
from store.shard.reader import Shard
from store.shard.sidecar import sidecar_path

#: The stages under which they may be kept.
CROPS = ("crops", "crops_jpeg")
#: In the provenance of raw crops that were made only to be embedded.
PASSING = {"kept": "until they are embedded"}


def remove_passing_crops(run: Run, shard: str) -> None:
    """Remove a shard's raw crops if they were made only to be embedded, and have been.

    Everything else that is not wanted any more is `python -m store gc`'s to remove. No crops go that a run lists and
    keeps, whichever run it is.
    """
    crops = run.shard("crops", shard)
    if crops is None or "crops" in run.kept or not PASSING.items() <= crops.provenance.items():
        return
    readers = {"faces", *find_readers("crops", run.chain)}
    if not run.find_work(shard).keys() & readers and not _is_kept_elsewhere(run, shard):
        run.close_shard("crops", shard)  # a mapped file keeps its place on the disk
        crops.path.unlink(missing_ok=True)
        sidecar_path(crops.path).unlink(missing_ok=True)


def _is_kept_elsewhere(run: Run, shard: str) -> bool:
    return any(
        listing.run != run.name
        and listing.keeps("crops")
        and listing.fingerprints.get("crops") == run.fingerprints["crops"]
        and shard in listing.shards.values()
        for listing in read_listings(run.store)
    )


def find_crops(run: Run, shard: str) -> Shard:
    """Open a shard's crops: the file of the stage `crops` or `crops_jpeg`, where both are there what the settings keep.

    Raises:
        UserError: None are kept.
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
    """Say what a network is given that reads these crops: "raw", or "jpeg" and the quality they were written with."""
    return "raw" if crops.stage == "crops" else f"jpeg {crops.provenance.get('jpeg_quality', 'of unknown quality')}"


def forecast_crops(run: Run) -> str:
    """Say as `describe_crops` does in which form crops will be kept that are not there yet."""
    return f"jpeg {run.settings.faces.jpeg_quality}" if "crops_jpeg" in run.kept else "raw"


def check_crops_stay(crops: str, reader: str) -> None:
    """Refuse settings under which the crops are gone before they are read.

    Args:
        crops: `[faces] crops`.
        reader: Who reads them, for the message.

    Raises:
        UserError: `[faces] crops = none`.
    """
    if crops == "none":
        raise UserError(f"{reader} reads the crops, and [faces] crops = none keeps none; set it to raw or jpeg")

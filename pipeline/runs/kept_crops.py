"""What stays of a shard's aligned faces once they are embedded: `[faces] crops`."""

from typing import TYPE_CHECKING

from pipeline import config
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.runs.run import Run
    from store.shard.reader import Shard


def are_spare(run: "Run", shard: str) -> bool:
    """Tell whether the settings keep no raw crops, and all that is made of this shard's is there."""
    made = {"raw": None, "jpeg": ("embeddings", "crops_jpeg"), "none": ("embeddings",)}[config.faces().crops]
    return made is not None and all(run.path(stage, shard).exists() for stage in made)


def remove_spare_crops(run: "Run", shard: str) -> None:
    """Remove a shard's raw crops where they are spare."""
    if are_spare(run, shard):
        run.close_shard("crops", shard)  # a mapped file keeps its place on the disk
        path = run.path("crops", shard)
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".sums").unlink(missing_ok=True)


def find_crops(run: "Run", shard: str) -> "Shard":
    """Open a shard's crops: the file of the stage `crops` or `crops_jpeg`, where both are there what the settings keep.

    Raises:
        UserError: None are kept.
    """
    stages = ["crops", "crops_jpeg"]
    for stage in stages[::-1] if config.faces().crops == "jpeg" else stages:
        found = run.shard(stage, shard)
        if found is not None:
            return found
    raise UserError(
        f"{run.path('crops', shard)} is not there: [vnet] backbone = finetune reads the crops; set [faces] crops = raw "
        "or jpeg, remove the shard's embeddings file, and run again"
    )


def describe_crops(crops: "Shard") -> str:
    """Say what a network is given that reads these crops: "raw", or "jpeg" and the quality they were written with."""
    return "raw" if crops.stage == "crops" else f"jpeg {crops.provenance.get('jpeg_quality', 'of unknown quality')}"


def check_crops_stay(reader: str) -> None:
    """Refuse settings under which the crops are gone before they are read.

    Args:
        reader: Who reads them, for the message.

    Raises:
        UserError: `[faces] crops = none`.
    """
    if config.faces().crops == "none":
        raise UserError(f"{reader} reads the crops, and [faces] crops = none keeps none; set it to raw or jpeg")

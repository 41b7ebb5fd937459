"""What stays of a shard's aligned faces once they are embedded: `[faces] crops`."""

from typing import TYPE_CHECKING

from pipeline import config
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.run import Run


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


def check_crops_stay(reader: str) -> None:
    """Refuse settings under which the crops are gone before they are read.

    Args:
        reader: Who reads them, for the message.

    Raises:
        UserError: `[faces] crops = none`.
    """
    if config.faces().crops == "none":
        raise UserError(f"{reader} reads the crops, and [faces] crops = none keeps none; set it to raw or jpeg")

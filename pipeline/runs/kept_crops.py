"""What stays of a shard's aligned faces once they are embedded: `[faces] crops`."""

from pathlib import Path

from pipeline import config
from pipeline.errors import UserError
from pipeline.runs.run import Run
from store.shard.reader import Shard


def are_spare(run: Run, shard: str) -> bool:
    """Tell whether the settings keep no raw crops, and all that is made of this shard's is there."""
    made = {"raw": None, "jpeg": ("embeddings", "crops_jpeg"), "none": ("embeddings",)}[config.faces().crops]
    return made is not None and all(run.path(stage, shard).exists() for stage in made)


def find_outputs(run: Run, stage: str, shard: str) -> list[Path]:
    """Give the files that make a stage of a shard complete under the current settings."""
    kept = set(run.kept_stages)
    beside = {
        "frames": ["pixels"] if "pixels" in kept else [],
        "faces": [] if are_spare(run, shard) else ["crops"],
        "embeddings": sorted(kept & {"crops", "crops_jpeg"}),
    }
    return [run.path(name, shard) for name in [stage, *beside.get(stage, [])]]


def remove_spare_crops(run: Run, shard: str) -> None:
    """Remove a shard's raw crops where they are spare."""
    if are_spare(run, shard):
        run.close_shard("crops", shard)  # a mapped file keeps its place on the disk
        path = run.path("crops", shard)
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".sums").unlink(missing_ok=True)


def find_crops(run: Run, shard: str) -> Shard:
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


def describe_crops(crops: Shard) -> str:
    """Say what a network is given that reads these crops: "raw", or "jpeg" and the quality they were written with."""
    return "raw" if crops.stage == "crops" else f"jpeg {crops.provenance.get('jpeg_quality', 'of unknown quality')}"

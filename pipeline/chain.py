"""The chain, once: its stages as a table, and the one rule by which a stage of a shard has something to do.

Everything else that speaks of stages (tasks, fingerprints, progress, status) takes them from here.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One step of the chain.

    Args:
        name: Of its folder in the store, and of its main file.
        title: What a person reads.
        version: Raised when its code changes its bytes; the stage and those behind it are then recomputed.
        packages: Those whose code makes its values, for the provenance.
        before: The stage whose fingerprint its own covers.
        beside: Files that it makes beside its main one; they have its fingerprint.
        is_feature: Whether training reads its main file; everything else is on the way there or kept beside.
    """

    name: str
    title: str
    version: int
    packages: tuple[str, ...]
    before: str | None = None
    beside: tuple[str, ...] = ()
    is_feature: bool = False


#: In the order of the chain.
STAGES = {
    stage.name: stage
    for stage in (
        Stage("wav", "extract sound", 1, ("av",)),
        Stage("stft", "transform sound", 1, ("numpy", "scipy", "soundfile"), before="wav", is_feature=True),
        Stage("frames", "read frame times", 1, ("av",), beside=("pixels",)),
        Stage(
            "faces",
            "find faces",
            5,
            ("av", "numpy", "opencv-python-headless", "torch"),
            before="frames",
            beside=("crops",),
        ),
        Stage("embeddings", "embed faces", 1, ("torch",), before="faces", beside=("crops_jpeg",), is_feature=True),
    )
}
STAGE_TITLES = {stage.name: stage.title for stage in STAGES.values()}
#: The stages that training reads.
FEATURE_STAGES = tuple(stage.name for stage in STAGES.values() if stage.is_feature)
#: A file of a shard to those that it is made from.
MADE_FROM: dict[str, tuple[str, ...]] = {
    "wav": (),
    "stft": ("wav",),
    "frames": (),
    "pixels": (),
    "faces": ("frames",),
    "crops": ("frames",),
    "embeddings": ("faces", "crops"),
    "crops_jpeg": ("crops",),
}
#: [faces] crops to what it keeps.
KEPT_CROPS = {"raw": ("crops",), "jpeg": ("crops_jpeg",), "none": ()}

#: The three networks, in the order of training: Joint starts from the other two.
NETWORKS = ("anet", "vnet", "joint")
NETWORK_TITLES = {"anet": "train ANet", "vnet": "train VNet", "joint": "train Joint"}
REPORT_TITLE = "report"
FOLDS_TITLE = "train folds"
PREDICT_TITLE = "predict"


def find_work(is_there: Callable[[str], bool], kept: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Say what is to be done to a shard: the one rule of what is complete.

    Wanted are the features and what is kept beside them; of what they are made from, only what something that is
    missing needs. So a finished shard has no work, even where files on the way have been tidied away.

    Args:
        is_there: Whether a file of the shard is there.
        kept: What the settings keep beside the features.

    Returns:
        Stage to the files that it has to make, in the order of the chain; empty for a finished shard.

    >>> find_work({"wav", "stft", "frames"}.__contains__, {"crops"})
    {'faces': ('faces', 'crops'), 'embeddings': ('embeddings',)}
    """
    missing: set[str] = set()
    asked = [*FEATURE_STAGES, *kept]
    while asked:
        file = asked.pop()
        if file not in missing and not is_there(file):
            missing.add(file)
            asked += MADE_FROM[file]
    work = {stage.name: tuple(f for f in (stage.name, *stage.beside) if f in missing) for stage in STAGES.values()}
    return {stage: made for stage, made in work.items() if made}

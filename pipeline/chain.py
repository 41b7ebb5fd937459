"""The chain, once: its stages as a table, and the one rule by which a stage of a shard has something to do.

Everything else that speaks of stages (tasks, fingerprints, progress, status) takes them from here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field


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
        made_from: Its files, each to those that it is made from.
    """

    name: str
    title: str
    version: int
    packages: tuple[str, ...]
    before: str | None = None
    beside: tuple[str, ...] = ()
    is_feature: bool = False
    made_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


#: The stages that are always there, in the order of the chain. A run's own chain also has the features that its user
#: declares (pipeline/settings/features.py).
STAGES = {
    stage.name: stage
    for stage in (
        Stage("wav", "extract sound", 1, ("av",), made_from={"wav": ()}),
        Stage(
            "stft",
            "transform sound",
            1,
            ("numpy", "scipy", "soundfile"),
            before="wav",
            is_feature=True,
            made_from={"stft": ("wav",)},
        ),
        Stage("frames", "read frame times", 1, ("av",), beside=("pixels",), made_from={"frames": (), "pixels": ()}),
        Stage(
            "faces",
            "find faces",
            5,
            ("av", "numpy", "opencv-python-headless", "torch"),
            before="frames",
            beside=("crops",),
            made_from={"faces": ("frames",), "crops": ("frames",)},
        ),
        Stage(
            "embeddings",
            "embed faces",
            1,
            ("torch",),
            before="faces",
            beside=("crops_jpeg",),
            is_feature=True,
            made_from={"embeddings": ("faces", "crops"), "crops_jpeg": ("crops",)},
        ),
    )
}
STAGE_TITLES = {stage.name: stage.title for stage in STAGES.values()}
#: The stages that training reads.
FEATURE_STAGES = tuple(stage.name for stage in STAGES.values() if stage.is_feature)
#: The stages that read the clips themselves; all others read what these have made.
SOURCE_STAGES = tuple(stage.name for stage in STAGES.values() if stage.before is None)
#: [faces] crops to what it keeps.
KEPT_CROPS = {"raw": ("crops",), "jpeg": ("crops_jpeg",), "none": ()}

#: The three networks, in the order of training: Joint starts from the other two.
NETWORKS = ("anet", "vnet", "joint")
NETWORK_TITLES = {"anet": "train ANet", "vnet": "train VNet", "joint": "train Joint"}
REPORT_TITLE = "report"
PAGES_TITLE = "pages of clips"
FOLDS_TITLE = "train folds"
PREDICT_TITLE = "predict"


def find_readers(file: str, stages: Mapping[str, Stage] = STAGES) -> set[str]:
    """Name the stages that make something from a file of a shard.

    >>> sorted(find_readers("crops"))
    ['embeddings']
    """
    return {stage.name for stage in stages.values() if any(file in sources for sources in stage.made_from.values())}


def find_chain(stage: str, stages: Mapping[str, Stage] = STAGES) -> tuple[str, ...]:
    """Name the stages up to this one, each of which rests on the one before it; the first one first.

    >>> find_chain("embeddings")
    ('frames', 'faces', 'embeddings')
    """
    before = stages[stage].before
    return (*(find_chain(before, stages) if before is not None else ()), stage)


def find_needed(stage: str, work: Mapping[str, tuple[str, ...]], stages: Mapping[str, Stage] = STAGES) -> list[str]:
    """Name the stages with something to do (see `find_work`) that have to be done before a stage.

    >>> find_needed("faces", {"frames": ("frames",), "faces": ("faces", "crops")})
    ['frames']
    """
    sources = {source for made_from in stages[stage].made_from.values() for source in made_from}
    return [other for other, files in work.items() if sources.intersection(files)]


def find_work(
    is_there: Callable[[str], bool], kept: Collection[str], stages: Mapping[str, Stage] = STAGES
) -> dict[str, tuple[str, ...]]:
    """Say what is to be done to a shard: the one rule of what is complete.

    Wanted are the features and what is kept beside them; of what they are made from, only what something that is
    missing needs. So a finished shard has no work, even where files on the way have been tidied away.

    Args:
        is_there: Whether a file of the shard is there.
        kept: What the settings keep beside the features.
        stages: The run's chain.

    Returns:
        Stage to the files that it has to make, in the order of the chain; empty for a finished shard.

    >>> find_work({"wav", "stft", "frames"}.__contains__, {"crops"})
    {'faces': ('faces', 'crops'), 'embeddings': ('embeddings',)}
    """
    wanted = [*(stage.name for stage in stages.values() if stage.is_feature), *kept]
    missing = {file for file in wanted if not is_there(file)}
    if not missing:  # as nearly always; a run asks this several times of each shard
        return {}
    made_from = {file: sources for stage in stages.values() for file, sources in stage.made_from.items()}
    asked = [source for file in missing for source in made_from[file]]
    while asked:
        file = asked.pop()
        if file not in missing and not is_there(file):
            missing.add(file)
            asked += made_from[file]
    work = {stage.name: tuple(f for f in (stage.name, *stage.beside) if f in missing) for stage in stages.values()}
    return {stage: made for stage, made in work.items() if made}

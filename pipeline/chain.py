"""The chain of stages as a table, and the one rule that says which stages of a shard have something to do.

All other modules that need the stages (tasks, fingerprints, progress, status) take them from here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """One step of the chain.

    Args:
        name: Name of the stage, of its folder in the store and of its main file.
        title: Name of the stage in messages.
        version: Raised when a change of its code changes its bytes; the stage and all later ones are then recomputed.
        packages: Packages whose code computes its values, for the provenance.
        before: The previous stage; this stage's fingerprint includes that stage's.
        beside: Files that it makes in addition to its main one; they have the same fingerprint.
        is_feature: Whether training reads its main file.
        made_from: Each of its files to the files that it is made from.
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
#: The stages that read the clips themselves; all others read files that earlier stages made.
SOURCE_STAGES = tuple(stage.name for stage in STAGES.values() if stage.before is None)
#: Value of [faces] crops to the files that it keeps.
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
    """Name the stages from the first one to this one, each of which needs the one before it.

    >>> find_chain("embeddings")
    ('frames', 'faces', 'embeddings')
    """
    before = stages[stage].before
    return (*(find_chain(before, stages) if before is not None else ()), stage)


def find_needed(stage: str, work: Mapping[str, tuple[str, ...]], stages: Mapping[str, Stage] = STAGES) -> list[str]:
    """Name the stages that have something to do (see `find_work`) and must be done before a stage.

    >>> find_needed("faces", {"frames": ("frames",), "faces": ("faces", "crops")})
    ['frames']
    """
    sources = {source for made_from in stages[stage].made_from.values() for source in made_from}
    return [other for other, files in work.items() if sources.intersection(files)]


def find_work(
    is_there: Callable[[str], bool], kept: Collection[str], stages: Mapping[str, Stage] = STAGES
) -> dict[str, tuple[str, ...]]:
    """Say which files of a shard are to be made: the one rule of when a shard is complete.

    A shard needs its features and the files kept beside them. It needs a file that these are made from only when one
    made from it is missing. So a finished shard has no work, even when intermediate files have been removed.

    Args:
        is_there: Whether a file of the shard is there.
        kept: Files that the settings keep beside the features.
        stages: The run's chain.

    Returns:
        Stage to the files that it has to make, in the order of the chain; empty for a finished shard.

    >>> find_work({"wav", "stft", "frames"}.__contains__, {"crops"})
    {'faces': ('faces', 'crops'), 'embeddings': ('embeddings',)}
    """
    wanted = [*(stage.name for stage in stages.values() if stage.is_feature), *kept]
    missing = {file for file in wanted if not is_there(file)}
    if not missing:  # the usual case; a run calls this several times for each shard
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

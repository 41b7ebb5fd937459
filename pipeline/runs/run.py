"""The run on which this process works."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.weights.digests import compute_sha256
from models.weights.table import ResolvedWeights
from pipeline.dataset.folder_look import FolderLook
from pipeline.dataset.utterances import Dataset
from pipeline.runs.fingerprints import Provenance, describe_packages
from pipeline.runs.plan import Plan
from pipeline.runs.stage_files import StageFiles
from pipeline.settings.config import Settings
from pipeline.settings.features import Feature
from store.errors import StoreError
from store.records.listings import Listing
from store.records.plans import Member
from store.shard.reader import Shard


def compute_file_digest(path: Path) -> str:
    """Give a file's sha256 in hexadecimal.

    Two stages ask for it, and the file is read only once while its size and time stay the same.

    Raises:
        OSError: The file cannot be read.
    """
    status = path.stat()
    return _compute_digest(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _compute_digest(path: Path, size: int, mtime_ns: int) -> str:
    return compute_sha256(path)


@dataclass(frozen=True, kw_only=True)
class Run(StageFiles):
    """The run on which this process works. `open_run` makes it, and every task uses the same object.

    Args:
        settings: The settings with which the run was opened; its stages and trainings read no others.
        videos: The folder of videos.
        folder: `[run] root`: logs, checkpoints, reports.
        dataset: The utterances of the CSV files.
        weights: The weights by the name of their setting: sphereface20, vgg16.
        stages: What determines each stage's bytes (`fingerprints.describe_stages`).
        clips: The clips that exist, by utterance.
        plan: Which utterance is in which shard.
        name: The name of the run's listing in the store.
        erased: Listed utterances that the store refuses, each with a sentence that says why.
        hindered: Listed utterances without a usable file, each with a sentence that says why; only where more is known
            than that no file was found.
        before: The listing that this run wrote when it last ran; for a run new to the store, the newest listing.
        features: The declared features, by stage.
        untrainable: One sentence that says why there will be features but no training; "" where training is possible.
        tables: The digest of the CSV files and of the overrides, computed before they were read.
        folders: What was seen in the folders of videos; None where the clips were found in another way.
    """

    settings: Settings
    videos: Path
    folder: Path
    dataset: Dataset
    weights: Mapping[str, ResolvedWeights]
    stages: Mapping[str, Provenance]
    clips: Mapping[str, Member]
    plan: Plan
    name: str
    erased: Mapping[str, str]
    hindered: Mapping[str, str]
    untrainable: str = ""
    before: Listing | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)
    tables: str = ""
    folders: FolderLook | None = None

    @property
    def pending(self) -> list[str]:
        """Ids of the shards that the run needs and that are not finished."""
        return [shard for shard in self.plan.shards if not self.is_finished(shard)]

    def describe(self, stage: str) -> Provenance:
        """Give the provenance that a shard's file gets: version, settings, weights and packages."""
        return {**self.stages[stage], "packages": describe_packages(self.chain[stage])}

    def find_source(self, shard: str, member: Member) -> Path | None:
        """Find the clip of a shard's member; None where the file has vanished or has changed since it was planned."""
        clip = self.clips.get(member.name)
        # A file whose time has changed, but not its content, stays in its shard; the plan has the new time.
        known = clip if clip is not None and self.plan.assigned.get(member.name) == shard else member
        path = self.videos / known.path
        try:
            now = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path if (now.st_size, now.st_mtime_ns) == known.stamp else None


def has_rows(store: Path, stage: str, shard: str, name: str) -> bool:
    """Tell whether a stage of a shard was computed from an utterance's file, under any settings."""
    try:
        return any(
            name in rows and rows.fact(name, "status") != "missing_file"
            for rows in map(Shard, (store / stage).glob(f"*/{shard}.h5"))
        )
    except StoreError:
        return True  # a damaged file was made once; `verify` reports the damage

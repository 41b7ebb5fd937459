"""What this process works on."""

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
    """Give a file's sha256, hexadecimal; it is read once as long as its size and time stay, as two stages ask for it.

    Raises:
        OSError: It cannot be read.
    """
    status = path.stat()
    return _compute_digest(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _compute_digest(path: Path, size: int, mtime_ns: int) -> str:
    return compute_sha256(path)


@dataclass(frozen=True, kw_only=True)
class Run(StageFiles):
    """What this process works on; made whole by `open_run`, the same object for every task.

    Args:
        settings: Those it was opened with; its stages and trainings read no other.
        videos: The folder of videos.
        folder: `[run] root`: logs, checkpoints, reports.
        dataset: The utterances of the CSV files.
        weights: By name of setting: sphereface20, vgg16.
        stages: What makes up each stage's bytes.
        clips: The clips that are there, by utterance.
        plan: Which utterance is in which shard.
        name: Of its listing in the store.
        erased: Listed utterances that the store refuses, each with the sentence that says so.
        hindered: Listed utterances without a file that can be used, where more can be said than that.
        before: What this run listed when it last ran; of a run new to the store what the newest one did.
        features: The declared features, by stage.
        untrainable: Why there will be features but no training, one sentence; "" where there can be.
        tables: Digest of the CSV files and overrides, taken before they were read.
        folders: What was looked at in the folders of videos; None where clips were found otherwise.
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
        """Give what a shard's file says of its making."""
        return {**self.stages[stage], "packages": describe_packages(self.chain[stage])}

    def find_source(self, shard: str, member: Member) -> Path | None:
        """Find a member's clip as it was planned; None where it has vanished or is another file by now."""
        clip = self.clips.get(member.name)
        # A touched but equal file stays in its shard under a new time.
        known = clip if clip is not None and self.plan.assigned.get(member.name) == shard else member
        path = self.videos / known.path
        try:
            now = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path if (now.st_size, now.st_mtime_ns) == known.stamp else None


def has_rows(store: Path, stage: str, shard: str, name: str) -> bool:
    """Tell whether a stage of a shard was made of an utterance's file, under whatever settings."""
    try:
        return any(
            name in rows and rows.fact(name, "status") != "missing_file"
            for rows in map(Shard, (store / stage).glob(f"*/{shard}.h5"))
        )
    except StoreError:
        return True  # damaged, so it was made; `verify` tells of it

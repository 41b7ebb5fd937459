"""Opening a run: settings, CSV files, weights, plan and lock, before any work starts."""

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from models.weights.digests import compute_sha256
from models.weights.table import ResolvedWeights, WeightsError, resolve_weights
from pipeline import config
from pipeline.dataset.clip_files import FoundClips, find_clips
from pipeline.dataset.overrides import Override, read_overrides
from pipeline.dataset.unlabelled import list_unlabelled
from pipeline.dataset.utterances import Dataset, DatasetError, read_dataset
from pipeline.errors import UserError
from pipeline.runs.fingerprints import (
    Provenance,
    compute_stage_fingerprints,
    describe_packages,
    describe_stages,
)
from pipeline.runs.plan import Member, Plan, make_plan, read_plans
from store import files
from store.erased import read_erased
from store.errors import StoreError
from store.layout import listings_folder, shard_path
from store.listings import Listing
from store.lock import locked
from store.shard.reader import Shard

#: A file's sha256, hexadecimal; sound and picture need the same clip's.
compute_file_digest = functools.lru_cache(maxsize=4096)(compute_sha256)
#: The stages that training reads; everything else is on the way to them or kept beside.
FEATURE_STAGES = ("stft", "embeddings")
#: Begins the names of listings of clips to predict.
_PREDICTION = "predict-"


@dataclass
class Run:
    """What this process works on; made by `open_run`, the same object for every task.

    Args:
        store: The feature store's folder.
        videos: The folder of videos.
        folder: `[run] root`: logs, checkpoints, reports.
        dataset: The utterances of the CSV files.
        weights: By name of setting: sphereface20, vgg16.
        stages: What makes up each stage's bytes.
        fingerprints: Stage to the name of its stage set.
        clips: The clips that are there, by utterance.
        plan: Which utterance is in which shard.
        name: Of its listing in the store.
        erased: Listed utterances that the store refuses, each with the sentence that says so.
        hindered: Listed utterances without a file that can be used, where more can be said than that.
    """

    store: Path
    videos: Path
    folder: Path
    dataset: Dataset
    weights: dict[str, ResolvedWeights]
    stages: dict[str, Provenance]
    fingerprints: dict[str, str]
    clips: dict[str, Member]
    plan: Plan
    name: str
    erased: dict[str, str] = field(default_factory=dict)
    hindered: dict[str, str] = field(default_factory=dict)
    _shards: dict[Path, Shard] = field(default_factory=dict)

    def path(self, stage: str, shard: str) -> Path:
        """Give the file of one stage and shard under the current settings."""
        return shard_path(self.store, stage, self.fingerprints[stage], shard)

    def shard(self, stage: str, shard: str) -> Shard | None:
        """Open the file of one stage and shard; None when it is not there."""
        path = self.path(stage, shard)
        return self.open_file(path) if path in self._shards or path.exists() else None

    def open_file(self, path: Path) -> Shard:
        """Open a shard's file, each once."""
        if path not in self._shards:
            self._shards[path] = Shard(path)
        return self._shards[path]

    def close_shard(self, stage: str, shard: str) -> None:
        """Let go of an opened file: it is unmapped when nobody holds a view of it any more."""
        self._shards.pop(self.path(stage, shard), None)

    def is_finished(self, shard: str) -> bool:
        """Tell whether a shard has all its features under the current settings."""
        return all(self.path(stage, shard).exists() for stage in (*FEATURE_STAGES, *self.kept_stages))

    @property
    def kept_stages(self) -> list[str]:
        """What the settings want kept beside the features."""
        crops = {"raw": ["crops"], "jpeg": ["crops_jpeg"], "none": []}[config.faces().crops]
        return crops + (["pixels"] if config.frames().store_pixels else [])

    @property
    def pending(self) -> list[str]:
        """Ids of the shards that the run needs and that are not finished."""
        return [shard for shard in self.plan.shards if not self.is_finished(shard)]

    def describe(self, stage: str) -> Provenance:
        """Give what a shard's file says of its making."""
        return {**self.stages[stage], "packages": describe_packages(stage)}

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


@functools.cache
def current_run(unlabelled: Path | None = None) -> Run:
    """Open the run of this process, once: checks everything, plans, takes the store's lock.

    Args:
        unlabelled: See `open_run`.

    Raises:
        UserError: Settings, data or weights have to be mended first; nothing has been changed.
    """
    run = open_run(unlabelled)
    _locks.enter_context(locked(run.store, shared=not config.is_scheduler_local()))
    for plan in run.plan.shards.values():
        plan.write(run.store)
    _write_listing(run)
    _remove_leftovers(run)
    return run


def _remove_leftovers(run: Run) -> None:
    """Remove what runs that were killed left half-written where this one will work."""
    if not run.pending:
        return
    for stage, fingerprint in run.fingerprints.items():
        files.remove_leftovers(run.store / stage / fingerprint)
    for shard in run.pending:
        # Not below all of the stage set: there are as many WAV files as clips.
        files.remove_leftovers(run.store / "wav" / run.fingerprints["wav"] / shard, below=True)
    if config.run().scratch:
        files.remove_leftovers(Path(config.run().scratch))


_locks = contextlib.ExitStack()


def open_run(unlabelled: Path | None = None, *, store: Path | None = None) -> Run:
    """Read settings, CSV files, weights and plan, writing nothing.

    Args:
        unlabelled: A folder of clips to predict, instead of those of the CSV files.
        store: Instead of `[store] root`.

    Raises:
        UserError: Something has to be mended first; says what, where and how.
    """
    try:
        config.load()
        store = store or Path(config.store().root)
        weights = {"sphereface20": resolve_weights("sphereface20", config.embeddings().weights)}
        if unlabelled is not None:
            videos, dataset = list_unlabelled(unlabelled)
            return _plan_run(dataset, weights, videos, store, _PREDICTION + _name_run(unlabelled))
        if config.vnet().backbone == "finetune":
            check_crops_stay("[vnet] backbone = finetune")
        weights["vgg16"] = resolve_weights("vgg16", config.anet().vgg_weights)
        dataset = read_dataset(_csv_paths(), group_column=config.dataset().group)
        overrides = _read_overrides(dataset)
        name = _name_run(Path(config.run().root))
        return _plan_run(dataset, weights, Path(config.dataset().videos), store, name, overrides)
    except (WeightsError, DatasetError, StoreError) as error:
        raise UserError(str(error)) from error


def check_crops_stay(reader: str) -> None:
    """Refuse settings under which the crops are gone before they are read.

    Args:
        reader: Who reads them, for the message.

    Raises:
        UserError: `[faces] crops = none`.
    """
    if config.faces().crops == "none":
        raise UserError(f"{reader} reads the crops, and [faces] crops = none keeps none; set it to raw or jpeg")


def _csv_paths() -> dict[str, Path]:
    section = config.dataset()
    named = {"train": section.train, "validation": section.validation, "test": section.test}
    missing = [
        f"[dataset] {split} = {path} does not exist"
        for split, path in named.items()
        if path and not Path(path).is_file()
    ]
    if missing:
        raise UserError("\n".join(missing))
    return {split: Path(path) for split, path in named.items() if path}


def _read_overrides(dataset: Dataset) -> dict[str, Override]:
    path = config.dataset().overrides
    return read_overrides(Path(path), [utterance.name for utterance in dataset.utterances]) if path else {}


def _make_members(found: FoundClips, overrides: Mapping[str, Override]) -> dict[str, Member]:
    return {
        name: Member(name, str(clip.path), clip.size, clip.mtime_ns, overrides.get(name, Override()).text)
        for name, clip in found.files.items()
    }


def _find_erased(store: Path, dataset: Dataset) -> dict[str, str]:
    """Find whom `python -m store erase` has removed and the CSV files still list: name to a sentence."""
    erased = read_erased(store)
    dates = {utterance.name: erased.find_date(utterance.name) for utterance in dataset.utterances}
    return {
        name: f"{name} was erased from {store} on {date} and is not taken up again; remove its clip and its CSV row"
        for name, date in dates.items()
        if date
    }


def _plan_run(
    dataset: Dataset,
    weights: dict[str, ResolvedWeights],
    videos: Path,
    store: Path,
    name: str,
    overrides: Mapping[str, Override] = MappingProxyType({}),
) -> Run:
    if not videos.is_dir():
        raise UserError(
            f"[dataset] videos = {videos} is not there; mount or correct it. The store {store} is unchanged and keeps "
            "what it has"
        )
    stages = describe_stages(weights["sphereface20"])
    erased = _find_erased(store, dataset)
    found = find_clips(videos, dataset.utterances)
    dataset = dataclasses.replace(dataset, warnings=(*dataset.warnings, *erased.values(), *found.warnings))
    clips = _make_members(found, overrides)
    run = Run(
        store=store,
        videos=videos,
        folder=Path(config.run().root),
        dataset=dataset,
        weights=weights,
        stages=stages,
        fingerprints=compute_stage_fingerprints(stages),
        clips={name: clip for name, clip in clips.items() if name not in erased},
        plan=Plan({}, {}, frozenset(), frozenset(), {}),
        name=name,
        erased=erased,
        hindered=found.hindered,
    )
    before = _read_listing(run)
    run.plan = make_plan(
        [utterance.name for utterance in dataset.utterances],
        run.clips,
        read_plans(store),
        seen={} if before is None else {name: (shard, before.sources[name]) for name, shard in before.shards.items()},
        is_finished=functools.cache(run.is_finished),
        holds=lambda shard, name: _holds(run, shard, name),
        was_made=lambda shard, name: any(has_rows(store, stage, shard, name) for stage in FEATURE_STAGES),
        same_content=lambda shard, clip: _same_content(run, shard, clip),
        shard_size=config.store().shard_size,
    )
    _check_vanished(run, before)
    return run


def _name_run(folder: Path) -> str:
    # One listing per folder of runs or of clips to predict: all that share a store keep what each needs.
    folder = folder.resolve()
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _read_listing(run: Run) -> Listing | None:
    """Read what this run listed before; for a folder of runs new to the store, what the newest run did."""
    path = listings_folder(run.store) / f"{run.name}.json"
    others = [other for other in listings_folder(run.store).glob("*.json") if not other.name.startswith(_PREDICTION)]
    others.sort(key=lambda other: other.stat().st_mtime_ns)
    if path.exists() or not others:
        return Listing.read(path) if path.exists() else None
    return Listing.read(others[-1])


def _write_listing(run: Run) -> None:
    plan = run.plan
    folder = str(run.folder.resolve())
    Listing(run.name, run.fingerprints, plan.assigned, plan.stamps, plan.vanished, folder).write(run.store)


def _holds(run: Run, shard: str, name: str) -> bool:
    """Tell whether a shard has rows for an utterance, or may still get them."""
    rows = [run.shard(stage, shard) for stage in FEATURE_STAGES]
    return not any(
        stage is not None and name in stage and stage.fact(name, "status") == "missing_file" for stage in rows
    )


def has_rows(store: Path, stage: str, shard: str, name: str) -> bool:
    """Tell whether a stage of a shard was made of an utterance's file, under whatever settings."""
    try:
        return any(
            name in rows and rows.fact(name, "status") != "missing_file"
            for rows in map(Shard, (store / stage).glob(f"*/{shard}.h5"))
        )
    except StoreError:
        return True  # damaged, so it was made; `verify` tells of it


def _same_content(run: Run, shard: str, clip: Member) -> bool:
    for stage in ("stft", "embeddings", "wav", "frames"):
        rows = run.shard(stage, shard)
        if rows is not None and clip.name in rows:
            return rows.fact(clip.name, "source_sha256") == compute_file_digest(run.videos / clip.path)
    return False


def _check_vanished(run: Run, before: Listing | None) -> None:
    if not run.clips and not run.plan.assigned:
        first = run.dataset.utterances[0] if run.dataset.utterances else None
        where = f": the first one would be {run.videos / first.video / first.utterance}" if first else ""
        raise UserError(f"none of the {len(run.dataset.utterances)} utterances has a file in {run.videos}{where}")
    present = [] if before is None else [name for name in before.shards if name not in before.vanished]
    gone = [name for name in present if name in run.plan.vanished]
    limit = config.run().max_vanished
    if gone and len(gone) > limit * len(present):
        raise UserError(
            f"{len(gone)} of the {len(present)} sources of the last run are gone from {run.videos} "
            f"(the first: {gone[0]}), more than [run] max_vanished = {limit:g} of them. Nothing has been changed. "
            "Mount the disk that held them; or, if they are gone for good, run once with max_vanished = 1: their "
            "features are kept and flagged source_missing"
        )

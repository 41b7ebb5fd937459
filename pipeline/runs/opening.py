"""Opening a run: settings, CSV files, weights and plan are read before any work starts, and nothing is written.

What a run writes before its work (`begin`): the plans of new shards and its listing.
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from models.weights.table import ResolvedWeights, WeightsError, resolve_weights
from pipeline import config
from pipeline.chain import FEATURE_STAGES, KEPT_CROPS, STAGES
from pipeline.config import Settings
from pipeline.dataset.clip_files import FoundClips, find_clips
from pipeline.dataset.overrides import Override, read_overrides
from pipeline.dataset.unlabelled import list_unlabelled
from pipeline.dataset.utterances import Dataset, DatasetError, read_dataset
from pipeline.errors import UserError
from pipeline.runs.describing import describe_failure, name_folders
from pipeline.runs.fingerprints import compute_stage_fingerprints, describe_stages
from pipeline.runs.kept_crops import check_crops_stay
from pipeline.runs.plan import Plan, make_plan
from pipeline.runs.run import Run, compute_file_digest, has_rows
from pipeline.runs.sound_again import MistrustedSound, remove_mistrusted
from pipeline.runs.stage_files import StageFiles
from store import files
from store.erased import read_erased
from store.errors import StoreError
from store.layout import check_is_readable, listings_folder
from store.listings import PREDICTION, Listing
from store.plans import Member, read_stored_plans


def open_run(unlabelled: Path | None = None, *, store: Path | None = None, trains: bool = False) -> Run:
    """Read settings, CSV files, weights and plan, writing nothing.

    Args:
        unlabelled: A folder of clips to predict, instead of those of the CSV files.
        store: Instead of `[store] root`.
        trains: Whether networks are to be trained; features alone need neither labels nor VGG-16's weights.

    Raises:
        UserError: Something has to be mended first; says what, where and how.
    """
    try:
        config.load()
        settings = config.Settings.read()
        _try_ffmpeg(settings)
        store = store or Path(settings.store.root)
        weights = {"sphereface20": _resolve("sphereface20", "[embeddings] weights", settings.embeddings.weights)}
        if unlabelled is not None:
            videos, dataset = list_unlabelled(unlabelled)
            return _plan_run(settings, dataset, weights, videos, store, PREDICTION + _name_run(unlabelled))
        if settings.vnet.backbone == "finetune":
            check_crops_stay(settings.faces.crops, "[vnet] backbone = finetune")
        untrainable = _find_untrainable(settings, weights)
        if trains and untrainable:
            raise UserError(untrainable)
        section = settings.dataset
        dataset = read_dataset(_csv_paths(settings), group_column=section.group, label_range=section.label_range)
        overrides = _read_overrides(settings, dataset)
        name = _name_run(Path(settings.run.root))
        run = _plan_run(settings, dataset, weights, Path(section.videos), store, name, overrides)
        return dataclasses.replace(run, untrainable=untrainable)
    except (WeightsError, DatasetError, StoreError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(describe_failure(error, name_folders())) from error


def _find_untrainable(settings: Settings, weights: dict[str, ResolvedWeights]) -> str:
    """Add the weights from which training starts; say why there can be none where that is so."""
    if not settings.dataset.train:
        return "[dataset] train is empty: there is nothing to train on; `valar features` computes the features alone"
    try:
        weights["vgg16"] = _resolve("vgg16", "[anet] vgg_weights", settings.anet.vgg_weights)
    except UserError as error:
        return str(error)
    return ""


def _resolve(name: str, setting: str, value: str) -> ResolvedWeights:
    """Find weights; a fault names the setting, too."""
    try:
        return resolve_weights(name, value)
    except WeightsError as error:
        raise UserError(f"{setting} = {value}: {error}") from error
    except OSError as error:
        raise UserError(f"{setting} = {value} cannot be read ({error.strerror}); check who may read it") from error


def begin(run: Run) -> Run:
    """Write what a run says before its work, and remove what is in its way.

    That is what killed runs left half-written where it will work, and sound that is to be made again.

    Args:
        run: Opened; its store's lock is held.

    Returns:
        The run to work on.
    """
    for shard in run.plan.new:
        run.plan.shards[shard].write(run.store)
    plan, folder = run.plan, str(run.folder.resolve())
    listing = Listing(
        run.name, dict(run.fingerprints), plan.assigned, plan.stamps, plan.vanished, folder, kept=run.kept
    )
    path = listings_folder(run.store) / f"{run.name}.json"
    if listing == run.before and path.exists():
        os.utime(path)  # the newest listing is the one that counts
    else:
        listing.write(run.store)
    remove_mistrusted(run)
    run = dataclasses.replace(run, sound_again=frozenset())
    pending = run.pending
    if not pending:
        return run
    for stage, fingerprint in run.fingerprints.items():
        files.remove_leftovers(run.store / stage / fingerprint)
    for shard in pending:
        # Not below all of the stage set: there are as many WAV files as clips.
        files.remove_leftovers(run.store / "wav" / run.fingerprints["wav"] / shard, below=True)
    if run.settings.run.scratch:
        files.remove_leftovers(Path(run.settings.run.scratch))
    return run


def _try_ffmpeg(settings: Settings) -> None:
    """Refuse a program `[audio] ffmpeg` that is of no use before it makes every clip a damaged one."""
    if settings.audio.ffmpeg:
        from pipeline.media.sound.ffmpeg import sound_engine

        sound_engine(settings.audio.ffmpeg)


def _csv_paths(settings: Settings) -> dict[str, Path]:
    section = settings.dataset
    named = {"train": section.train, "validation": section.validation, "test": section.test}
    missing = [
        f"[dataset] {split} = {path} does not exist"
        for split, path in named.items()
        if path and not Path(path).is_file()
    ]
    if missing:
        raise UserError("\n".join(missing))
    return {split: Path(path) for split, path in named.items() if path}


def _read_overrides(settings: Settings, dataset: Dataset) -> dict[str, Override]:
    path = settings.dataset.overrides
    return read_overrides(Path(path), [utterance.name for utterance in dataset.utterances]) if path else {}


def _make_members(found: FoundClips, overrides: Mapping[str, Override]) -> dict[str, Member]:
    members = {}
    for name, clip in found.files.items():
        text = ""
        if name in overrides or name in found.cuts:
            text = dataclasses.replace(overrides.get(name, Override()), cut=found.cuts.get(name)).text
        members[name] = Member(name, str(clip.path), clip.size, clip.mtime_ns, text)
    return members


def _find_erased(store: Path, dataset: Dataset) -> dict[str, str]:
    """Find whom `python -m store erase` has removed and the CSV files still list: name to a sentence."""
    erased = read_erased(store)
    if not erased.dates:
        return {}
    dates = {utterance.name: erased.find_date(utterance.name) for utterance in dataset.utterances}
    return {
        name: f"{name} was erased from {store} on {date} and is not taken up again; remove its clip and its CSV row"
        for name, date in dates.items()
        if date
    }


def _plan_run(
    settings: Settings,
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
    check_is_readable(store)
    features = {feature.stage: feature for feature in settings.features}
    chain = {**STAGES, **{stage: feature.as_stage() for stage, feature in features.items()}}
    stages = describe_stages(settings, weights["sphereface20"])
    fingerprints = compute_stage_fingerprints(stages, chain)
    stage_files = StageFiles(store=store, fingerprints=fingerprints, kept=_read_kept(settings), chain=chain)
    erased = _find_erased(store, dataset)
    found = find_clips(videos, dataset.utterances)
    clips = {name: clip for name, clip in _make_members(found, overrides).items() if name not in erased}
    before = _read_listing(store, name)
    plan, sound_again = _make_plan(settings.store.shard_size, dataset, clips, before, stage_files, videos)
    stage_files = dataclasses.replace(stage_files, sound_again=sound_again)
    run = Run(
        **{each.name: getattr(stage_files, each.name) for each in dataclasses.fields(stage_files)},
        settings=settings,
        videos=videos,
        folder=Path(settings.run.root),
        dataset=dataclasses.replace(dataset, warnings=(*dataset.warnings, *erased.values(), *found.warnings)),
        weights=weights,
        stages=stages,
        features=features,
        clips=clips,
        plan=plan,
        name=name,
        erased=erased,
        hindered=found.hindered,
        before=before,
    )
    _check_vanished(run, before)
    return run


def _read_kept(settings: Settings) -> frozenset[str]:
    """Read what is kept beside the features."""
    return frozenset([*KEPT_CROPS[settings.faces.crops], *(["pixels"] if settings.frames.store_pixels else [])])


def _make_plan(
    shard_size: int,
    dataset: Dataset,
    clips: Mapping[str, Member],
    before: Listing | None,
    stage_files: StageFiles,
    videos: Path,
) -> tuple[Plan, frozenset[str]]:
    """Make the plan, and find the shards in it whose sound is to be made again."""
    store = stage_files.store
    stored = read_stored_plans(store)
    seen = {} if before is None else {name: (shard, before.sources[name]) for name, shard in before.shards.items()}
    mistrusted = MistrustedSound(stage_files, stored, clips, seen, videos)
    unread = functools.cache(functools.partial(_find_unread, stage_files))

    @functools.cache
    def is_lost(shard: str, name: str) -> bool:
        # A clip that still cannot be read stays where that is noted: alone in a shard it would stop every run.
        return mistrusted.is_lost(shard, name) or (name in unread(shard) and _can_be_read(videos, clips.get(name)))

    plan = make_plan(
        [utterance.name for utterance in dataset.utterances],
        clips,
        stored.values(),
        seen=seen,
        is_finished=functools.cache(lambda shard: stage_files.is_usable(shard) and not mistrusted.is_to_be_made(shard)),
        holds=lambda shard, name: not is_lost(shard, name),
        was_made=lambda shard, name: any(has_rows(store, stage, shard, name) for stage in FEATURE_STAGES),
        same_content=lambda shard, clip: _same_content(stage_files, shard, clip, videos),
        shard_size=shard_size,
    )
    return plan, mistrusted.pick(plan)


def _name_run(folder: Path) -> str:
    # One listing per folder of runs or of clips to predict: all that share a store keep what each needs.
    folder = folder.resolve()
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _read_listing(store: Path, name: str) -> Listing | None:
    """Read what this run listed before; for a folder of runs new to the store, what the newest run did."""
    path = listings_folder(store) / f"{name}.json"
    others = [other for other in listings_folder(store).glob("*.json") if not other.name.startswith(PREDICTION)]
    others.sort(key=lambda other: other.stat().st_mtime_ns)
    if path.exists() or not others:
        return Listing.read(path) if path.exists() else None
    return Listing.read(others[-1])


def _find_unread(stage_files: StageFiles, shard: str) -> frozenset[str]:
    """Find the utterances for which a shard has no rows, and will get none: their files were gone."""
    tables = [stage_files.table(stage, shard) for stage in FEATURE_STAGES]
    return frozenset(name for table in tables if table is not None for name in table.find("status", "missing_file"))


def _can_be_read(videos: Path, clip: Member | None) -> bool:
    """Tell whether a clip can be read to its end; one that is not there is not looked at."""
    if clip is None:
        return True
    try:
        compute_file_digest(videos / clip.path)
    except OSError:
        return False
    return True


def _same_content(stage_files: StageFiles, shard: str, clip: Member, videos: Path) -> bool:
    for stage in ("stft", "embeddings", "wav", "frames"):
        rows = stage_files.table(stage, shard)
        if rows is not None and clip.name in rows:
            return bool(rows.fact(clip.name, "source_sha256") == compute_file_digest(videos / clip.path))
    return False


def _check_vanished(run: Run, before: Listing | None) -> None:
    if not run.clips and not run.plan.assigned:
        first = run.dataset.utterances[0] if run.dataset.utterances else None
        where = f": the first one would be {run.videos / first.video / first.utterance}" if first else ""
        raise UserError(f"none of the {len(run.dataset.utterances)} utterances has a file in {run.videos}{where}")
    present = [] if before is None else [name for name in before.shards if name not in before.vanished]
    gone = [name for name in present if name in run.plan.vanished]
    limit = run.settings.run.max_vanished
    if gone and len(gone) > limit * len(present):
        raise UserError(
            f"{len(gone)} of the {len(present)} sources of the last run are gone from {run.videos} "
            f"(the first: {gone[0]}), more than [run] max_vanished = {limit:g} of them. Nothing has been changed. "
            "Mount the disk that held them; or, if they are gone for good, run once with max_vanished = 1: their "
            "features are kept and flagged source_missing"
        )

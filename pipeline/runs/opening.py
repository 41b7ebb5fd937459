"""Opening a run: settings, CSV files, weights and plan are read before any work starts, and nothing is written."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.training.settings import STFT
from models.weights.table import ResolvedWeights, WeightsError, resolve_weights
from pipeline.chain import KEPT_CROPS, STAGES, Stage
from pipeline.dataset.clip_files import FoundClips, find_clips
from pipeline.dataset.holding_out import HoldingOutError, hold_out
from pipeline.dataset.overrides import Override, read_overrides
from pipeline.dataset.unlabelled import list_unlabelled
from pipeline.dataset.utterances import Dataset, DatasetError, read_dataset
from pipeline.errors import UserError
from pipeline.process import collecting_later
from pipeline.runs.erased_contents import find_erased_contents
from pipeline.runs.fingerprints import Provenance, compute_fingerprint, compute_stage_fingerprints, describe_stages
from pipeline.runs.kept_crops import check_crops_stay
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.planning import check_vanished, find_read_again, plan_clips, read_listing
from pipeline.runs.run import Run
from pipeline.runs.stage_files import StageFiles
from pipeline.settings import config
from pipeline.settings.config import Settings
from store.errors import StoreError
from store.layout import check_is_readable
from store.records.erased import read_erased
from store.records.listings import PREDICTION
from store.records.plans import Member


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The part of a run that is known before any clip is looked at: its settings, weights and stage sets.

    Args:
        settings: The settings, checked.
        weights: The weights by the name of their setting.
        untrainable: One sentence that says why the settings do not allow training; "" where they do.
        store: The feature store's folder.
        chain: The run's chain, declared features included.
        stages: What determines each stage's bytes (`fingerprints.describe_stages`).
        fingerprints: Name of a stage, or of files kept beside it, to the name of its stage set.
    """

    settings: Settings
    weights: Mapping[str, ResolvedWeights]
    untrainable: str
    store: Path
    chain: Mapping[str, Stage]
    stages: Mapping[str, Provenance]
    fingerprints: Mapping[str, str]

    @classmethod
    def of(cls, run: Run) -> "Frame":
        """Give a run's frame."""
        return cls(
            settings=run.settings,
            weights=run.weights,
            untrainable=run.untrainable,
            store=run.store,
            chain=run.chain,
            stages=run.stages,
            fingerprints=run.fingerprints,
        )

    @property
    def name(self) -> str:
        """The name of the run's listing in the store."""
        return _name_run(Path(self.settings.run.root))

    @property
    def folder(self) -> Path:
        """The folder of runs, `[run] root`."""
        return Path(self.settings.run.root)


def read_frame(*, store: Path | None = None, is_labelled: bool = True, trains: bool = False) -> Frame:
    """Read settings and weights, but no clips and no rows.

    Args:
        store: A store to use instead of `[store] root`.
        is_labelled: Whether the clips are those of the CSV files, on which networks may be trained.
        trains: See `open_run`.

    Raises:
        UserError: The settings cannot be used, or they do not allow training and `trains` is set.
        WeightsError: Weights cannot be used.
        OSError: A file cannot be read.
    """
    config.load()
    settings = config.Settings.read()
    _try_ffmpeg(settings)
    weights = {"sphereface20": _resolve("sphereface20", "[embeddings] weights", settings.embeddings.weights)}
    untrainable = ""
    if is_labelled:
        if settings.vnet.backbone == "finetune":
            check_crops_stay(settings.faces.crops, "[vnet] backbone = finetune")
        untrainable = _find_untrainable(settings, weights)
        if trains and untrainable:
            raise UserError(untrainable)
    chain = {**STAGES, **{feature.stage: feature.as_stage() for feature in settings.features}}
    stages = describe_stages(settings, weights["sphereface20"])
    return Frame(
        settings=settings,
        weights=weights,
        untrainable=untrainable,
        store=store or Path(settings.store.root),
        chain=chain,
        stages=stages,
        fingerprints=compute_stage_fingerprints(stages, chain),
    )


@contextlib.contextmanager
def telling_faults() -> Iterator[None]:
    """Turn errors of weights, data, store or disk into a UserError, for use in a `with` statement."""
    try:
        yield
    except (WeightsError, DatasetError, StoreError) as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(describe_failure(error, name_folders())) from error


@collecting_later()
def open_run(
    unlabelled: Path | None = None, *, store: Path | None = None, trains: bool = False, frame: Frame | None = None
) -> Run:
    """Read settings, CSV files, weights and plan, and write nothing.

    Args:
        unlabelled: A folder of clips to predict, instead of the clips of the CSV files.
        store: A store to use instead of `[store] root`.
        trains: Whether networks are to be trained; features alone need neither labels nor VGG-16's weights.
        frame: The result of `read_frame` with the same arguments, if it has been called already.

    Raises:
        UserError: Settings, data or weights must be corrected first; the message says what, where and how.
    """
    with telling_faults():
        frame = frame or read_frame(store=store, is_labelled=unlabelled is None, trains=trains)
        if unlabelled is not None:
            videos, dataset = list_unlabelled(unlabelled)
            return _plan_run(frame, dataset, videos, PREDICTION + _name_run(unlabelled))
        settings, section = frame.settings, frame.settings.dataset
        paths = find_csv_files(settings)
        # The digest is computed before the files are read: if a file changes in between, the next run reads it again.
        tables = digest_tables(settings)
        dataset = read_dataset(paths, group_column=section.group, label_range=section.label_range)
        untrainable = frame.untrainable or _find_nothing_to_choose_on(settings, dataset)
        if trains and untrainable:
            raise UserError(untrainable)
        run = _plan_run(frame, dataset, Path(section.videos), frame.name, _read_overrides(settings, dataset))
        return dataclasses.replace(run, untrainable=untrainable, tables=tables)


def _find_untrainable(settings: Settings, weights: dict[str, ResolvedWeights]) -> str:
    """Add the weights from which training starts to `weights`; give a sentence if training is not possible, else ""."""
    if not settings.dataset.train:
        return "[dataset] train is empty, so there is nothing to train on; `valar features` computes only the features"
    if settings.anet.features != STFT:
        return ""  # then ANet has no VGG-16
    try:
        weights["vgg16"] = _resolve("vgg16", "[anet] vgg_weights", settings.anet.vgg_weights)
    except UserError as error:
        return str(error)
    return ""


def _find_nothing_to_choose_on(settings: Settings, dataset: Dataset) -> str:
    """Say why no part of the training split can be held out, if `[run] select_on = train` needs one; else ""."""
    if settings.run.select_on == "validation":
        return ""
    try:
        hold_out(dataset)
    except HoldingOutError as error:
        return f"[run] select_on = train: {error}"
    return ""


def _resolve(name: str, setting: str, value: str) -> ResolvedWeights:
    """Find weights; the error also names the setting."""
    try:
        return resolve_weights(name, value)
    except WeightsError as error:
        raise UserError(f"{setting} = {value}: {error}") from error
    except OSError as error:
        raise UserError(f"{setting} = {value} cannot be read ({error.strerror}); check who may read it") from error


def _try_ffmpeg(settings: Settings) -> None:
    """Refuse a program `[audio] ffmpeg` that does not work: with it every clip would get a decode error."""
    if settings.audio.ffmpeg:
        from pipeline.media.sound.ffmpeg import sound_engine

        sound_engine(settings.audio.ffmpeg)


def find_csv_files(settings: Settings) -> dict[str, Path]:
    """Give the CSV file of each split.

    Raises:
        UserError: A file does not exist.
    """
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


def digest_tables(settings: Settings) -> str:
    """Digest the content of the CSV files and of the overrides; "" where a file cannot be read."""
    overrides = settings.dataset.overrides
    paths = [*find_csv_files(settings).values(), *([Path(overrides)] if overrides else [])]
    try:
        return compute_fingerprint([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
    except OSError:  # the function that reads the file reports it
        return ""


def _read_overrides(settings: Settings, dataset: Dataset) -> dict[str, Override]:
    path = settings.dataset.overrides
    return read_overrides(Path(path), [utterance.name for utterance in dataset.utterances]) if path else {}


def _make_members(found: FoundClips, overrides: Mapping[str, Override]) -> dict[str, Member]:
    members = {}
    for name, clip in found.files.items():
        text = ""
        if name in overrides or name in found.cuts:
            text = dataclasses.replace(overrides.get(name, Override()), cut=found.cuts.get(name)).text
        members[name] = Member(name, clip.path, clip.size, clip.mtime_ns, text)
    return members


def _find_erased(store: Path, dataset: Dataset) -> dict[str, str]:
    """Find utterances that `python -m store erase` removed and the CSV files still list: name to a sentence."""
    erased = read_erased(store)
    if not erased.dates:
        return {}
    dates = {utterance.name: erased.find_date(utterance.name) for utterance in dataset.utterances}
    return {
        name: f"{name} was erased from {store} on {date} and is not added again; remove its clip and its CSV row"
        for name, date in dates.items()
        if date
    }


def _plan_run(
    frame: Frame, dataset: Dataset, videos: Path, name: str, overrides: Mapping[str, Override] = MappingProxyType({})
) -> Run:
    settings, store = frame.settings, frame.store
    if not videos.is_dir():
        raise UserError(
            f"[dataset] videos = {videos} does not exist; mount or correct it. The store {store} is not changed"
        )
    check_is_readable(store)
    stage_files = StageFiles(store=store, fingerprints=frame.fingerprints, kept=_read_kept(settings), chain=frame.chain)
    erased = _find_erased(store, dataset)
    found = find_clips(videos, dataset.utterances)
    clips = {name: clip for name, clip in _make_members(found, overrides).items() if name not in erased}
    erased |= find_erased_contents(stage_files, clips, videos)
    clips = {name: clip for name, clip in clips.items() if name not in erased}
    before = read_listing(store, name)
    plan, sound_again = plan_clips(settings.store.shard_size, dataset, clips, before, stage_files, videos)
    again = find_read_again(plan, stage_files)
    stage_files = dataclasses.replace(stage_files, sound_again=sound_again, read_again=again, taken=plan.taken)
    run = Run(
        **{each.name: getattr(stage_files, each.name) for each in dataclasses.fields(stage_files)},
        settings=settings,
        videos=videos,
        folder=frame.folder,
        dataset=dataclasses.replace(dataset, warnings=(*dataset.warnings, *erased.values(), *found.warnings)),
        weights=frame.weights,
        stages=frame.stages,
        features={feature.stage: feature for feature in settings.features},
        clips=clips,
        plan=plan,
        name=name,
        erased=erased,
        hindered=found.hindered,
        before=before,
        folders=found.look,
    )
    check_vanished(run)
    return run


def _read_kept(settings: Settings) -> frozenset[str]:
    """Read which kinds of files are kept beside the features."""
    return frozenset([*KEPT_CROPS[settings.faces.crops], *(["pixels"] if settings.frames.store_pixels else [])])


def _name_run(folder: Path) -> str:
    # Each folder of runs, or of clips to predict, has a listing of its own, so that `gc` keeps what each of them needs.
    folder = folder.resolve()
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"

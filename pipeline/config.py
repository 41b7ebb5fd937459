"""The settings: luigi.Config sections, read from tasks.cfg and one overlay, checked before anything else."""

import configparser
import contextlib
import difflib
import functools
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import luigi
import luigi.configuration
from luigi.task_register import Register

from models import paper
from pipeline.contradictions import find_contradictions
from pipeline.errors import UserError
from pipeline.settings_files import find_overlay, read_settings

ROOT = Path(__file__).resolve().parent.parent
TASKS_CFG = "tasks.cfg"


def _integer(default: int, low: int, high: int, description: str) -> Any:
    return luigi.NumericalParameter(
        default=default, var_type=int, min_value=low, max_value=high, right_op=operator.le, description=description
    )


def _number(default: float, low: float, high: float, description: str) -> Any:
    return luigi.NumericalParameter(
        default=default, var_type=float, min_value=low, max_value=high, right_op=operator.le, description=description
    )


def _choice(default: str, choices: Iterable[str], description: str) -> Any:
    return luigi.ChoiceParameter(default=default, choices=list(choices), description=description)


def _text(default: str, description: str) -> Any:
    return luigi.Parameter(default=default, description=description)


class _Path(luigi.Parameter[str]):
    """A path; `~` at its beginning is somebody's home folder."""

    def parse(self, x: str) -> str:
        """Give the path with the home folder's own in place of `~`."""
        path = os.path.expanduser(x)  # noqa: PTH111 (a Path would change how the rest is written)
        if path.startswith("~"):
            raise ValueError(
                f"no home folder is known for {x.partition('/')[0]}; write ./{x} for a folder of that name"
            )
        return path


def _path(default: str, description: str) -> Any:
    return _Path(default=default, description=description)


def _switch(default: bool, description: str) -> Any:
    return luigi.BoolParameter(default=default, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description=description)


class _Epochs(luigi.Parameter[tuple[int, ...]]):
    """Epochs as numbers with commas between them."""

    def parse(self, x: str) -> tuple[int, ...]:
        return tuple(int(part) for part in str(x).split(",") if part.strip())

    def serialize(self, x: tuple[int, ...]) -> str:
        return ",".join(map(str, x))


def _epochs(default: tuple[int, ...], description: str) -> Any:
    return _Epochs(default=default, description=description)


class dataset(luigi.Config):
    """Where the clips and their labels are."""

    videos = _path("data/omg/videos", "folder of <video>/<utterance> files")
    train = _path("data/omg/omg_TrainVideos.csv", "CSV of the training split")
    validation = _path("data/omg/omg_ValidationVideos.csv", "CSV of the validation split")
    test = _path("", "CSV of the test split, with or without labels; empty for none")
    group = _text(
        "", "column that tells recordings (or speakers) apart; empty for link, else the video's name without _N"
    )
    overrides = _path("", "CSV that overrules speaker and streams of single utterances; empty for none")


class store(luigi.Config):
    """The feature store."""

    root = _path("data/omg/store", "folder of the feature store")
    shard_size = _integer(64, 1, 1 << 20, "most utterances in a new shard")


class run(luigi.Config):
    """How and where to run."""

    root = _path("runs", "folder of logs, checkpoints and reports")
    device = _choice("auto", ["auto", "cpu", "cuda"], "where networks run; auto takes CUDA where there is one")
    seed = _integer(0, 0, 2**31 - 1, "seed of every random number")
    seeds = _integer(1, 1, 1000, "seeds that each network is trained with; the mean of their predictions counts")
    threads = _integer(0, 0, 1024, "threads of networks and decoders; 0 for one per core")
    precision = _choice("float32", ["float32", "tf32", "bfloat16"], "arithmetic of training and prediction")
    processes = _integer(1, 1, 1024, "processes that share a training on this machine, one GPU each where it has GPUs")
    save_every_steps = _integer(0, 0, 1 << 30, "steps after which a training can be gone on with; 0 for whole epochs")
    folds = _integer(0, 0, 1000, "folds of cross-validation over the training and validation videos; 0 for none")
    opensmile = _switch(False, "also train the paper's audio baseline; needs pip install -e '.[opensmile]'")
    scratch = _path("", "folder for temporary rows; empty for the place of the file itself")
    saving_share = _number(
        1.0, 0.001, 1.0, "of a training's time that saving after epochs may take; 1: after each epoch"
    )
    max_vanished = _number(0.1, 0.0, 1.0, "share of the sources that may be gone at once before the run stops")
    max_bad_fraction = _number(0.2, 0.0, 1.0, "share of the files that may be bad before the run stops")


class audio(luigi.Config):
    """Sound."""

    ffmpeg = _path("", "ffmpeg program; empty for the libraries within PyAV")


class frames(luigi.Config):
    """Pictures."""

    store_pixels = _switch(False, "keep the JPEG of every frame, for videos that may vanish")
    max_pixels = _integer(8192 * 4320, 1, 1 << 30, "most pixels of a picture; a clip of larger ones is decode_error")


class faces(luigi.Config):
    """Face detection, tracking and alignment."""

    smallest_face_px = _integer(40, 12, 4096, "smallest face looked for, pixels of the upright frame")
    detect_every = _integer(25, 1, 10000, "frames between two full detections; 1 detects in every frame")
    speaker = _choice(
        "speaking",
        ["largest", "speaking"],
        "who of several people is taken: whose mouth moves with the sound, else who is seen longest and largest",
    )
    still_faces = _choice(
        "skip", ["skip", "count"], "a face that never moves (a photograph): passed over beside one that does, or not"
    )
    device = _choice("auto", ["auto", "cpu", "cuda"], "where the detector runs; auto takes CPUs with its kernel")
    crops = _choice("raw", ["raw", "jpeg", "none"], "what is kept of the aligned faces once they are embedded")
    jpeg_quality = _integer(95, 1, 100, "quality of kept JPEG crops and frames")


class embeddings(luigi.Config):
    """SphereFace features."""

    weights = _path("weights/sphere20a_20171020.pth", "published weights, or the word random")
    channel_order = _choice("bgr", ["bgr", "rgb"], "order in which the network sees a crop's colours")
    precision = _choice("bfloat16", ["float32", "bfloat16"], "arithmetic of the network")
    batch_size = _integer(0, 0, 4096, "faces per batch; 0 for PyTorch: 8 on a CPU, 256 on a GPU")


class _Training:
    """What the three trainings have in common; a plain class, so that Luigi does not take it for a section."""

    momentum = _number(paper.MOMENTUM, 0.0, 0.999999, "of SGD")
    weight_decay = _number(paper.WEIGHT_DECAY, 0.0, 1.0, "of SGD, on all parameters")
    gradient_clip = _number(paper.GRADIENT_CLIP, 1e-9, 1e9, "largest norm over all gradients, before the step")
    arousal_output = _choice("tanh", ["tanh", "sigmoid"], "range of arousal: [-1, 1] as in the paper, or [0, 1]")
    patience = _integer(0, 0, 10000, "epochs without a better validation CCC that end a training; 0 for none")
    average_last = _integer(1, 1, 10000, "also try the mean of the weights after the last so many epochs; 1 does not")


class _MapDraws:
    """How STFT maps are drawn in training."""

    random_starts = _switch(True, "draw the maps of training at random; otherwise evenly spread as in evaluation")
    mask_frequencies = _integer(0, 0, 257, "widest band of frequencies set to zero in each map of training; 0 for none")
    mask_frames = _integer(0, 0, 300, "most STFT frames in a row set to zero in each map of training; 0 for none")


class anet(_Training, _MapDraws, luigi.Config):
    """The acoustic network."""

    vgg_weights = _path("weights/vgg16-397923af.pth", "ImageNet weights of VGG-16, or the word random")
    channel_scale = _number(1.0, 1 / 64, 1.0, "factor on VGG-16's channels; 1 is the paper's network")
    epochs = _integer(paper.ANET_EPOCHS, 1, 10000, "passes over the training split")
    batch_size = _integer(paper.ANET_BATCH_SIZE, 1, 4096, "utterances per step")
    learning_rate = _number(paper.ANET_LEARNING_RATE, 1e-9, 10.0, "of the first epoch")
    learning_rate_steps = _epochs(paper.ANET_LEARNING_RATE_STEPS, "epochs after which the rate is divided by ten")
    num_maps = _integer(paper.ANET_NUM_MAPS, 1, 1024, "STFT maps drawn per utterance and epoch")
    num_evaluation_maps = _integer(paper.ANET_NUM_EVALUATION_MAPS, 1, 1024, "STFT maps per utterance in evaluation")
    loss = _choice("mse", ["mse", "ccc"], "what training minimises")


class vnet(_Training, luigi.Config):
    """The visual network."""

    backbone = _choice("frozen", ["frozen", "finetune"], "cached embeddings, or SphereFace trained along from crops")
    standardise = _switch(False, "shift and scale the cached embeddings by their training statistics")
    num_frames = _integer(paper.NUM_FRAMES, 1, 4096, "segments of an utterance, one frame drawn from each")
    epochs = _integer(paper.VNET_EPOCHS, 1, 10000, "passes over the training split")
    batch_size = _integer(paper.VNET_BATCH_SIZE, 1, 4096, "utterances per step")
    learning_rate = _number(paper.VNET_LEARNING_RATE, 1e-9, 10.0, "of the first epoch")
    learning_rate_steps = _epochs(paper.VNET_LEARNING_RATE_STEPS, "epochs after which the rate is divided by ten")
    loss = _choice("mse", ["mse", "ccc"], "what training minimises")
    mirror = _switch(False, "mirror the crops of every second utterance in training; finetune only")


class joint(_Training, _MapDraws, luigi.Config):
    """The joint network; it takes the backbone of its VNet."""

    num_maps = _integer(paper.NUM_MAPS, 1, 1024, "STFT maps per utterance")
    num_frames = _integer(paper.NUM_FRAMES, 1, 4096, "segments of an utterance, one frame drawn from each")
    epochs = _integer(paper.JOINT_EPOCHS, 1, 10000, "passes over the training split")
    batch_size = _integer(paper.JOINT_BATCH_SIZE, 2, 4096, "utterances per step; CCC needs two")
    learning_rate = _number(paper.JOINT_LEARNING_RATE, 1e-9, 10.0, "of the first epoch")
    learning_rate_steps = _epochs(paper.JOINT_LEARNING_RATE_STEPS, "epochs after which the rate is divided by ten")
    loss = _choice("ccc", ["mse", "ccc"], "what training minimises")
    mirror = _switch(False, "mirror the crops of every second utterance in training; finetune only")


SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section for section in (dataset, store, run, audio, frames, faces, embeddings, anet, vnet, joint)
}

#: Sections and options that say where things are and how they are run, not what comes out.
_PLACES = {"dataset", "store", "audio", "root", "scratch", "threads", "device"}

#: Luigi's own sections; their options are checked where Luigi declares them.
_LUIGI_SECTIONS = {
    "core", "worker", "scheduler", "resources", "retcode", "execution_summary", "email", "batch_notifier", "logging",
    "task_history", "smtp", "sendgrid",
}  # fmt: skip


def load() -> list[Path]:
    """Lay tasks.cfg and the overlay over Luigi's own configuration, and check every section, option and value.

    The files are tasks.cfg of the current folder, else the project's own, and the one named by LUIGI_CONFIG_PATH.

    Returns:
        The files read, the one that wins last.

    Raises:
        UserError: A file is missing or cannot be parsed, a name is misspelt, or a value is out of its range; all
            faults are listed at once.
    """
    base = find_tasks_cfg()
    overlay = find_overlay()
    paths = [base] if overlay is None else [base, overlay]
    faults = [fault for path in paths for fault in _misspelt(path)]
    if faults:
        raise UserError("\n".join(faults))
    lay_files()
    faults = list(_bad_values(paths)) or list(find_contradictions(anet(), vnet(), joint()))
    if faults:
        raise UserError("\n".join(faults))
    return paths


@functools.cache
def load_once() -> list[Path]:
    """Do as `load`, the first time; for what asks often."""
    return load()


def lay_files() -> None:
    """Tell Luigi which files count, and judge nothing: what is wrong with them is `load`'s to say."""
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        luigi.configuration.add_config_path(str(find_tasks_cfg()))
    overlay = find_overlay()
    merged = luigi.configuration.get_config()
    if overlay is not None:
        # Luigi has read it already, below tasks.cfg, or could not: laid over it again it wins.
        with contextlib.suppress(UserError):
            merged.read_dict(read_settings(overlay), str(overlay))
    if not merged.get("core", "scheduler_host", "") and not merged.get("core", "scheduler_url", ""):
        # Luigi would look for luigid on this machine; without one named, the scheduler lives in this process.
        merged.set("core", "local_scheduler", "true")
        return
    if not merged.has_option("worker", "keep_alive"):
        # A host without work would leave while others still compute what its FullRun waits for.
        merged.set("worker", "keep_alive", "true")
    if not merged.has_option("core", "rpc_retry_attempts"):
        # Asked every 30 s: a luigid that is away for ten minutes costs no host.
        merged.set("core", "rpc_retry_attempts", "25")


def find_tasks_cfg() -> Path:
    """Find tasks.cfg: that of the current folder, else the repository's, else the one inside an installed package."""
    places = (Path(TASKS_CFG), ROOT / TASKS_CFG, Path(__file__).resolve().parent / TASKS_CFG)
    return next((path for path in places if path.is_file()), places[-1])


def _misspelt(path: Path) -> Iterable[str]:
    known = {*SECTIONS, *_LUIGI_SECTIONS}
    for section, values in read_settings(path).items():
        if section not in known:
            yield f"{path}: section [{section}] is unknown{_nearest(section, known)}"
            continue
        options = _options_of(section)
        for option, value in values.items():
            if options is not None and option not in options:
                yield f"{path}: option {option} of [{section}] is unknown{_nearest(option, options)}"
            elif "%" in value.replace("%%", ""):
                yield f"{path}: [{section}] {option} = {value} holds a lone %; write %% for it"


def _options_of(section: str) -> set[str] | None:
    if section in SECTIONS:
        return {name for name, _ in SECTIONS[section].get_params()}
    extra: set[str] = set()
    if section == "core":
        # Luigi reads these outside its parameters.
        extra = {"no_configure_logging", "default_scheduler_host", "default_scheduler_port", "default_scheduler_url"}
        extra |= {"rpc_retry_attempts", "rpc_retry_wait", "rpc_connect_timeout", "rpc_log_retries"}
    elif section not in {"worker", "retcode", "scheduler", "execution_summary"}:
        return None
    for declared in Register._get_reg().values():
        if getattr(declared, "__name__", "") == section and issubclass(declared, luigi.Config):
            return {name.replace("-", "_") for name, _ in declared.get_params()} | extra
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else f"; it must be one of {', '.join(sorted(known))}"


def _bad_values(paths: list[Path]) -> Iterable[str]:
    merged = luigi.configuration.get_config()
    for name, section in SECTIONS.items():
        for option, parameter in section.get_params():
            if not merged.has_option(name, option):
                continue
            try:
                text = merged.get(name, option)
                parameter.parse(text)
            except Exception as error:  # each kind of parameter raises its own
                where = next(
                    (path for path in reversed(paths) if option in read_settings(path).get(name, {})), "luigi.cfg"
                )
                yield f"{where}: [{name}] {option} = {text}: {error} ({parameter.description})"


def is_scheduler_local() -> bool:
    """Tell whether this process schedules for itself alone; otherwise luigid does, for several hosts."""
    merged = luigi.configuration.get_config()
    return merged.getboolean("core", "local_scheduler", False)


def number_of_threads() -> int:
    """Give `[run] threads`, or the number of cores this process may use."""
    return run().threads or len(os.sched_getaffinity(0))


def settings_of(section: type[luigi.Config]) -> dict[str, Any]:
    """Give a section's values as plain data."""
    instance = section()
    return {name: getattr(instance, name) for name, _ in section.get_params()}


def find_changed() -> dict[str, list[Any]]:
    """Give "[section] option" -> [default, value] of the settings that are not the defaults, places left out."""
    found = {}
    for name, section in SECTIONS.items():
        values = settings_of(section)
        for option, parameter in section.get_params():
            default = parameter._default
            if name not in _PLACES and option not in _PLACES and values[option] != default:
                found[f"[{name}] {option}"] = [_as_plain(default), _as_plain(values[option])]
    return found


def _as_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

"""Every setting, declared once: type, limits, default and what it means. To add one, add a line here.

[anet], [vnet] and [joint] are made from models/training/settings.py: a setting of a training is a line there. tasks.cfg
and docs/settings.md are then written by `make settings`, and a test says when they are stale.
"""

import math
import operator
import os
import re
import types
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import luigi

from models.training.settings import TRAININGS, Declaration, get_declaration


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


def parse_label_range(text: str) -> tuple[float, float]:
    """Read two numbers, the lower one first.

    Raises:
        ValueError: They are none.
    """
    try:
        low, high = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError("it must be two numbers, the lower end of the labels' range and the upper, such as 1 9")
    return low, high


class _LabelRange(luigi.Parameter[tuple[float, float]]):
    """Two numbers, the lower one first."""

    def parse(self, x: str) -> tuple[float, float]:
        return parse_label_range(x)

    def serialize(self, x: tuple[float, float]) -> str:
        return " ".join(f"{number:g}" for number in x)


def _epochs(default: tuple[int, ...], description: str) -> Any:
    return _Epochs(default=default, description=description)


class dataset(luigi.Config):
    """Where the clips and their labels are."""

    videos = _path("data/omg/videos", "Folder of <video>/<utterance> files.")
    train = _path(
        "data/omg/omg_TrainVideos.csv", "CSV of the training split: the organisers', or any with the same columns."
    )
    validation = _path("data/omg/omg_ValidationVideos.csv", "CSV of the validation split.")
    test = _path("", "CSV of the test split, with or without labels; empty for none.")
    group = _text(
        "",
        "The column that tells apart what is alike (recording, speaker): intervals, tests and folds never divide one. "
        "Empty for `link`, and where there is none for the video's name without a number at its end (_1, _2).",
    )
    overrides = _path(
        "",
        "A CSV file that overrules the choice of speaker, sound or picture stream for single utterances "
        "(docs/faces.md); empty for none.",
    )
    label_range = _LabelRange(
        default=(-1.0, 1.0),
        description="From where to where arousal and valence go in the CSV files, by their scale and not by what "
        "occurs, such as 1 9. They are mapped to -1 1, on which the networks learn and predict; the report says so.",
    )


class store(luigi.Config):
    """Where features are kept."""

    root = _path("data/omg/store", "Folder of the feature store.")
    shard_size = _integer(
        64, 1, 1 << 20, "Most utterances in a new shard, the unit of work. Take 1024 for a million clips."
    )


class run(luigi.Config):
    """How and where to run."""

    root = _path("runs", "Folder of logs, checkpoints and reports; `latest` in it links the newest report.")
    device = _choice(
        "auto", ["auto", "cpu", "cuda"], "Where networks run: auto (CUDA where there is one) | cpu | cuda."
    )
    seed = _integer(0, 0, 2**31 - 1, "Seed of every random number.")
    seeds = _integer(
        1,
        1,
        1000,
        "N trains each network N times, with seed, seed + 1, ..., and reports the mean of their predictions (a "
        "steadier result for N times the training time), with what each seed reaches alone.",
    )
    threads = _integer(0, 0, 1024, "Threads of networks and decoders; 0 for one per core.")
    precision = _choice(
        "float32",
        ["float32", "tf32", "bfloat16"],
        "Arithmetic of training and prediction: float32 | tf32 (faster on a GPU, factors rounded to 10 bits) | "
        "bfloat16 (much faster, 8 bits). docs/training.md says what each costs.",
    )
    processes = _integer(
        1, 1, 1024, "Processes that share each training on this machine (torchrun), one GPU each where it has GPUs."
    )
    save_every_steps = _integer(
        0, 0, 1 << 30, "A killed training goes on from its last finished epoch; with N, also from every Nth step in it."
    )
    saving_share = _number(
        1.0,
        0.001,
        1.0,
        "Largest share of a training's time that saving its weights after epochs may take; 1 saves after every epoch. "
        "At the paper's width that writes 1.2 GB each time. Where an epoch takes seconds, 0.1 saves time, and a kill "
        "costs ten savings at most.",
    )
    folds = _integer(
        0,
        0,
        1000,
        "2 or more: also train and score each network that many times, each time on other held-out videos of the "
        "training and validation splits; the report then has mean and spread. 0 for none.",
    )
    opensmile = _switch(
        False,
        "true also trains the paper's audio baseline, openSMILE's functionals with a support vector regressor. It "
        "needs `pip install -e '.[opensmile]'` (openSMILE's licence is for research only) and about 0.2 s per clip, "
        "once.",
    )
    warm_start = _switch(
        False,
        "Let a training go on from the best weights of the last one with the same layers and features, where all clips "
        "that one has learnt from are trained on again: fewer epochs after added clips (docs/training.md).",
    )
    pages = _switch(
        True,
        "true writes a page for every clip that is new or has changed into `browse` in the folder of the run (about "
        "15 ms of a core and 80 kB each); the report links to them.",
    )
    scratch = _path("", "Folder for rows on their way into a shard; empty for the shard's own folder.")
    max_vanished = _number(
        0.1,
        0.0,
        1.0,
        "The run stops when more than this share of the sources has gone at once (a disk that is not mounted).",
    )
    max_bad_fraction = _number(
        0.2,
        0.0,
        1.0,
        "The run stops before training when more than this share of the files that exist has no usable sound or "
        "picture.",
    )


class audio(luigi.Config):
    """How sound is read."""

    ffmpeg = _path(
        "",
        "Empty: sound is decoded in the process, by the ffmpeg within PyAV (docs/media.md). Or the path of an ffmpeg "
        "program, for codecs that PyAV lacks; it is tried before the work begins.",
    )


class frames(luigi.Config):
    """How pictures are read."""

    store_pixels = _switch(
        False,
        "true keeps the JPEG of every frame (66 kB each at 720p), for videos that may vanish before a setting changes.",
    )
    max_pixels = _integer(
        8192 * 4320,
        1,
        1 << 30,
        "Most pixels of a picture (8192 x 4320); a clip with larger ones ends as decode_error. A picture takes 3 bytes "
        "a pixel, and up to 24 pictures are held at a time.",
    )


class faces(luigi.Config):
    """How faces are found, followed and cut out."""

    smallest_face_px = _integer(40, 12, 4096, "Smallest face looked for, in pixels of the upright frame.")
    detect_every = _integer(
        25,
        1,
        10000,
        "Frames between two full detections; faces are tracked between them. 1 detects in every frame.",
    )
    speaker = _choice(
        "speaking",
        ["largest", "speaking"],
        "Of several people in sight together: speaking takes the one whose mouth moves with the sound, where that is "
        "clear, else the one seen longest and largest; largest never asks the sound. docs/decisions/017 says how often "
        "each is right.",
    )
    still_faces = _choice(
        "skip",
        ["skip", "count"],
        "A face that never moves beside one that does (a photograph on the wall, a shared slide): skip (it is passed "
        "over) | count (it is a face like any other).",
    )
    device = _choice(
        "auto",
        ["auto", "cpu", "cuda"],
        "Where the detector runs: auto (on the cores where its kernel runs on them, x86-64, beside a GPU too, which "
        "then embeds; else where [run] device says) | cpu | cuda (all clips then share one process and Python's lock).",
    )
    crops = _choice(
        "raw",
        ["raw", "jpeg", "none"],
        "What is kept of the aligned faces once they are embedded: raw (32 kB each) | jpeg (about 6 kB) | none.",
    )
    jpeg_quality = _integer(95, 1, 100, "Quality of kept JPEG crops and frames.")


class embeddings(luigi.Config):
    """What SphereFace makes of each face."""

    weights = _path(
        "weights/sphere20a_20171020.pth",
        "SphereFace-20 as published, or the word random: `valar weights fetch sphereface20`.",
    )
    channel_order = _choice(
        "bgr",
        ["bgr", "rgb"],
        "Colour order in which the network sees a crop: bgr (the weights' own evaluation code) | rgb (the paper's "
        "notebooks).",
    )
    precision = _choice(
        "bfloat16",
        ["float32", "bfloat16"],
        "Arithmetic of the convolutions: bfloat16 (twice as fast where the processor or GPU has it; elsewhere float32 "
        "is used) | float32. Embeddings differ by a cosine of .99997; docs/faces.md.",
    )
    batch_size = _integer(
        0,
        0,
        4096,
        "Faces computed at a time. 0 spreads a shard's evenly over the cores, up to 32 at a time; where PyTorch "
        "computes (GPUs, and processors without AVX2) it is 256 on a GPU and 8 on a CPU, and the last batch is filled "
        "up with black pictures, so that all batches have one size.",
    )


def _make_parameter(default: Any, declaration: Declaration) -> Any:
    """Make what Luigi reads and checks from what models/ declares."""
    low, high, meaning = declaration.low, declaration.high, declaration.meaning
    if isinstance(default, bool):
        return _switch(default, meaning)
    if isinstance(default, tuple):
        return _epochs(default, meaning)
    if isinstance(default, str) and not declaration.choices:
        return _text(default, meaning)
    if declaration.choices:
        return _choice(default, declaration.choices, meaning)
    assert low is not None, "numbers have limits"
    assert high is not None, "numbers have limits"
    make: Any = _integer if isinstance(default, int) else _number
    return make(default, low, high, meaning)


def _make_section(name: str, description: str, others: dict[str, Any]) -> Any:
    """Make a section of what is declared of a training; `others` are parameters that are the pipeline's own."""
    parameters = {**others, "__doc__": description, "__module__": __name__}
    for each in fields(TRAININGS[name]):
        if declaration := get_declaration(each):
            parameters[each.name] = _make_parameter(each.default, declaration)
    return types.new_class(name, (luigi.Config,), exec_body=lambda body: body.update(parameters))


_VGG_WEIGHTS = "VGG-16 trained on ImageNet, or the word random: `valar weights fetch vgg16`."
anet = _make_section(
    "anet",
    "The acoustic network. The paper does not say how it alone is trained: as VNet is.",
    {"vgg_weights": _path("weights/vgg16-397923af.pth", _VGG_WEIGHTS)},
)
vnet = _make_section("vnet", "The visual network.", {})
joint = _make_section("joint", "The joint network; it takes the backbone of its VNet.", {})


SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section for section in (dataset, store, run, audio, frames, faces, embeddings, anet, vnet, joint)
}


#: Of each section [features.NAME], a feature that the user declares (docs/features.md).
FEATURE_OPTIONS: dict[str, Any] = {
    "input": _choice(
        "crop",
        ["crop", "face_region", "waveform"],
        "What the network sees: crop (the aligned face) | face_region (the frame around the face, not aligned) | "
        "waveform (the sound).",
    ),
    "model": _text(
        "",
        "The network: a file .onnx or .pt2 (torch.export), package.module:callable, or one that comes along: "
        "voice_activity, egemaps.",
    ),
    "sha256": _text(
        "", "Digest that the model's file must have; a file .pt2 needs it, since loading one can run code."
    ),
    "packages": _text("", "Names of packages with commas between them whose versions the rows depend on."),
    "size": _text("", "Width x height of the pictures in pixels; empty for 96x112 (crop) or 224x224 (face_region)."),
    "margin": _number(0.2, 0.0, 4.0, "face_region: how far it reaches beyond the face, in parts of the longer side."),
    "colours": _choice("rgb", ["rgb", "bgr"], "Order in which the network sees the colours."),
    "layout": _choice("nchw", ["nchw", "nhwc"], "Order of the pictures' dimensions: colours first, or last."),
    "mean": _text("127.5", "Subtracted from the pixels (0 to 255): one number, or one per colour in the order above."),
    "deviation": _text("128", "What the pixels are then divided by: one number, or one per colour in the order above."),
    "sample_rate": _integer(16000, 1000, 192000, "Samples a second that the network hears, Hz."),
    "window_seconds": _number(0.0, 0.0, 600.0, "Sound of a row, s; 0 gives the network a clip's whole sound at once."),
    "hop_seconds": _number(0.0, 0.0, 600.0, "Seconds from one row to the next."),
    "precision": _choice(
        "float32", ["float32", "bfloat16"], "Arithmetic of a .pt2; an ONNX file and a callable have their own."
    ),
    "batch_size": _integer(32, 1, 4096, "Inputs computed at a time; the last batch is filled up."),
}


def say_value(value: Any) -> str:
    """Write a value as tasks.cfg has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and all(isinstance(each, float) for each in value) and value:
        return " ".join(f"{each:g}" for each in value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def say_limits(parameter: Any) -> str:
    """Say which values a setting may have."""
    if isinstance(parameter, luigi.BoolParameter):
        return "true, false"
    if isinstance(parameter, luigi.ChoiceParameter):
        return ", ".join(sorted(parameter._choices))
    if isinstance(parameter, luigi.NumericalParameter):
        return f"{parameter._min_value:g} to {parameter._max_value:.10g}"
    if isinstance(parameter, _Epochs):
        return "whole numbers with commas between them"
    if isinstance(parameter, _LabelRange):
        return "two numbers, the lower one first"
    return "a path" if isinstance(parameter, _Path) else "text"


def say_meaning(parameter: Any) -> str:
    """Give what is said of a setting, without the limits that Luigi writes behind it."""
    return re.sub(r" *(permitted values: .*|Choices: \{.*\})$", "", parameter.description)

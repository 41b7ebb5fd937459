"""Every setting, declared once: type, limits, default and what it means. To add one, add a line here.

[anet], [vnet] and [joint] are made from models/training/settings/: a setting of a training is a line there. tasks.cfg
and docs/settings.md are then written by `make settings`, and a test says when they are stale.
"""

import types
from dataclasses import fields
from typing import Any

import luigi

from models.training.settings import TRAININGS
from models.training.settings.declarations import Declaration, get_declaration
from pipeline.settings.parameters import LabelRange, choice, epochs, integer, number, path, switch, text


class dataset(luigi.Config):
    """Where the clips and their labels are."""

    videos = path("data/omg/videos", "Folder of <video>/<utterance> files.")
    train = path(
        "data/omg/omg_TrainVideos.csv", "CSV of the training split: the organisers', or any with the same columns."
    )
    validation = path("data/omg/omg_ValidationVideos.csv", "CSV of the validation split.")
    test = path("", "CSV of the test split, with or without labels; empty for none.")
    group = text(
        "",
        "The column that tells apart what is alike (recording, speaker): intervals, tests and folds never divide one. "
        "Empty for `link`, and where there is none for the video's name without a number at its end (_1, _2).",
    )
    overrides = path(
        "",
        "A CSV file that overrules the choice of speaker, sound or picture stream for single utterances "
        "(docs/faces.md); empty for none.",
    )
    label_range = LabelRange(
        default=(-1.0, 1.0),
        description="From where to where arousal and valence go in the CSV files, by their scale and not by what "
        "occurs, such as 1 9. They are mapped to -1 1, on which the networks learn and predict; the report says so.",
    )


class store(luigi.Config):
    """Where features are kept."""

    root = path("data/omg/store", "Folder of the feature store.")
    shard_size = integer(
        64, 1, 1 << 20, "Most utterances in a new shard, the unit of work. Take 1024 for a million clips."
    )


class run(luigi.Config):
    """How and where to run."""

    root = path("runs", "Folder of logs, checkpoints and reports; `latest` in it links the newest report.")
    device = choice("auto", ["auto", "cpu", "cuda"], "Where networks run: auto (CUDA where there is one) | cpu | cuda.")
    seed = integer(0, 0, 2**31 - 1, "Seed of every random number.")
    seeds = integer(
        1,
        1,
        1000,
        "N trains each network N times, with seed, seed + 1, ..., and reports the mean of their predictions (a "
        "steadier result for N times the training time), with what each seed reaches alone.",
    )
    threads = integer(0, 0, 1024, "Threads of networks and decoders; 0 for one per core.")
    precision = choice(
        "float32",
        ["float32", "tf32", "bfloat16"],
        "Arithmetic of training and prediction: float32 | tf32 (faster on a GPU, factors rounded to 10 bits) | "
        "bfloat16 (much faster, 8 bits). docs/training.md says what each costs.",
    )
    processes = integer(
        1, 1, 1024, "Processes that share each training on this machine (torchrun), one GPU each where it has GPUs."
    )
    save_every_steps = integer(
        0, 0, 1 << 30, "A killed training goes on from its last finished epoch; with N, also from every Nth step in it."
    )
    saving_share = number(
        1.0,
        0.001,
        1.0,
        "Largest share of a training's time that saving its weights after epochs may take; 1 saves after every epoch. "
        "At the paper's width that writes 1.2 GB each time. Where an epoch takes seconds, 0.1 saves time, and a kill "
        "costs ten savings at most.",
    )
    select_on = choice(
        "validation",
        ["validation", "train"],
        "Whose score chooses the epoch: validation (the split, and with folds the fold, that is then scored: "
        "optimistic) | train (about a fifth of the training recordings, which are held out for that: what is scored is "
        "then free of the choice, and a fifth less is learnt from).",
    )
    folds = integer(
        0,
        0,
        1000,
        "2 or more: also train and score each network that many times, each time on other held-out videos of the "
        "training and validation splits; the report then has mean and spread. 0 for none.",
    )
    opensmile = switch(
        False,
        "true also trains the paper's audio baseline, openSMILE's functionals with a support vector regressor. It "
        "needs `pip install -e '.[opensmile]'` (openSMILE's licence is for research only) and about 0.2 s per clip, "
        "once.",
    )
    warm_start = switch(
        False,
        "Let a training go on from the best weights of the last one with the same layers and features, where all clips "
        "that one has learnt from are trained on again: fewer epochs after added clips (docs/training.md).",
    )
    pages = switch(
        True,
        "true writes a page for every clip that is new or has changed into `browse` in the folder of the run (about "
        "15 ms of a core and 80 kB each); the report links to them.",
    )
    scratch = path("", "Folder for rows on their way into a shard; empty for the shard's own folder.")
    max_vanished = number(
        0.1,
        0.0,
        1.0,
        "The run stops when more than this share of the sources has gone at once (a disk that is not mounted).",
    )
    max_bad_fraction = number(
        0.2,
        0.0,
        1.0,
        "The run stops before training when more than this share of the files that exist has no usable sound or "
        "picture.",
    )


class audio(luigi.Config):
    """How sound is read."""

    ffmpeg = path(
        "",
        "Empty: sound is decoded in the process, by the ffmpeg within PyAV (docs/media.md). Or the path of an ffmpeg "
        "program, for codecs that PyAV lacks; it is tried before the work begins.",
    )


class frames(luigi.Config):
    """How pictures are read."""

    store_pixels = switch(
        False,
        "true keeps the JPEG of every frame (66 kB each at 720p), for videos that may vanish before a setting changes.",
    )
    max_pixels = integer(
        8192 * 4320,
        1,
        1 << 30,
        "Most pixels of a picture (8192 x 4320); a clip with larger ones ends as decode_error. A picture takes 3 bytes "
        "a pixel, and up to 24 pictures are held at a time.",
    )


class faces(luigi.Config):
    """How faces are found, followed and cut out."""

    smallest_face_px = integer(40, 12, 4096, "Smallest face looked for, in pixels of the upright frame.")
    detect_every = integer(
        25,
        1,
        10000,
        "Frames between two full detections; faces are tracked between them. 1 detects in every frame.",
    )
    speaker = choice(
        "speaking",
        ["largest", "speaking"],
        "Of several people in sight together: speaking takes the one whose mouth moves with the sound, where that is "
        "clear, else the one seen longest and largest; largest never asks the sound. docs/decisions/017 says how often "
        "each is right.",
    )
    still_faces = choice(
        "skip",
        ["skip", "count"],
        "A face that never moves beside one that does (a photograph on the wall, a shared slide): skip (it is passed "
        "over) | count (it is a face like any other).",
    )
    device = choice(
        "auto",
        ["auto", "cpu", "cuda"],
        "Where the detector runs: auto (on the cores where its kernel runs on them, x86-64, beside a GPU too, which "
        "then embeds; else where [run] device says) | cpu | cuda (all clips then share one process and Python's lock).",
    )
    crops = choice(
        "raw",
        ["raw", "jpeg", "none"],
        "What is kept of the aligned faces once they are embedded: raw (32 kB each) | jpeg (about 6 kB) | none.",
    )
    jpeg_quality = integer(95, 1, 100, "Quality of kept JPEG crops and frames.")


class embeddings(luigi.Config):
    """What SphereFace makes of each face."""

    weights = path(
        "weights/sphere20a_20171020.pth",
        "SphereFace-20 as published, or the word random: `valar weights fetch sphereface20`.",
    )
    channel_order = choice(
        "bgr",
        ["bgr", "rgb"],
        "Colour order in which the network sees a crop: bgr (the weights' own evaluation code) | rgb (the paper's "
        "notebooks).",
    )
    precision = choice(
        "bfloat16",
        ["float32", "bfloat16"],
        "Arithmetic of the convolutions: bfloat16 (twice as fast where the processor or GPU has it; elsewhere float32 "
        "is used) | float32. Embeddings differ by a cosine of .99997; docs/faces.md.",
    )
    batch_size = integer(
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
        return switch(default, meaning)
    if isinstance(default, tuple):
        return epochs(default, meaning)
    if isinstance(default, str) and not declaration.choices:
        return text(default, meaning)
    if declaration.choices:
        return choice(default, declaration.choices, meaning)
    assert low is not None, "numbers have limits"
    assert high is not None, "numbers have limits"
    make: Any = integer if isinstance(default, int) else number
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
    {"vgg_weights": path("weights/vgg16-397923af.pth", _VGG_WEIGHTS)},
)
vnet = _make_section("vnet", "The visual network.", {})
joint = _make_section("joint", "The joint network; it takes the backbone of its VNet.", {})


SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section for section in (dataset, store, run, audio, frames, faces, embeddings, anet, vnet, joint)
}


#: Of each section [features.NAME], a feature that the user declares (docs/features.md).
FEATURE_OPTIONS: dict[str, Any] = {
    "input": choice(
        "crop",
        ["crop", "face_region", "waveform"],
        "What the network sees: crop (the aligned face) | face_region (the frame around the face, not aligned) | "
        "waveform (the sound).",
    ),
    "model": text(
        "",
        "The network: a file .onnx or .pt2 (torch.export), package.module:callable, or one that comes along: "
        "voice_activity, egemaps.",
    ),
    "sha256": text("", "Digest that the model's file must have; a file .pt2 needs it, since loading one can run code."),
    "packages": text("", "Names of packages with commas between them whose versions the rows depend on."),
    "size": text("", "Width x height of the pictures in pixels; empty for 96x112 (crop) or 224x224 (face_region)."),
    "margin": number(0.2, 0.0, 4.0, "face_region: how far it reaches beyond the face, in parts of the longer side."),
    "colours": choice("rgb", ["rgb", "bgr"], "Order in which the network sees the colours."),
    "layout": choice("nchw", ["nchw", "nhwc"], "Order of the pictures' dimensions: colours first, or last."),
    "mean": text("127.5", "Subtracted from the pixels (0 to 255): one number, or one per colour in the order above."),
    "deviation": text("128", "What the pixels are then divided by: one number, or one per colour in the order above."),
    "sample_rate": integer(16000, 1000, 192000, "Samples a second that the network hears, Hz."),
    "window_seconds": number(0.0, 0.0, 600.0, "Sound of a row, s; 0 gives the network a clip's whole sound at once."),
    "hop_seconds": number(0.0, 0.0, 600.0, "Seconds from one row to the next."),
    "precision": choice(
        "float32", ["float32", "bfloat16"], "Arithmetic of a .pt2; an ONNX file and a callable have their own."
    ),
    "batch_size": integer(32, 1, 4096, "Inputs computed at a time; the last batch is filled up."),
}

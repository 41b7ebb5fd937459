"""All settings, each declared once with its type, limits, default and meaning. To add a setting, add a line here.

[anet], [vnet] and [joint] are made from models/training/settings/; a new setting of a training is a line there. Then
run `make settings`, which writes tasks.cfg and docs/settings.md. A test fails if these two are out of date.
"""

import types
from dataclasses import fields
from typing import Any

import luigi

from models.choices import ARITHMETICS, CHANNEL_ORDERS, FEATURE_PRECISIONS
from models.training.settings import TRAININGS
from models.training.settings.declarations import Declaration, get_declaration
from pipeline.chain import KEPT_CROPS
from pipeline.settings.parameters import LabelRange, choice, epochs, integer, number, path, switch, text

#: The default quality of kept JPEG files.
JPEG_QUALITY = 95


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
        "The column that says which clips belong together (a recording, a speaker); intervals, tests and folds "
        "never divide such a group. Empty means `link`, or without links the video's name without the number at its "
        "end (_1, _2).",
    )
    overrides = path(
        "",
        "A CSV file that corrects the choice of speaker, sound or picture stream for single utterances "
        "(docs/faces.md); empty for none.",
    )
    label_range = LabelRange(
        default=(-1.0, 1.0),
        description="The two ends of the scale of arousal and valence in the CSV files, such as 1 9 (not the "
        "smallest and largest label). Labels are mapped to -1 1; the networks learn and predict on "
        "that scale, and the report says so.",
    )


class store(luigi.Config):
    """Where features are kept."""

    root = path("data/omg/store", "Folder of the feature store.")
    shard_size = integer(
        64, 1, 1 << 20, "Largest number of utterances in a new shard, the unit of work. Use 1024 for a million clips."
    )


class run(luigi.Config):
    """How and where to run."""

    root = path("runs", "Folder of logs, checkpoints and reports; `latest` in it is a link to the newest report.")
    device = choice("auto", ["auto", "cpu", "cuda"], "Where networks run: auto (a GPU if there is one) | cpu | cuda.")
    seed = integer(0, 0, 2**31 - 1, "Seed of every random number.")
    seeds = integer(
        1,
        1,
        1000,
        "N trains each network N times, with seed, seed + 1, ..., and reports the mean of their predictions and the "
        "scores of each seed. The result is steadier, and training takes N times as long.",
    )
    threads = integer(0, 0, 1024, "Threads of networks and decoders; 0 for one per core.")
    precision = choice(
        "float32",
        ARITHMETICS,
        "Arithmetic of training and prediction: float32 | tf32 (faster on a GPU, inputs rounded to 10 bits) | "
        "bfloat16 (much faster, 8 bits). docs/training.md describes each.",
    )
    processes = integer(
        1,
        1,
        1024,
        "Number of processes that share each training on this machine (torchrun); each uses one GPU if there are GPUs.",
    )
    save_every_steps = integer(
        0,
        0,
        1 << 30,
        "A killed training continues from its last finished epoch. N above 0 also saves after every N steps.",
    )
    saving_share = number(
        1.0,
        0.001,
        1.0,
        "Largest share of a training's time that saving the weights after epochs may take; 1 saves after every "
        "epoch. At the paper's width, each saving writes 1.2 GB. If an epoch takes seconds, 0.1 saves time, and a "
        "killed training then repeats at most ten times the duration of one saving.",
    )
    select_on = choice(
        "validation",
        ["validation", "train"],
        "The clips whose score chooses the epoch: validation (the split, or the fold, that is also scored, so its "
        "score is optimistic) | train (about a fifth of the training recordings, which are held out: the scores are "
        "not affected by the choice, but the networks learn from a fifth less).",
    )
    folds = integer(
        0,
        0,
        1000,
        "2 or more: also train and score each network that many times, each time with other held-out recordings of "
        "the training and validation splits. The report then has mean and deviation. 0 for none.",
    )
    opensmile = switch(
        False,
        "true also trains the paper's audio baseline, a support vector regressor on openSMILE's functionals. It "
        "needs `pip install -e '.[opensmile]'` (openSMILE's licence is for research only) and once about 0.2 s per "
        "clip.",
    )
    warm_start = switch(
        False,
        "true starts a training from the best weights of the last one with the same layers and features, if all its "
        "training clips are training clips again. After you add clips, this needs fewer epochs (docs/training.md).",
    )
    pages = switch(
        True,
        "true writes a page for every new or changed clip into `browse` in the folder of the run (about 15 ms of a "
        "core and 80 kB each); the report links to these pages.",
    )
    scratch = path(
        "", "Folder for the rows of a shard while they are being computed; empty for the shard's own folder."
    )
    max_vanished = number(
        0.1,
        0.0,
        1.0,
        "The run stops if more than this share of the source files has disappeared at once (for example if a disk "
        "is not mounted).",
    )
    max_bad_fraction = number(
        0.2,
        0.0,
        1.0,
        "The run stops before training if more than this share of the existing files has no usable sound or picture.",
    )


class audio(luigi.Config):
    """How sound is read."""

    ffmpeg = path(
        "",
        "Path of an ffmpeg program for codecs that PyAV does not have; it is tried before the work begins. Empty: "
        "the ffmpeg libraries inside PyAV decode the sound (docs/media.md).",
    )


class frames(luigi.Config):
    """How pictures are read."""

    store_pixels = switch(
        False,
        "true keeps every frame as JPEG (66 kB each at 720p). Use it if the videos may disappear before you change "
        "a setting.",
    )
    max_pixels = integer(
        8192 * 4320,
        1,
        1 << 30,
        "Largest number of pixels of a picture (8192 x 4320); a clip with larger pictures gets the status "
        "decode_error. A picture takes 3 bytes a pixel, and up to 24 pictures are in memory at a time.",
    )


class faces(luigi.Config):
    """How faces are found, followed and cut out."""

    smallest_face_px = integer(40, 12, 4096, "Smallest face to look for, in pixels of the upright frame.")
    detect_every = integer(
        25,
        1,
        10000,
        "Frames between two full detections; faces are tracked between them. 1 detects in every frame.",
    )
    speaker = choice(
        "speaking",
        ["largest", "speaking", "speech"],
        "Who the speaker is if several people are in the picture at the same time: speaking (the person whose mouth "
        "moves with the sound; if this is not clear, the person who is in the picture for longest and largest) | "
        "speech (the same, but only speech counts as sound; for recordings with loud bangs, needs `pip install -e "
        "'.[vad]'`) | largest (the sound is not used). docs/decisions/017 and 028 say how often each is right.",
    )
    still_faces = choice(
        "skip",
        ["skip", "count"],
        "What to do with a face that never moves beside one that does (a photograph on the wall, a shared slide): "
        "skip (it is not the speaker) | count (it is a face like any other).",
    )
    device = choice(
        "auto",
        ["auto", "cpu", "cuda"],
        "Where the detector runs: auto (on a processor that can run Valar's compiled detector, x86-64, even if there "
        "is a GPU, which then only computes embeddings; otherwise as [run] device says) | cpu | cuda (all clips then "
        "share one process and Python's lock).",
    )
    crops = choice(
        "raw",
        KEPT_CROPS,
        "How the aligned faces are kept after they are embedded: raw (32 kB each) | jpeg (about 6 kB) | none.",
    )
    jpeg_quality = integer(JPEG_QUALITY, 1, 100, "Quality of kept JPEG crops and frames.")


class embeddings(luigi.Config):
    """How SphereFace turns each face into numbers."""

    weights = path(
        "weights/sphere20a_20171020.pth",
        "File of the published SphereFace-20 (`valar weights fetch sphereface20`), or the word random.",
    )
    channel_order = choice(
        "bgr",
        CHANNEL_ORDERS,
        "Order of a crop's colours: bgr (as in the evaluation code of the weights) | rgb (as in the paper's "
        "notebooks).",
    )
    precision = choice(
        "bfloat16",
        FEATURE_PRECISIONS,
        "Arithmetic of the convolutions: bfloat16 (twice as fast if the processor or GPU supports it; otherwise "
        "float32 is used) | float32. The cosine between both is at least .99997 (docs/faces.md).",
    )
    batch_size = integer(
        0,
        0,
        4096,
        "Number of faces that are computed together. 0 spreads the faces of a shard evenly over the cores, up to 32 "
        "together. If PyTorch computes them (on GPUs, and on processors without AVX2), 0 means 256 on a GPU and 8 "
        "on a CPU, and the last batch is padded with black pictures to the same size.",
    )


def _make_parameter(default: Any, declaration: Declaration) -> Any:
    """Make the Luigi parameter that reads and checks a setting which models/training/settings/ declares."""
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
    """Make a section from the settings that models/training/settings/ declares for a network.

    Args:
        name: "anet", "vnet" or "joint".
        description: The section's docstring, a sentence of tasks.cfg.
        others: Further parameters, which only the pipeline needs, by name.
    """
    parameters = {**others, "__doc__": description, "__module__": __name__}
    for each in fields(TRAININGS[name]):
        if declaration := get_declaration(each):
            parameters[each.name] = _make_parameter(each.default, declaration)
    return types.new_class(name, (luigi.Config,), exec_body=lambda body: body.update(parameters))


_VGG_WEIGHTS = "File of VGG-16 trained on ImageNet (`valar weights fetch vgg16`), or the word random."
anet = _make_section(
    "anet",
    "The acoustic network. The paper does not say how it is trained alone; Valar trains it like VNet.",
    {"vgg_weights": path("weights/vgg16-397923af.pth", _VGG_WEIGHTS)},
)
vnet = _make_section("vnet", "The visual network.", {})
joint = _make_section("joint", "The joint network. It has the same backbone as its VNet.", {})


SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section for section in (dataset, store, run, audio, frames, faces, embeddings, anet, vnet, joint)
}

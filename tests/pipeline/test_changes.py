"""The table of changes: what each makes a run do, and that `status` had said exactly that, and why.

Stages and trainings are stubs (tests/pipeline/stubs.py), so that a case takes seconds; test_full_run.py sees single
cases with the real ones.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pipeline.chain import NETWORK_TITLES, PAGES_TITLE, STAGE_TITLES
from tests.pipeline.stubs import StubPlace
from tests.pipeline.test_full_run import done_counts

SOUND = ("wav", "stft")
PICTURE = ("frames", "faces", "embeddings")
ALL = (*SOUND, *PICTURE)
NETWORKS = ("anet", "vnet", "joint")


@dataclass(frozen=True)
class Case:
    """A change and what follows from it.

    Attributes:
        change: made to a finished workplace.
        stages: to the number of clips that each has to do.
        networks: that are trained.
        reason: what `status` says of the first of them; how it begins, where a space ends it.
        report: whether it is written.
        code: runs before the run, as a later release would be.
        before: another change that is run first.
    """

    change: Callable[[StubPlace], object]
    stages: dict[str, int] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    reason: str = ""
    report: bool = True
    code: str = ""
    before: Callable[[StubPlace], object] | None = None


def clips(count, *stages):
    return dict.fromkeys(stages or ALL, count)


def add_row(split, name, arousal=0.5):
    return lambda place: place.write_rows(split, [*place.rows(split), place.row(name, arousal)])


def add_clip(split, name):
    def change(place):
        add_row(split, name)(place)
        place.write_clip(name)

    return change


def relabel(split, number, arousal):
    def change(place):
        rows = place.rows(split)
        rows[number - 1] = place.row(f"{split}/{number}.mp4", arousal)
        place.write_rows(split, rows)

    return change


def forget_reasons(place):
    """Leave of each training what an earlier version left, and change a label."""
    for path in (place.folder / "runs" / "checkpoints").glob("*/training.json"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({name: kept[name] for name in ("network", "fingerprint")}), encoding="utf-8")
    relabel("train", 2, 0.3)(place)


def move(number, target):
    def change(place):
        rows = place.rows("train")
        place.write_rows(target, [*place.rows(target), rows.pop(number - 1)])
        place.write_rows("train", rows)

    return change


def rename(place):
    (place.folder / "videos/train/1.mp4").rename(place.folder / "videos/train/11.mp4")
    place.write_rows("train", [place.row("train/11.mp4", 0.1), *place.rows("train")[1:]])


def rename_and_override(place):
    rename(place)
    (place.folder / "overrides.csv").write_text("video,utterance,audio_stream\ntrain,11.mp4,0\n", encoding="utf-8")
    place.configure("[dataset]\noverrides = overrides.csv\n")


def swap(place):
    one, two = (place.folder / "videos/train" / name for name in ("1.mp4", "2.mp4"))
    one.rename(one.with_name("aside"))
    two.rename(one)
    one.with_name("aside").rename(two)


def copy_of(name, content):
    def change(place):
        add_row("train", name)(place)
        place.write_clip(name, content)

    return change


def override(place):
    (place.folder / "overrides.csv").write_text("video,utterance,audio_stream\ntrain,1.mp4,0\n", encoding="utf-8")
    place.configure("[dataset]\noverrides = overrides.csv\n")


def setting(section, line):
    return lambda place: place.configure(f"[{section}]\n{line}\n")


def choose_on_train(place):
    """Hold out one of the four training clips, each a recording of its own."""
    place.configure("[dataset]\ngroup = utterance\n[run]\nselect_on = train\n")


def nothing(place):
    pass


def raise_version(stage):
    return (
        "import dataclasses\nfrom pipeline.chain import STAGES\n"
        f"STAGES['{stage}'] = dataclasses.replace(STAGES['{stage}'], version=77)\n"
    )


RAISE_TRAINING_VERSION = "from models.training import version\nversion.TRAINING_VERSION = 77\n"

CASES = {
    "nothing": Case(nothing, report=False),
    "clip added": Case(add_clip("train", "new/1.mp4"), clips(1), NETWORKS, "1 clip added (new/1), features first"),
    "clip added to test": Case(add_clip("test", "new/1.mp4"), clips(1)),
    "clip removed": Case(
        lambda place: place.write_rows("train", place.rows("train")[1:]),
        networks=NETWORKS,
        reason="1 clip removed (train/1)",
    ),
    "row without a video": Case(add_row("train", "new/1.mp4")),
    "then the video arrives": Case(
        lambda place: place.write_clip("new/1.mp4"),
        clips(1),
        NETWORKS,
        "1 clip added (new/1), features first",
        before=add_row("train", "new/1.mp4"),
    ),
    "video gone": Case(lambda place: (place.folder / "videos/train/1.mp4").unlink()),
    "label changed": Case(
        relabel("train", 2, 0.3), networks=NETWORKS, reason="1 label changed (train/2: arousal 0.2 to 0.3)"
    ),
    "validation label changed": Case(
        relabel("validation", 2, -0.5), networks=NETWORKS, reason="1 label changed (validation/2: arousal 0.2 to -0.5)"
    ),
    "label changed after an earlier version": Case(
        forget_reasons,
        networks=NETWORKS,
        reason="data or settings have changed since the last training, by an earlier version that kept no record of it",
    ),
    "test label mended": Case(relabel("test", 1, 0.9)),
    "moved to validation": Case(
        move(1, "validation"), networks=NETWORKS, reason="1 clip moved (train/1: train to validation)"
    ),
    "moved to test": Case(move(1, "test"), networks=NETWORKS, reason="1 clip left out (train/1: train to test)"),
    "rows in another order": Case(
        lambda place: place.write_rows("train", place.rows("train")[::-1]),
        networks=NETWORKS,
        reason="the rows of the CSV files are in another order",
    ),
    "another ending on disk": Case(
        lambda place: (place.folder / "videos/train/1.mp4").rename(place.folder / "videos/train/1.mkv"), report=False
    ),
    "touched only": Case(
        lambda place: os.utime(place.folder / "videos/train/1.mp4", (1_700_000_000, 1_700_000_000)), report=False
    ),
    "content changed": Case(
        lambda place: place.write_clip("train/1.mp4", "other bytes"),
        clips(1),
        NETWORKS,
        "1 clip with other content (train/1), features first",
    ),
    "renamed": Case(rename, {}, NETWORKS, "1 clip renamed (train/1 to train/11)"),
    "renamed, and told otherwise": Case(
        rename_and_override,
        clips(1),
        NETWORKS,
        "1 clip added (train/11), 1 clip removed (train/1), features first",
    ),
    "two names swapped": Case(swap, {}, NETWORKS, "2 clips with other content (train/1, train/2)"),
    "copied under another name": Case(copy_of("new/1.mp4", "train/1.mp4"), {}, NETWORKS, "1 clip added (new/1)"),
    "two equal clips added": Case(
        lambda place: [copy_of(name, "a new one")(place) for name in ("new/1.mp4", "new/2.mp4")],
        clips(2),
        NETWORKS,
        "2 clips added (new/1, new/2), features first",
    ),
    "override": Case(override, clips(1), NETWORKS, "1 clip with other content (train/1), features first"),
    "setting of frames": Case(
        setting("frames", "max_pixels = 1000000"),
        clips(9, *PICTURE),
        ("vnet", "joint"),
        "[frames] max_pixels none to 1000000, features first",
    ),
    "setting of faces": Case(
        setting("faces", "detect_every = 5"),
        clips(9, "faces", "embeddings"),
        ("vnet", "joint"),
        "[faces] detect_every 25 to 5, features first",
    ),
    "setting of embeddings": Case(
        setting("embeddings", "channel_order = rgb"),
        clips(9, "embeddings"),
        ("vnet", "joint"),
        "[embeddings] channel_order bgr to rgb, features first",
    ),
    "pixels kept": Case(setting("frames", "store_pixels = true"), clips(9, "frames"), report=False),
    "crops kept as JPEG": Case(setting("faces", "crops = jpeg"), clips(9, "embeddings"), report=False),
    "setting of ANet": Case(setting("anet", "num_maps = 3"), {}, ("anet", "joint"), "[anet] num_maps "),
    "setting of VNet": Case(setting("vnet", "loss = ccc"), {}, ("vnet", "joint"), "[vnet] loss mse to ccc"),
    "setting of Joint": Case(setting("joint", "learning_rate = 0.5"), {}, ("joint",), "[joint] learning_rate "),
    "precision": Case(setting("run", "precision = tf32"), {}, NETWORKS, "[run] precision float32 to tf32"),
    "epochs chosen on train": Case(choose_on_train, {}, NETWORKS, "[run] select_on validation to train"),
    "and again on validation": Case(
        setting("run", "select_on = validation"), before=choose_on_train
    ),
    "then a label of validation": Case(relabel("validation", 2, -0.5), before=choose_on_train),
    "then a clip more in validation": Case(add_clip("validation", "new/1.mp4"), clips(1), before=choose_on_train),
    "then a label of train": Case(
        relabel("train", 2, 0.3), {}, NETWORKS, "1 label changed (train/2: arousal 0.2 to 0.3)", before=choose_on_train
    ),
    "then a clip moves to validation": Case(
        move(1, "validation"), {}, NETWORKS, "1 clip left out (train/1: ", before=choose_on_train
    ),
    "a seed more": Case(setting("run", "seeds = 2"), {}, NETWORKS, "not trained yet with seed 1"),
    "another seed": Case(setting("run", "seed = 1"), clips(9, "embeddings"), NETWORKS, "[run] seed 0 to 1"),
    "version of the sound": Case(nothing, clips(9, *SOUND), ("anet", "joint"), code=raise_version("wav"),
                                 reason="extract sound: version 1 to 77, features first"),
    "version of the transform": Case(nothing, clips(9, "stft"), ("anet", "joint"), code=raise_version("stft"),
                                     reason="transform sound: version 1 to 77, features first"),
    "version of the frames": Case(nothing, clips(9, *PICTURE), ("vnet", "joint"), code=raise_version("frames"),
                                  reason="read frame times: version 1 to 77, features first"),
    "version of the faces": Case(nothing, clips(9, "faces", "embeddings"), ("vnet", "joint"),
                                 code=raise_version("faces"), reason="find faces: version "),
    "version of the embeddings": Case(nothing, clips(9, "embeddings"), ("vnet", "joint"),
                                      code=raise_version("embeddings"), reason="embed faces: version "),
    "version of the trainings": Case(nothing, {}, NETWORKS, "the training's code: version ",
                                     code=RAISE_TRAINING_VERSION),
    "no checkpoints, no report": Case(
        lambda place: shutil.rmtree(place.folder / "runs"), {}, NETWORKS, "never trained"
    ),
    "report gone": Case(lambda place: shutil.rmtree(place.folder / "runs" / "reports")),
    "checkpoints gone": Case(
        lambda place: shutil.rmtree(place.folder / "runs" / "checkpoints"), report=False
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_change_makes_a_run_do_what_status_said_and_no_more(stub_place, case):
    if case.before is not None:
        case.before(stub_place)
        stub_place.run_stubs()
    case.change(stub_place)
    told = {stage["stage"]: stage for stage in stub_place.run_stubs(case.code)}
    done = {title: count for title, count in done_counts(stub_place).items() if count and title != PAGES_TITLE}
    epochs = dict.fromkeys((NETWORK_TITLES[network] for network in case.networks), 2)
    stages = {STAGE_TITLES[stage]: count for stage, count in case.stages.items()}
    assert done == {**stages, **epochs, **({"report": 1} if case.report else {})}
    assert {title: stage["waiting"] for title, stage in told.items() if stage["waiting"]} == {
        title: 1 if title in epochs else count for title, count in done.items()
    }
    if case.networks:
        reason = told[NETWORK_TITLES[case.networks[0]]]["reason"]
        assert reason.startswith(case.reason) if case.reason.endswith(" ") else reason == case.reason

from dataclasses import dataclass, field

import numpy as np
import pytest

from models.inputs.sampling import draw_map_starts
from models.training.settings import ANetSettings, JointSettings, VNetSettings
from models.training.settings.declarations import declare, find_silent


def test_defaults_are_the_papers():
    """Numbers of the paper's III-D and its notebooks, written here independently of models/paper.py."""
    vnet, joint = VNetSettings(), JointSettings()
    assert (vnet.epochs, vnet.batch_size, vnet.learning_rate, vnet.learning_rate_steps) == (30, 32, 0.01, (8, 16, 24))
    assert (joint.epochs, joint.batch_size, joint.learning_rate) == (30, 6, 0.001)
    assert joint.learning_rate_steps == (7, 14, 21, 28)
    for settings in (ANetSettings(), vnet, joint):
        assert settings.learning_rate_factor == 0.1
        assert (settings.momentum, settings.weight_decay, settings.gradient_clip) == (0.9, 5e-4, 20)
    assert (ANetSettings().loss, vnet.loss, joint.loss) == ("mse", "mse", "ccc")
    assert (vnet.num_frames, joint.num_frames, joint.num_maps) == (16, 16, 4)
    assert ANetSettings().channel_scale == 1
    assert (vnet.backbone, vnet.channel_order, vnet.standardise) == ("frozen", "bgr", False)


def test_nothing_beyond_the_paper_is_on():
    for settings in (ANetSettings(), VNetSettings(), JointSettings()):
        assert (settings.arousal_output, settings.patience, settings.average_last) == ("tanh", 0, 1)
        assert settings.precision == "float32"
        assert getattr(settings, "random_starts", True)
        assert getattr(settings, "input", "stft") == "stft"
        assert getattr(settings, "normalise", "map") == "map"
        for name in ("mirror", "mask_frequencies", "mask_frames"):
            assert not getattr(settings, name, 0)


def test_plans():
    anet = ANetSettings(num_maps=2, num_evaluation_maps=3)
    assert (anet.plan_inputs(evaluation=False).num_maps, anet.plan_inputs(evaluation=True).num_maps) == (2, 3)
    assert anet.plan_inputs(evaluation=True).num_frames == 0
    vnet = VNetSettings(backbone="finetune", channel_order="rgb").plan_inputs(evaluation=True)
    assert (vnet.num_maps, vnet.num_frames, vnet.faces, vnet.channel_order) == (0, 16, "crops", "rgb")
    joint = JointSettings().plan_inputs(backbone="frozen", channel_order="bgr")
    assert (joint.num_maps, joint.num_frames, joint.faces) == (4, 16, "embeddings")


def test_three_maps_keep_anets_validation_under_a_quarter_of_training():
    """OMG's durations (.57 to 30.7 s, 21 % under 3 s, median 7.6 s); a backward pass is two forward ones."""
    assert ANetSettings().num_maps == 1
    shares = {}
    seconds = np.interp((np.arange(617) + 0.5) / 617, (0, 0.0102, 0.212, 0.5, 0.97, 1), (0.57, 1, 3, 7.6, 11, 30.7))
    for num_maps in (ANetSettings().num_evaluation_maps, ANetSettings().num_evaluation_maps + 1):
        starts = draw_map_starts((100 * seconds).astype(int), num_maps, None)
        shares[num_maps] = sum(len(set(row)) for row in starts.tolist()) / (2442 * 3)
    assert shares == {3: pytest.approx(0.217, abs=0.001), 4: pytest.approx(0.283, abs=0.001)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ANetSettings(loss="mae"), r"loss \('mae'\) must be one of mse, ccc, ccc_sample"),
        (lambda: VNetSettings(backbone="x"), r"backbone \('x'\) must be one of frozen, finetune"),
        (lambda: VNetSettings(channel_order="gbr"), r"channel_order \('gbr'\) must be one of bgr, rgb"),
        (lambda: ANetSettings(epochs=0), r"epochs \(0\) must be from 1 to 10000"),
        (lambda: JointSettings(batch_size=-2), r"batch_size \(-2\) must be from 2 to 4096"),
        (lambda: JointSettings(num_maps=0), r"num_maps \(0\) must be from 1 to 1024"),
        (lambda: ANetSettings(num_evaluation_maps=0), r"num_evaluation_maps \(0\) must be from 1 to 1024"),
        (lambda: VNetSettings(num_frames=0), r"num_frames \(0\) must be from 1 to 4096"),
        (lambda: ANetSettings(learning_rate=0.0), r"learning_rate \(0.0\) must be from 1e-09 to 10"),
        (lambda: ANetSettings(learning_rate=float("nan")), r"learning_rate \(nan\) must be from 1e-09 to 10"),
        (lambda: ANetSettings(gradient_clip=-1.0), r"gradient_clip \(-1.0\) must be from 1e-09 to 1e\+09"),
        (lambda: ANetSettings(momentum=1.0), r"momentum \(1.0\) must be from 0 to 0.999999"),
        (lambda: ANetSettings(weight_decay=-0.1), r"weight_decay \(-0.1\) must be from 0 to 1"),
        (lambda: ANetSettings(channel_scale=2.0), r"channel_scale \(2.0\) must be from 0.015625 to 1"),
        (
            lambda: VNetSettings(backbone="finetune", standardise=True),
            r"standardise \(true\) needs backbone = frozen",
        ),
        (
            lambda: VNetSettings(mirror=True),
            r"mirror \(true\) needs backbone = finetune: embeddings cannot be mirrored",
        ),
        (
            lambda: JointSettings(mirror=True).plan_inputs(backbone="frozen", channel_order="bgr"),
            r"mirror \(true\) needs a VNet of backbone = finetune, not frozen",
        ),
        (lambda: ANetSettings(arousal_output="relu"), r"arousal_output \('relu'\) must be one of tanh, sigmoid"),
        (lambda: ANetSettings(precision="fp16"), r"precision \('fp16'\) must be one of float32, tf32, bfloat16"),
        (lambda: ANetSettings(input="mel"), r"input \('mel'\) must be one of stft, log_magnitude"),
        (
            lambda: ANetSettings(features="mine", input="log_magnitude", mask_frames=2),
            r"input \(log_magnitude\) needs features = stft.*; mask_frames \(2\) needs features = stft",
        ),
        (lambda: ANetSettings(features="mine, stft"), r"features \(mine, stft\) must be one name"),
        (lambda: ANetSettings(features="stft,"), r"features \(stft,\) must be one name"),
        (
            lambda: JointSettings(mask_frames=2).plan_inputs(backbone="frozen", channel_order="bgr", sound="rows"),
            "mask_frequencies and mask_frames need an ANet of features = stft",
        ),
        (lambda: ANetSettings(patience=-1), r"patience \(-1\) must be from 0 to 10000"),
        (lambda: ANetSettings(mask_frames=-1), r"mask_frames \(-1\) must be from 0 to 300"),
        (lambda: ANetSettings(average_last=0), r"average_last \(0\) must be from 1 to 10000"),
        (lambda: ANetSettings(average_last=31), r"average_last \(31\) must be at most epochs \(30\)"),
        (lambda: VNetSettings(epochs=5, patience=5), r"patience \(5\) must be below epochs \(5\)"),
        (lambda: ANetSettings(loss="ccc", batch_size=1), r"loss \(ccc\) needs a batch_size of 2 or more"),
        (
            lambda: ANetSettings(pooling="attention"),
            r"pooling \(attention\) needs a feature of your own in features: stft passes VGG-16",
        ),
        (
            lambda: JointSettings(ordered_starts=True, random_starts=False),
            r"ordered_starts \(true\) needs random_starts = true: maps that are spread evenly are in order",
        ),
        (
            lambda: ANetSettings(num_maps=1, ordered_starts=True),
            r"ordered_starts \(true\) needs num_maps above 1: a single map",
        ),
        (lambda: ANetSettings(average_last=3, patience=2), r"average_last \(3\) needs patience = 0, not 2"),
    ],
)
def test_values_that_cannot_work_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_does_something_together_is_taken():
    assert ANetSettings(features="mine", pooling="attention").sound == "rows"
    assert ANetSettings(num_maps=2, ordered_starts=True).num_maps == 2
    assert JointSettings(ordered_starts=True, patience=29, epochs=30).patience == 29
    assert VNetSettings(loss="ccc", batch_size=2).batch_size == 2


def test_a_later_setting_is_silent_at_its_default_alone():
    @dataclass
    class Settings:
        old: int = field(default=1, metadata=declare("Old.", 0, 9))
        new: int = field(default=2, metadata=declare("New.", 0, 9, later=True))

    assert find_silent(Settings, {"old": 1, "new": 2}) == {"new"}
    assert find_silent(Settings, {"old": 1, "new": 3}) == set()

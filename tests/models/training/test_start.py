import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.inputs.plan import InputPlan
from models.inputs.spread import measure_frequencies
from models.networks.anet import build_anet
from models.networks.vnet import VNet, build_vnet
from models.scores.ccc import compute_ccc
from models.training.checkpoints import CheckpointError, load_checkpoint, load_network
from models.training.loop import Job, fit
from models.training.start import (
    ANetSettings,
    Clips,
    JointSettings,
    RunOptions,
    TrainingError,
    VNetSettings,
    predict,
    train_anet,
    train_joint,
    train_vnet,
)
from tests.models.data import make_clips

ANET = ANetSettings(epochs=1, batch_size=4, channel_scale=1 / 64, num_evaluation_maps=1)
VNET = VNetSettings(epochs=2, batch_size=8, num_frames=4)
JOINT = JointSettings(epochs=1, batch_size=4, num_maps=2, num_frames=4)
#: A training that changes nothing: the rate is divided from the first epoch on.
STILL = {"learning_rate_steps": (0,), "learning_rate_factor": 1e-30}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with anet, vnet and joint, trained a little on 8 clips."""
    folder = tmp_path_factory.mktemp("trained")
    train, validation = make_clips(8), make_clips(6, seed=1)
    train_anet(train, validation, ANET, RunOptions(folder / "anet", seed=0), weights=None, provenance={"note": "n"})
    train_vnet(train, validation, VNET, RunOptions(folder / "vnet", seed=0))
    train_joint(
        train, validation, JOINT, RunOptions(folder / "joint", seed=0), anet=folder / "anet", vnet=folder / "vnet"
    )
    return folder


def read_metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_files_of_a_training(trained):
    for kind, num_epochs in (("anet", 1), ("vnet", 2), ("joint", 1)):
        names = ["best.pt", "events.out.tfevents.valar", "last.pt", "metrics.jsonl"]
        assert sorted(path.name for path in (trained / kind).iterdir()) == names
        lines = read_metrics(trained / kind)
        assert [line["epoch"] for line in lines] == list(range(num_epochs))
        assert all(line["kind"] == kind and line["num_train"] == 8 and line["num_validation"] == 6 for line in lines)
        last = load_checkpoint(trained / kind / "last.pt")
        assert (last.kind, last.epoch, last.scores["selected_by"]) == (kind, num_epochs - 1, "last epoch")


def test_checkpoints_tell_where_they_come_from(trained):
    anet, vnet, joint = (load_checkpoint(trained / kind) for kind in ("anet", "vnet", "joint"))
    assert anet.weights == {"vgg16": "random"}
    assert anet.provenance == {"note": "n"}
    assert anet.settings["learning_rate"] == 0.01
    assert vnet.weights == {}
    assert joint.weights == {"vgg16": "random"}
    assert joint.architecture == {"channel_scale": 1 / 64, "backbone": "frozen", "arousal_output": "tanh"}


def test_best_checkpoint_gives_the_validation_scores_it_names(trained):
    validation = make_clips(6, seed=1)
    for kind in ("anet", "vnet", "joint"):
        scores = load_checkpoint(trained / kind).scores
        predicted = predict(trained / kind, validation)
        for column, name in enumerate(("ccc_arousal", "ccc_valence")):
            assert compute_ccc(validation.labels[:, column], predicted[:, column]) == pytest.approx(
                scores[name], abs=1e-5
            )
        assert scores["total_ccc"] == pytest.approx(scores["ccc_arousal"] + scores["ccc_valence"])


def test_best_is_the_highest_total(tmp_path):
    train_vnet(
        make_clips(12), make_clips(8, seed=1), replace(VNET, epochs=6, learning_rate=0.2), RunOptions(tmp_path, seed=0)
    )
    totals = [line["total_ccc"] for line in read_metrics(tmp_path)]
    assert load_checkpoint(tmp_path).epoch == int(np.argmax(totals))
    assert [line["is_best"] for line in read_metrics(tmp_path)] == [
        total > max([-np.inf, *totals[:epoch]]) for epoch, total in enumerate(totals)
    ]


def test_joint_starts_from_the_two(trained, tmp_path):
    still = replace(JOINT, **STILL)
    train_joint(
        make_clips(4), make_clips(4), still, RunOptions(tmp_path, seed=0), anet=trained / "anet", vnet=trained / "vnet"
    )
    joint, anet, vnet = (load_checkpoint(f).state for f in (tmp_path, trained / "anet", trained / "vnet"))
    checked = 0
    for own, other in (("acoustic", anet), ("visual", vnet)):
        for key, value in other.items():
            if key.startswith("feature."):
                torch.testing.assert_close(joint[key.replace("feature", own, 1)], value, rtol=0, atol=1e-20)
                checked += 1
    assert checked == 30 + 8 + 2


def test_a_training_goes_on_from_an_earlier_ones_weights(trained, tmp_path):
    train, validation = make_clips(4), make_clips(4)
    parents = {"anet": trained / "anet", "vnet": trained / "vnet"}
    trainings = {
        "anet": lambda options, start: train_anet(
            train, validation, replace(ANET, **STILL), options, weights=None, start=start
        ),
        "vnet": lambda options, start: train_vnet(train, validation, replace(VNET, **STILL), options, start=start),
        "joint": lambda options, start: train_joint(
            train, validation, replace(JOINT, **STILL), options, **parents, start=start
        ),
    }
    for kind, do in trainings.items():
        do(RunOptions(tmp_path / kind, seed=5), trained / kind)
        do(RunOptions(tmp_path / f"{kind}-anew", seed=5), None)
        own, anew, start = (load_checkpoint(f) for f in (tmp_path / kind, tmp_path / f"{kind}-anew", trained / kind))
        for key, value in start.state.items():
            torch.testing.assert_close(own.state[key], value, rtol=0, atol=1e-20)
        assert any(not torch.equal(anew.state[key], value) for key, value in start.state.items())
        assert own.identity != anew.identity


def test_going_on_from_other_layers_is_refused(trained, tmp_path):
    for settings, start, message in (
        (replace(ANET, channel_scale=1 / 32), trained / "anet", "has the layers .*0.015625.*they must be .*0.03125"),
        (ANET, trained / "vnet", "holds 'vnet': it must be anet"),
    ):
        with pytest.raises(CheckpointError, match=message):
            train_anet(make_clips(4), make_clips(4), settings, RunOptions(tmp_path, seed=0), weights=None, start=start)


def test_joint_refuses_the_wrong_networks(trained, tmp_path):
    with pytest.raises(CheckpointError, match="holds 'vnet': it must be anet"):
        train_joint(
            make_clips(4),
            make_clips(4),
            JOINT,
            RunOptions(tmp_path, seed=0),
            anet=trained / "vnet",
            vnet=trained / "vnet",
        )


def test_one_step_equals_sgd_by_hand(tmp_path):
    """Clip the gradient, then decay, momentum and step (torch's SGD: v = g + decay * w; w -= rate * v at first)."""
    clips = make_clips(3, num_faces=1)
    settings = VNetSettings(epochs=1, batch_size=3, num_frames=1, learning_rate=0.5, gradient_clip=0.01)
    train_vnet(clips, clips, settings, RunOptions(tmp_path, seed=4))
    network = build_vnet(None, seed=4)
    faces = torch.from_numpy(np.stack(clips.embeddings))
    loss = ((network(faces) - torch.from_numpy(clips.labels)) ** 2).mean()
    loss.backward()
    norm = torch.sqrt(sum((p.grad**2).sum() for p in network.parameters()))
    assert norm > 0.01, "the clipping has to matter"
    last = load_checkpoint(tmp_path / "last.pt").state
    for name, p in network.named_parameters():
        expected = p.detach() - 0.5 * (p.grad * 0.01 / norm + 5e-4 * p.detach())
        torch.testing.assert_close(last[name], expected, rtol=1e-4, atol=1e-6)
    assert read_metrics(tmp_path)[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_momentum_survives_the_schedule(tmp_path):
    clips = make_clips(2, num_faces=1)
    settings = VNetSettings(
        epochs=2, batch_size=2, num_frames=1, learning_rate=0.1, learning_rate_steps=(1,), learning_rate_factor=1e-30
    )
    train_vnet(clips, clips, settings, RunOptions(tmp_path / "two", seed=0))
    train_vnet(clips, clips, replace(settings, learning_rate_factor=1.0), RunOptions(tmp_path / "same", seed=0))
    assert [line["learning_rate"] for line in read_metrics(tmp_path / "two")] == [0.1, pytest.approx(1e-31)]
    two, same = (load_checkpoint(tmp_path / f / "last.pt").state["head.weight"] for f in ("two", "same"))
    assert not torch.equal(two, same)


def test_same_seed_same_weights(tmp_path):
    train, validation = make_clips(7), make_clips(4, seed=1)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.manual_seed(len(name) + seed)  # must not matter
        np.random.seed(seed)
        train_anet(train, validation, ANET, RunOptions(tmp_path / name, seed=seed), weights=None)
    a, b, c = (load_checkpoint(tmp_path / name / "last.pt").state for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_small_splits(trained, tmp_path, size):
    clips = make_clips(size, stft_frames=1, num_faces=1)
    train_vnet(clips, clips, VNET, RunOptions(tmp_path / "v", seed=0))
    train_joint(clips, clips, JOINT, RunOptions(tmp_path / "j", seed=0), anet=trained / "anet", vnet=trained / "vnet")
    predicted = predict(tmp_path / "j" / "last.pt", clips)
    assert predicted.shape == (size, 2)
    assert np.isfinite(predicted).all()


def test_without_validation_labels_the_best_is_the_last(tmp_path, caplog):
    for name, validation in (
        ("unlabelled", make_clips(3, labelled=False)),
        ("empty", Clips([], None, [], [], [])),
        ("one", make_clips(1)),
    ):
        with caplog.at_level(logging.WARNING):
            train_vnet(make_clips(4), validation, VNET, RunOptions(tmp_path / name, seed=0))
        best, last = (load_checkpoint(tmp_path / name / file) for file in ("best.pt", "last.pt"))
        assert best.epoch == last.epoch == 1
        assert best.scores["selected_by"].startswith("last epoch: no validation utterance has a usable label")
        assert all(torch.equal(best.state[key], last.state[key]) for key in best.state)
        assert read_metrics(tmp_path / name)[-1]["total_ccc"] is None
    assert caplog.text.count("vnet: the best checkpoint is that of the last epoch") == 3


def test_utterances_that_cannot_be_seen_are_left_out(trained, tmp_path):
    train = make_clips(6)
    stft = [None, *train.stft[1:]]
    embeddings = [*train.embeddings[:4], np.zeros((0, 512), np.float32), None]
    labels = train.labels.copy()
    labels[2] = np.nan
    train = replace(train, stft=stft, embeddings=embeddings, labels=labels)
    train_anet(train, train, ANET, RunOptions(tmp_path / "anet", seed=0), weights=None)
    train_vnet(train, train, VNET, RunOptions(tmp_path / "vnet", seed=0))
    train_joint(
        train, train, JOINT, RunOptions(tmp_path / "joint", seed=0), anet=tmp_path / "anet", vnet=tmp_path / "vnet"
    )
    unseen = {"anet": [0], "vnet": [4, 5], "joint": [0, 4, 5]}
    for kind, num_train in (("anet", 4), ("vnet", 3), ("joint", 2)):
        assert read_metrics(tmp_path / kind)[0]["num_train"] == num_train
        predicted = predict(tmp_path / kind, train)
        assert np.flatnonzero(np.isnan(predicted).any(axis=1)).tolist() == unseen[kind]
        assert predicted.dtype == np.float32


def test_nothing_to_train_on(tmp_path):
    clips = replace(make_clips(3), embeddings=[None] * 3)
    message = "vnet has nothing to train on: of 3 training utterances 3 have both labels, and 0 have what the"
    with pytest.raises(TrainingError, match=message):
        train_vnet(clips, clips, VNET, RunOptions(tmp_path / "v", seed=0))
    assert not (tmp_path / "v").exists()


def test_nan_stops_with_the_utterances(tmp_path):
    clips = make_clips(3)
    clips.embeddings[1][:] = np.nan
    message = (
        r"vnet: the loss \(nan\) .* in epoch 0, step \d, with the utterances .*video1/utterance_1.*; "
        r"try a lower learning_rate \(0.01\) or gradient_clip \(20.0\)"
    )
    with pytest.raises(TrainingError, match=message):
        train_vnet(clips, clips, replace(VNET, batch_size=1), RunOptions(tmp_path, seed=0))
    assert not (tmp_path / "last.pt").exists()


def test_infinite_gradient_stops_too(tmp_path):
    clips = make_clips(3)
    clips.embeddings[1][:] = np.inf
    with pytest.raises(TrainingError, match=r"is not a finite number in epoch 0"):
        train_vnet(clips, clips, VNET, RunOptions(tmp_path, seed=0))


def test_another_finished_training_is_not_overwritten(trained):
    before = (trained / "vnet" / "last.pt").read_bytes()
    with pytest.raises(FileExistsError, match=r"last.pt exists: a training with other data or settings is finished"):
        train_vnet(make_clips(4), make_clips(4), VNET, RunOptions(trained / "vnet", seed=0))
    assert (trained / "vnet" / "last.pt").read_bytes() == before


def test_finished_training_is_replaced_when_asked(tmp_path):
    for learning_rate in (0.1, 0.2):
        settings = replace(VNET, learning_rate=learning_rate)
        train_vnet(make_clips(4), make_clips(4), settings, RunOptions(tmp_path, seed=0, overwrite=True))
    assert load_checkpoint(tmp_path).settings["learning_rate"] == 0.2
    assert load_checkpoint(tmp_path / "last.pt").settings["learning_rate"] == 0.2


def test_epochs_are_reported(tmp_path):
    seen = []
    train_vnet(make_clips(4), make_clips(4), VNET, RunOptions(tmp_path, seed=0, on_epoch=seen.append))
    assert [metrics.as_plain() for metrics in seen] == read_metrics(tmp_path)
    assert seen[0].num_epochs == 2
    assert 0 <= seen[0].wait_seconds < seen[0].train_seconds <= seen[0].seconds


def test_prediction_does_not_depend_on_batches_or_neighbours(trained):
    clips = make_clips(5, stft_frames=330, num_faces=9)
    for kind in ("anet", "vnet", "joint"):
        together = predict(trained / kind, clips, batch_size=5)
        np.testing.assert_allclose(predict(trained / kind, clips, batch_size=1), together, atol=1e-5)
        np.testing.assert_array_equal(predict(trained / kind, clips, batch_size=5), together)


def test_finetune_trains_from_crops(tmp_path):
    clips = make_clips(2, num_faces=2, crops=True)
    settings = VNetSettings(epochs=1, batch_size=2, num_frames=2, backbone="finetune", learning_rate=1e-3)
    train_vnet(clips, clips, settings, RunOptions(tmp_path / "v", seed=0))
    network, checkpoint = load_network(tmp_path / "v" / "last.pt")
    assert isinstance(network, VNet)
    assert checkpoint.weights == {"sphereface": "random"}
    started = build_vnet(None, backbone="finetune", seed=0).feature.sphereface
    assert not torch.equal(network.feature.sphereface.conv1_1.weight, started.conv1_1.weight)
    train_anet(clips, clips, ANET, RunOptions(tmp_path / "a", seed=0), weights=None)
    train_joint(clips, clips, JOINT, RunOptions(tmp_path / "j", seed=0), anet=tmp_path / "a", vnet=tmp_path / "v")
    joint = load_checkpoint(tmp_path / "j")
    assert joint.weights == {"vgg16": "random", "sphereface": "random"}
    assert joint.inputs.faces == "crops"
    assert np.isfinite(predict(tmp_path / "j", clips)).all()


def test_sigmoid_keeps_arousal_above_zero(tmp_path):
    """As a whole: set, trained, saved, loaded, and joint's own choice whatever its parents had."""
    clips = make_clips(4)
    train_anet(clips, clips, replace(ANET, arousal_output="sigmoid"), RunOptions(tmp_path / "a", seed=0), weights=None)
    train_vnet(clips, clips, replace(VNET, arousal_output="sigmoid"), RunOptions(tmp_path / "v", seed=0))
    parents = {"anet": tmp_path / "a", "vnet": tmp_path / "v"}
    train_joint(clips, clips, JOINT, RunOptions(tmp_path / "tanh", seed=0), **parents)
    train_joint(
        clips, clips, replace(JOINT, arousal_output="sigmoid"), RunOptions(tmp_path / "sigmoid", seed=0), **parents
    )
    for name, expected in (("a", "sigmoid"), ("v", "sigmoid"), ("tanh", "tanh"), ("sigmoid", "sigmoid")):
        network, checkpoint = load_network(tmp_path / name)
        assert network.arousal_output == checkpoint.architecture["arousal_output"] == expected
    assert (predict(tmp_path / "v", clips)[:, 0] > 0).all()


def test_training_stops_early_after_patience(tmp_path):
    settings = replace(VNET, epochs=20, patience=2, **STILL)  # nothing ever gets better
    train_vnet(make_clips(4), make_clips(4), settings, RunOptions(tmp_path, seed=0))
    assert [line["is_best"] for line in read_metrics(tmp_path)] == [True, False, False]
    assert load_checkpoint(tmp_path / "last.pt").epoch == 2


def test_average_of_the_last_weights(tmp_path):
    train, validation = make_clips(8), make_clips(6, seed=1)
    states = []
    for epochs in (2, 3, 4):
        settings = replace(VNET, epochs=epochs, learning_rate=0.1)
        train_vnet(train, validation, settings, RunOptions(tmp_path / str(epochs), seed=0))
        states.append(load_checkpoint(tmp_path / str(epochs) / "last.pt").state)
    settings = replace(VNET, epochs=4, learning_rate=0.1, average_last=3)
    train_vnet(train, validation, settings, RunOptions(tmp_path / "mean", seed=0))
    average, last, best = (load_checkpoint(tmp_path / "mean" / f"{n}.pt") for n in ("average", "last", "best"))
    for key, value in average.state.items():
        torch.testing.assert_close(value, sum(state[key] for state in states) / 3, rtol=1e-5, atol=1e-6)
        assert torch.equal(last.state[key], states[-1][key])
    assert average.scores["selected_by"] == "mean of the weights after the last 3 epochs"
    highest = max(line["total_ccc"] for line in read_metrics(tmp_path / "mean"))
    assert best.scores["total_ccc"] == max(highest, average.scores["total_ccc"])


def test_ensemble_is_the_mean_of_its_predictions(trained, tmp_path):
    clips = make_clips(5, seed=2)
    train_vnet(make_clips(8), make_clips(6, seed=1), VNET, RunOptions(tmp_path, seed=1))
    alone = [predict(folder, clips) for folder in (trained / "vnet", tmp_path)]
    np.testing.assert_allclose(predict([trained / "vnet", tmp_path], clips), (alone[0] + alone[1]) / 2, atol=1e-7)
    with pytest.raises(ValueError, match="no checkpoint to predict with"):
        predict([], clips)


def test_bfloat16_trains_and_predicts_close_to_float32(tmp_path):
    train, validation = make_clips(40), make_clips(30, seed=1)
    for precision in ("float32", "bfloat16"):
        settings = replace(VNET, epochs=4, precision=precision)
        train_vnet(train, validation, settings, RunOptions(tmp_path / precision, seed=0))
    full, half = (predict(tmp_path / name, validation) for name in ("float32", "bfloat16"))
    assert load_checkpoint(tmp_path / "bfloat16").state["head.weight"].dtype == torch.float32
    assert 0 < np.abs(full - half).max() < 0.05


def test_standardised_embeddings(tmp_path):
    """A constant added to all embeddings, and a factor, change nothing."""
    clips = make_clips(6)
    moved = replace(clips, embeddings=[array * 0.01 + 0.7 for array in clips.embeddings])
    for name, split in (("a", clips), ("b", moved)):
        train_vnet(split, split, replace(VNET, standardise=True), RunOptions(tmp_path / name, seed=0))
    np.testing.assert_allclose(predict(tmp_path / "a", clips), predict(tmp_path / "b", moved), atol=1e-3)


def test_other_inputs_of_sound_reach_joint_and_predictions(trained, tmp_path):
    train, validation = make_clips(8), make_clips(6, seed=1)
    settings = replace(ANET, input="log_magnitude", normalise="frequency")
    train_anet(train, validation, settings, RunOptions(tmp_path / "anet", seed=0), weights=None)
    train_joint(
        train, validation, JOINT, RunOptions(tmp_path / "joint", seed=0), anet=tmp_path / "anet", vnet=trained / "vnet"
    )
    mean, scale = measure_frequencies(train, settings.plan_inputs(evaluation=True))
    for kind, part in (("anet", "feature"), ("joint", "acoustic")):
        checkpoint = load_checkpoint(tmp_path / kind)
        assert (checkpoint.inputs.sound, checkpoint.architecture["normalise"]) == ("log_magnitude", "frequency")
        torch.testing.assert_close(checkpoint.state[f"{part}.frequency_mean"][..., 0], mean, rtol=0, atol=0)
        torch.testing.assert_close(checkpoint.state[f"{part}.frequency_scale"][..., 0], scale, rtol=0, atol=0)
        predicted = predict(tmp_path / kind, validation)
        louder = replace(validation, stft=[array * 8 for array in validation.stft])
        np.testing.assert_allclose(predict(tmp_path / kind, louder), predicted, atol=1e-5)
        np.testing.assert_allclose(predict(tmp_path / kind, validation, batch_size=1), predicted, atol=1e-5)
    # A training that continues from it keeps its normalisation. To continue from layers for another input is refused.
    more = make_clips(12, seed=5)
    train_anet(more, validation, settings, RunOptions(tmp_path / "on", seed=0), weights=None, start=tmp_path / "anet")
    torch.testing.assert_close(load_checkpoint(tmp_path / "on").state["feature.frequency_mean"][..., 0], mean)
    with pytest.raises(CheckpointError, match="has the layers"):
        train_anet(more, validation, ANET, RunOptions(tmp_path / "x", seed=0), weights=None, start=tmp_path / "anet")


@pytest.mark.parametrize("pooling", ["lstm", "attention"])
def test_anet_hears_rows_of_another_feature_and_joint_takes_them_over(trained, tmp_path, pooling):
    def make(num, seed):
        """Rows every 0.25 s (12 in 3 s), 2 to 40 of them; arousal follows from their third number."""
        clips = make_clips(num, seed=seed)
        rng = np.random.default_rng(seed)
        rows = [rng.normal(1, 100, size=(rng.integers(2, 40), 3)) + np.array([0, 0, 400 * a]) for a, _ in clips.labels]
        return replace(clips, stft=[array.astype(np.float32) for array in rows], hop_seconds=0.25)

    train, validation = make(40, 0), make(30, 1)
    settings = ANetSettings(features="mine", pooling=pooling, epochs=12, batch_size=4, num_maps=2, learning_rate=0.03)
    train_anet(train, validation, settings, RunOptions(tmp_path / "anet", seed=0), weights=None)
    train_joint(
        train, validation, JOINT, RunOptions(tmp_path / "joint", seed=0), anet=tmp_path / "anet", vnet=trained / "vnet"
    )
    anet, joint = load_checkpoint(tmp_path / "anet"), load_checkpoint(tmp_path / "joint")
    assert (anet.weights, anet.inputs.sound, anet.inputs.map_rows) == ({}, "rows", 12)
    assert anet.architecture == {
        "channel_scale": 1.0,
        "arousal_output": "tanh",
        "row_size": 3,
        "pooling": pooling,
    }
    assert (joint.inputs.sound, joint.inputs.map_rows, joint.inputs.num_maps) == ("rows", 12, 2)
    assert anet.scores["ccc_arousal"] > 0.5
    np.testing.assert_allclose(
        predict(tmp_path / "joint", validation, batch_size=1), predict(tmp_path / "joint", validation), atol=1e-5
    )


def test_trainings_of_the_papers_input_are_described_as_they_always_were(trained):
    kept = torch.load(trained / "anet" / "best.pt", weights_only=True)
    assert kept["inputs"] == {
        "num_maps": 1,
        "num_frames": 0,
        "faces": "embeddings",
        "channel_order": "bgr",
        "random_starts": True,
        "mask_frequencies": 0,
        "mask_frames": 0,
        "mirror": False,
    }
    assert kept["architecture"] == {"channel_scale": 1 / 64, "arousal_output": "tanh"}


def test_first_and_last_layers_may_begin_as_torch_begins_any(trained, tmp_path):
    """torch draws a layer's weights and biases from -1/sqrt(inputs) to 1/sqrt(inputs)."""
    clips = make_clips(4)
    for kind, settings, train in (("anet", ANET, train_anet), ("vnet", VNET, train_vnet), ("joint", JOINT, None)):
        options = RunOptions(tmp_path / kind, seed=0)
        settings = replace(settings, initialisation="notebooks", **STILL)
        if train is None:
            train_joint(clips, clips, settings, options, anet=trained / "anet", vnet=trained / "vnet")
        else:
            train(clips, clips, settings, options, weights=None)
        state = load_checkpoint(tmp_path / kind).state
        layers = ["head", "feature.features.0"] if kind == "anet" else ["head"]
        for layer in layers:
            limit = state[f"{layer}.weight"][0].numel() ** -0.5
            for name in ("weight", "bias"):
                values = state[f"{layer}.{name}"]
                assert values.abs().max() <= limit * 1.0001
                assert values.abs().max() > limit / 10, (kind, layer, name)


@pytest.mark.parametrize("loss", ["mse", "ccc"])
def test_each_network_learns_what_it_can_see(tmp_path, loss):
    train, validation = make_clips(40), make_clips(30, seed=1)
    train_vnet(train, validation, replace(VNET, epochs=8, loss=loss), RunOptions(tmp_path / "vnet", seed=0))
    assert load_checkpoint(tmp_path / "vnet").scores["ccc_valence"] > 0.7


def test_anet_learns(tmp_path):
    job = Job(
        kind="anet",
        network=build_anet(None, channel_scale=1 / 16, seed=0),
        architecture={"channel_scale": 1 / 16},
        settings=replace(ANET, epochs=8),
        train_plan=InputPlan(num_maps=1, num_frames=0),
        evaluation_plan=InputPlan(num_maps=1, num_frames=0),
        weights={},
    )
    fit(job, make_clips(32), make_clips(20, seed=1), RunOptions(tmp_path, seed=0))
    assert load_checkpoint(tmp_path).scores["ccc_arousal"] > 0.5

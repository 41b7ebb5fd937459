"""Whole trainings of one or two steps against NumPy in double precision: forward, loss, gradient, SGD.

The gradient is taken from the definition, (L(w + e) - L(w - e)) / 2e, on some weights of each layer, so nothing of
torch's differentiation is assumed. What lies below the differentiated layers comes from the network itself, whose
layers are compared with NumPy one by one in the tests of each network.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.networks.anet import build_anet
from models.networks.joint import build_joint
from models.networks.maps import normalise_maps
from models.networks.vnet import build_vnet
from models.seeding import mix_seed
from models.training.checkpoints import load_checkpoint
from models.training.settings import ANetSettings, JointSettings, VNetSettings
from models.training.start import RunOptions, train_anet, train_joint, train_vnet
from tests.models.data import make_clips
from tests.models.reference import convolve, pool, run_lstm

SEED = 5
SCALE = 1 / 64
RATE = 0.5
NO_CLIP = {"gradient_clip": 1e9, "learning_rate": RATE, "epochs": 1, "learning_rate_steps": ()}
DECAY, MOMENTUM = 5e-4, 0.9  # the paper's code


def to_numpy(state):
    return {key: value.double().numpy().copy() for key, value in state.items()}


def differentiate(compute_loss, weights, key, position, step=1e-5):
    """Central difference of the loss by one weight."""
    losses = []
    for sign in (1, -1):
        moved = {**weights, key: weights[key].copy()}
        moved[key][position] += sign * step
        losses.append(compute_loss(moved))
    return (losses[0] - losses[1]) / (2 * step)


def check_first_step(compute_loss, before, after, positions):
    """w' = w - rate * (g + decay * w): the first step of SGD, whose momentum has no past."""
    largest = 0.0
    for key, position in positions:
        gradient = differentiate(compute_loss, before, key, position)
        expected = before[key][position] - RATE * (gradient + DECAY * before[key][position])
        assert after[key][position] == pytest.approx(expected, rel=1e-3, abs=2e-5), (key, position)
        largest = max(largest, abs(RATE * gradient))
    assert largest > 1e-3, "steps large enough to tell"


def see(weights, faces, prefix):
    """Faces (N, 512) to VNet's 512: both directions summed, averaged over time (III-B)."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    forward, backward = (
        run_lstm(x, *(weights[f"{prefix}.lstm.{name}_l0{suffix}"] for name in names))
        for x, suffix in ((faces, ""), (faces[::-1], "_reverse"))
    )
    return (forward + backward[::-1]).mean(axis=0)


def hear(weights, below, masks, prefix):
    """What enters the last convolution (8, 16, 18), with two dropout masks, to ANet's 512 (III-A)."""
    x = convolve(below, weights[f"{prefix}.features.28.weight"], weights[f"{prefix}.features.28.bias"], padding=1)
    x = pool(np.maximum(x, 0)).ravel()
    for layer, mask in ((0, masks[0]), (3, masks[1])):
        x = np.maximum(weights[f"{prefix}.fc.{layer}.weight"] @ x + weights[f"{prefix}.fc.{layer}.bias"], 0) * mask
    return x


def predict_with_head(weights, feature):
    return np.tanh(weights["head.weight"] @ feature + weights["head.bias"])


def draw_masks(rows, hidden):
    """Dropout's factors, 0 or 2, of the first step: seeded by seed, epoch, step and process."""
    with torch.random.fork_rng():
        torch.manual_seed(mix_seed(SEED, 0, 0, 0))
        return [torch.nn.functional.dropout(torch.ones(rows, size), 0.5).double().numpy() for size in (hidden, 512)]


def run_below(feature, clips, order):
    """Return each utterance's map as the input of the last convolution."""
    maps = torch.stack([torch.from_numpy(clips.stft[member]) for member in order])
    with torch.inference_mode():
        return feature.features[:28](normalise_maps(maps, torch.full((len(order),), 300))).double().numpy()


def compute_numpy_ccc(truth, prediction):
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    return 2 * covariance / (truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2)


def test_anet_takes_the_step_that_numpy_takes(tmp_path):
    clips = make_clips(3, stft_frames=300)
    settings = ANetSettings(batch_size=3, channel_scale=SCALE, num_evaluation_maps=1, **NO_CLIP)
    train_anet(clips, clips, settings, RunOptions(tmp_path, seed=SEED), weights=None)
    network = build_anet(None, channel_scale=SCALE, seed=SEED)
    order = np.random.default_rng((SEED, 0)).permutation(3)
    below = run_below(network.feature, clips, order)
    masks = draw_masks(3, 64)

    def compute_loss(weights):
        predicted = [
            predict_with_head(weights, hear(weights, below[row], [m[row] for m in masks], "feature"))
            for row in range(3)
        ]
        return np.mean((np.array(predicted) - clips.labels[order].astype(float)) ** 2)

    before, after = to_numpy(network.state_dict()), to_numpy(load_checkpoint(tmp_path / "last.pt").state)
    assert load_checkpoint(tmp_path / "last.pt").scores["loss"] == pytest.approx(compute_loss(before), rel=1e-4)
    positions = [("head.bias", (0,)), ("head.bias", (1,)), ("head.weight", (0, 7)), ("feature.fc.3.bias", (11,))]
    positions += [("feature.fc.0.weight", (3, 100)), ("feature.features.28.weight", (2, 1, 1, 1))]
    check_first_step(compute_loss, before, after, positions)


def test_vnet_takes_the_two_steps_that_numpy_takes(tmp_path):
    clips = make_clips(2, num_faces=2)
    settings = VNetSettings(batch_size=2, num_frames=2, **NO_CLIP)
    for epochs in (1, 2):
        changed = replace(settings, epochs=epochs)
        train_vnet(clips, clips, changed, RunOptions(tmp_path / str(epochs), seed=SEED))

    def compute_loss(weights):
        predicted = [predict_with_head(weights, see(weights, f.astype(float), "feature")) for f in clips.embeddings]
        return np.mean((np.array(predicted) - clips.labels.astype(float)) ** 2)

    start = to_numpy(build_vnet(None, seed=SEED).state_dict())
    first, second = (to_numpy(load_checkpoint(tmp_path / n / "last.pt").state) for n in ("1", "2"))
    assert load_checkpoint(tmp_path / "1" / "last.pt").scores["loss"] == pytest.approx(compute_loss(start), rel=1e-4)
    positions = [("head.bias", (0,)), ("head.weight", (1, 5)), ("feature.lstm.weight_hh_l0_reverse", (700, 3))]
    positions += [("feature.lstm.weight_ih_l0", (40, 9)), ("feature.lstm.bias_ih_l0", (1200,))]
    check_first_step(compute_loss, start, first, positions)
    for key, position in positions:
        velocity = (start[key][position] - first[key][position]) / RATE
        gradient = differentiate(compute_loss, first, key, position)
        velocity = MOMENTUM * velocity + gradient + DECAY * first[key][position]
        assert second[key][position] == pytest.approx(first[key][position] - RATE * velocity, rel=1e-3, abs=4e-5), key


def test_joint_takes_the_step_that_numpy_takes(tmp_path):
    """Two maps of an utterance (III-C), equal here and each with its own dropout; both features; CCC of the batch."""
    clips = make_clips(3, stft_frames=300, num_faces=2)
    anet = ANetSettings(batch_size=3, channel_scale=SCALE, num_evaluation_maps=1, **NO_CLIP)
    train_anet(clips, clips, anet, RunOptions(tmp_path / "anet", seed=1), weights=None)
    train_vnet(clips, clips, VNetSettings(epochs=1, num_frames=2), RunOptions(tmp_path / "vnet", seed=1))
    parents = {"anet": tmp_path / "anet", "vnet": tmp_path / "vnet"}
    settings = JointSettings(batch_size=3, num_maps=2, num_frames=2, **NO_CLIP)
    train_joint(clips, clips, settings, RunOptions(tmp_path / "joint", seed=SEED), **parents)
    single = build_anet(None, channel_scale=SCALE, seed=0), build_vnet(None, seed=0)
    for network, folder in zip(single, parents.values(), strict=True):
        network.load_state_dict(load_checkpoint(folder).state)
    network = build_joint(*single, channel_scale=SCALE, backbone="frozen", seed=SEED)
    order = np.random.default_rng((SEED, 0)).permutation(3)
    below = run_below(network.acoustic, clips, order)
    masks = draw_masks(6, 64)

    def compute_loss(weights):
        predicted = []
        for row, member in enumerate(order):
            sound = [hear(weights, below[row], [m[2 * row + n] for m in masks], "acoustic") for n in range(2)]
            picture = see(weights, clips.embeddings[member].astype(float), "visual")
            predicted.append(predict_with_head(weights, np.concatenate([np.mean(sound, axis=0), picture])))
        pairs = zip(clips.labels[order].astype(float).T, np.array(predicted).T, strict=True)
        return -sum(compute_numpy_ccc(truth, prediction) for truth, prediction in pairs)

    before, after = to_numpy(network.state_dict()), to_numpy(load_checkpoint(tmp_path / "joint" / "last.pt").state)
    loss = load_checkpoint(tmp_path / "joint" / "last.pt").scores["loss"]
    assert loss == pytest.approx(compute_loss(before), rel=1e-3, abs=1e-4)
    positions = [("head.bias", (0,)), ("head.weight", (1, 3)), ("head.weight", (0, 700)), ("acoustic.fc.3.bias", (11,))]
    positions += [("acoustic.features.28.weight", (2, 1, 1, 1)), ("visual.lstm.weight_ih_l0", (40, 9))]
    check_first_step(compute_loss, before, after, positions)

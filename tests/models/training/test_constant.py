"""Constant predictions are reported during the training."""

import logging
import math
from dataclasses import replace

import pytest

from models.training.constant import count_constant, describe_constant, find_constant
from models.training.metrics import EpochMetrics
from models.training.start import RunOptions, VNetSettings, train_vnet
from tests.models.data import make_clips

ONE = EpochMetrics("anet", 0, 9, 0.1, 0.005, 0.0, 0.0, 0.0, False, 40, 30, 1.0, 1.0, 0.0)
HOW = {"loss": "ccc", "learning_rate": 0.005, "gradient_clip": 20.0, "arousal_output": "tanh"}


def history(*spreads, mean=0.0):
    return [
        replace(ONE, epoch=epoch, spread_arousal=spread, spread_valence=0.3, mean_arousal=mean, mean_valence=0.0)
        for epoch, spread in enumerate(spreads)
    ]


def test_three_in_a_row_count_and_two_do_not():
    assert count_constant(history(0.0, 0.0, 0.2, 0.0009, 0.0)) == 2
    assert find_constant(history(0.0, 0.0, 0.2, 0.0009, 0.0)) == []
    epochs = [m.epoch for m in find_constant(history(0.2, 0.0, 0.0009, 0.0, 0.0, 0.001, 0.0))]
    assert epochs == [1, 2, 3, 4]


def test_what_is_not_known_and_a_single_clip_are_not_constant():
    assert count_constant(history(math.nan, math.nan, math.nan)) == 0
    assert count_constant([replace(each, num_validation=1) for each in history(0.0, 0.0, 0.0)]) == 0


def test_the_sentence_has_the_numbers_and_what_to_try():
    stuck = describe_constant(history(0.2, 0.0, 0.0, 0.0004, mean=-0.999), **HOW)
    assert stuck == (
        "anet: constant predictions: in epochs 1 to 3 it predicted the same for all 30 clips that choose the epoch "
        "(arousal -0.999 with a deviation of 0.0004, valence 0.000 with a deviation of 0.3000); they are stuck at an "
        "end of their range, so the steps were probably too large: try gradient_clip = 1 (it is 20), a lower "
        "learning_rate (it is 0.005), or loss = mse"
    )
    assert "they differed before, so the steps were" in describe_constant(history(0.2, 0.0, 0.0, 0.0), **HOW)
    begun = describe_constant(history(0.0, 0.0, 0.0), **{**HOW, "loss": "mse"})
    assert "it has not begun to learn: try more epochs or a higher learning_rate" in begun


def test_sigmoid_has_an_end_at_0():
    how = {**HOW, "arousal_output": "sigmoid"}
    assert "stuck at an end of their range" in describe_constant(history(0.0, 0.0, 0.0, mean=0.001), **how)
    assert "stuck at an end of their range" in describe_constant(history(0.0, 0.0, 0.0, mean=0.999), **how)
    assert "it has not begun to learn" in describe_constant(history(0.0, 0.0, 0.0, mean=0.5), **how)


@pytest.mark.parametrize("rate", [0.01, 10.0])
def test_a_training_that_throws_its_network_to_the_ends_is_told_once_and_one_that_learns_is_not(tmp_path, caplog, rate):
    settings = VNetSettings(epochs=5, batch_size=8, num_frames=4, learning_rate=rate, gradient_clip=1e9, weight_decay=0)
    with caplog.at_level(logging.WARNING, "models"):
        train_vnet(make_clips(12), make_clips(8, seed=1), settings, RunOptions(tmp_path, seed=0))
    told = [record.getMessage() for record in caplog.records]
    if rate < 1:
        assert told == []
    else:
        assert len(told) == 1
        assert told[0].startswith("vnet: constant predictions: in epochs 0 to 2 it predicted the same for all 8 clips")
        assert "stuck at an end of their range" in told[0]

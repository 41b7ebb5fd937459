"""The measures of each epoch of a training."""

import json
import math

import pytest

from models.training.metrics import EpochMetrics, count_epochs_since_best, find_best, find_best_total

NAN = float("nan")


def metrics(epoch=0, total=0.5, *, best=False, **more):
    values = {"loss": 1.0, "learning_rate": 0.1, "ccc_arousal": 0.2, "ccc_valence": 0.3, "num_train": 4}
    values |= {"num_validation": 3, "seconds": 7.0, "train_seconds": 6.0, "wait_seconds": 0.5}
    return EpochMetrics("vnet", epoch, 30, total_ccc=total, is_best=best, **{**values, **more})


def test_what_is_undefined_is_null_in_json_and_comes_back():
    one = metrics(ccc_arousal=NAN, loss=math.inf)
    plain = json.loads(json.dumps(one.as_plain(), allow_nan=False))
    assert (plain["ccc_arousal"], plain["loss"], plain["ccc_valence"]) == (None, None, 0.3)
    back = EpochMetrics.from_plain(plain)
    assert math.isnan(back.ccc_arousal)
    assert math.isnan(back.loss)
    assert back.as_plain() == plain


def test_lines_of_an_earlier_version_are_read():
    plain = metrics().as_plain()
    for name in [name for name in plain if name.startswith(("spread_", "mean_"))]:
        del plain[name]
    assert EpochMetrics.from_plain(plain).total_ccc == 0.5


@pytest.mark.parametrize(
    "wrong", [{"loss": "1"}, {"epoch": 0.5}, {"kind": 3}, {"is_best": None}, {"seconds": 10**400}, {"num_train": True}]
)
def test_a_line_of_other_types_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} of an epoch is "):
        EpochMetrics.from_plain({**metrics().as_plain(), **wrong})
    plain = metrics().as_plain()
    del plain["loss"]
    with pytest.raises(ValueError, match="an epoch has no loss"):
        EpochMetrics.from_plain(plain)


def test_the_best_epoch_is_the_last_that_was_marked():
    history = [metrics(0, 0.1, best=True), metrics(1, 0.4, best=True), metrics(2, 0.3), metrics(3, NAN)]
    assert find_best(history) is history[1]
    assert count_epochs_since_best(history) == 2
    assert find_best_total(history) == 0.4


def test_without_a_score_there_is_no_best():
    history = [metrics(0, NAN), metrics(1, NAN)]
    assert find_best(history) is None
    assert count_epochs_since_best(history) == 0
    assert find_best_total(history) == -math.inf
    assert find_best_total([]) == -math.inf

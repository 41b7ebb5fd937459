import math

import pytest
import torch

from models.training import saving
from models.training.job import RunOptions
from models.training.saving import Pace
from models.training.state import add_to_average


class Clock:
    """A clock that moves only when the test moves it."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.mark.parametrize(("share", "expected"), [(0.1, [0, 14, 28]), (0.7, [0, 1, 2, 3]), (1.0, list(range(30)))])
def test_saving_takes_at_most_its_share_of_the_time(share, expected):
    """30 epochs of 2 s, 3 s a saving: at a tenth every 14th (28 s of training and 3 s, then 9.7 % of the time)."""
    clock, saved = Clock(), []
    pace = Pace(share, clock)
    for epoch in range(30):
        clock.seconds += 2
        if pace.is_due():
            saved.append(epoch)
            with pace.timing():
                clock.seconds += 3
    assert saved[: len(expected)] == expected
    assert share > 0.1 or len(saved) == len(expected)


def test_a_share_that_cannot_be_kept_is_refused(tmp_path):
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"saving_share \({share}\) must be above 0 and at most 1"):
            RunOptions(tmp_path, seed=0, saving_share=share)


def test_saving_quicker_than_before_is_noticed():
    clock = Clock()
    pace = Pace(0.1, clock)
    for seconds, later in ((4.0, 36.0), (0.5, 4.5)):
        with pace.timing():
            clock.seconds += seconds
        clock.seconds += math.nextafter(later - 0.1, 0)
        assert not pace.is_due()
        clock.seconds += 0.2
        assert pace.is_due()


def test_kept_weights_are_copies_in_the_same_memory():
    weights = {
        "a": torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "b": torch.zeros((), dtype=torch.int64),
    }
    first = saving._copy_to_host(weights, {})
    addresses = {key: value.data_ptr() for key, value in first.items()}
    weights["a"].mul_(2)
    assert first["a"].unique().tolist() == [1]
    second = saving._copy_to_host(weights, first)
    assert torch.equal(second["a"], weights["a"])
    assert {key: value.data_ptr() for key, value in second.items()} == addresses


def test_mean_of_weights_goes_on_from_what_was_read():
    mean = {}
    for count, value in enumerate((1.0, 2.0, 6.0)):
        mean = add_to_average(mean, {"a": torch.full((2,), value)}, count)
    assert mean["a"].tolist() == [3.0, 3.0]


def test_mean_of_weights_read_from_the_disk_moves_to_where_the_network_is():
    mean = add_to_average({"a": torch.ones(2)}, {"a": torch.ones(2, device="meta")}, 1)
    assert mean["a"].device.type == "meta"

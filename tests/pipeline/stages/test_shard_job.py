"""Several clips at a time, in order."""

import threading

import pytest

from pipeline.stages.shard_job import in_parallel

SECONDS = 30  # after which a test that waits for what never comes fails


def test_results_come_in_the_order_of_their_items():
    second_is_done = threading.Event()

    def double(item):
        if item == 1:
            assert second_is_done.wait(SECONDS)
        if item == 2:
            second_is_done.set()
        return 2 * item

    assert list(in_parallel(double, [1, 2, 3, 4], workers=2)) == [2, 4, 6, 8]
    assert list(in_parallel(double, [], workers=2)) == []


def test_a_long_item_at_the_front_does_not_stop_those_behind_it():
    sixth_is_done = threading.Event()

    def wait_for_the_sixth(item):
        if item == 0:
            return sixth_is_done.wait(SECONDS)
        if item == 6:
            sixth_is_done.set()
        return True

    assert list(in_parallel(wait_for_the_sixth, range(9), workers=2, ahead=8)) == [True] * 9


def test_after_an_error_nothing_new_is_begun():
    begun = []

    def refuse_two(item):
        begun.append(item)
        if item == 2:
            raise ValueError("no 2")
        return item

    results = in_parallel(refuse_two, range(100), workers=1)
    with pytest.raises(ValueError, match="no 2"):
        list(results)
    assert len(begun) < 10


def test_what_is_under_way_when_an_error_ends_all_is_told_to_stop():
    stopping = threading.Event()

    def wait_or_refuse(item):
        if item == 0:
            raise ValueError("no 0")
        return stopping.wait(SECONDS)

    with pytest.raises(ValueError, match="no 0"):
        list(in_parallel(wait_or_refuse, range(2), workers=2, stopping=stopping))
    assert stopping.is_set()


def test_the_last_ones_are_begun_in_the_order_of_their_cost():
    begun = []

    def note(item):
        begun.append(item)
        return item

    costs = [3, 1, 4, 1, 5, 9, 2, 6]
    results = in_parallel(note, range(8), workers=1, ahead=3, cost=costs.__getitem__)
    assert list(results) == list(range(8))
    # Until the last one may be ahead of its turn they are begun in order.
    assert begun[:3] == [0, 1, 2]
    assert sorted(begun) == list(range(8))
    begun.clear()
    assert list(in_parallel(note, range(8), workers=1, ahead=8, cost=costs.__getitem__)) == list(range(8))
    assert begun == [5, 7, 4, 2, 0, 6, 1, 3]


def test_a_cost_that_cannot_be_told_is_an_error():
    def refuse_two(item):
        if item == 2:
            raise ValueError("no cost of 2")
        return item

    results = in_parallel(str, range(5), workers=2, ahead=5, cost=refuse_two)
    with pytest.raises(ValueError, match="no cost of 2"):
        list(results)

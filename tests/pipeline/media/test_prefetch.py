"""An iterator that runs ahead of its consumer, in a thread."""

import threading

import pytest

from pipeline.media.prefetch import prefetch


class Items:
    """Numbers that note in which thread they were made, and when they were closed."""

    def __init__(self, count, fails=False, stopping=None):
        self.made, self.threads, self.closed = 0, set(), threading.Event()
        self._count, self._fails, self._stopping = count, fails, stopping

    def __iter__(self):
        for number in range(self._count):
            self.made += 1
            self.threads.add(threading.current_thread())
            yield number
        if self._fails:
            raise LookupError("the next one is gone")
        if self._stopping is not None:
            self._stopping.wait()

    def close(self):
        self.closed.set()


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_items_come_in_order_from_one_other_thread(depth):
    items = Items(50)
    assert list(prefetch(items, depth)) == list(range(50))
    (thread,) = items.threads
    assert thread is not threading.current_thread()
    assert not thread.is_alive()
    assert items.closed.is_set()


def test_an_error_comes_after_the_items_before_it():
    items = prefetch(Items(3, fails=True), 10)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="the next one is gone"):
        next(items)


def test_no_more_is_made_than_may_wait():
    items = Items(1000)
    ahead = prefetch(items, 4)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    assert items.made <= 3 + 4 + 1, "one is being made, four wait"
    assert items.closed.is_set()


def test_who_makes_an_item_is_told_that_nobody_wants_it():
    stopping = threading.Event()
    items = Items(1, stopping=stopping)
    ahead = prefetch(items, 1, stopping)
    assert next(ahead) == 0
    ahead.close()  # would wait for ever, did the maker not look at the event
    assert items.closed.is_set()


def test_nothing_begins_before_the_first_item_is_asked_for():
    items = Items(3)
    ahead = prefetch(items, 2)
    assert items.made == 0
    ahead.close()
    with pytest.raises(ValueError, match="depth is 0 items; it must be at least 1"):
        prefetch(items, 0)

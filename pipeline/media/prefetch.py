"""Run an iterator ahead of its consumer, in a thread, with bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], depth: int, stopping: threading.Event | None = None) -> Iterator[Item]:
    """Yield the items in order while a thread already makes the next ones.

    The items are made in one other thread only. An exception of theirs is raised here, after the items before it.
    When the consumer stops early (break, exception, close), the thread ends after the item it is making, and the
    iterable's `close` is called there if it has one.

    Args:
        items: what to iterate over.
        depth: how many finished items may wait, at least 1.
        stopping: is set at the end, for an iterable that looks at it while it makes an item: the next frame may be far
            away.

    Raises:
        ValueError: when depth is below 1.

    """
    if depth < 1:
        raise ValueError(f"depth is {depth} items; it must be at least 1")
    return _consume(items, depth, stopping)


class _Waiting(Generic[Item]):
    """The finished items that the consumer has not taken, and after them how the iteration ended.

    A producer that has filled the queue sleeps until half of it is taken. To be woken for each item, and to wait for
    Python's lock each time, would take as long as decoding a small picture.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[tuple[str, Item | BaseException | None]] = deque()
        lock = threading.Lock()
        self._filled, self._emptied = threading.Condition(lock), threading.Condition(lock)
        self._stopped = False

    def put(self, kind: str, value: Item | BaseException | None) -> bool:
        """Add an item when there is room; return False when the consumer has stopped."""
        with self._emptied:
            if len(self._items) >= self._depth:
                self._emptied.wait_for(lambda: self._stopped or len(self._items) <= self._depth // 2)
            if self._stopped:
                return False
            self._items.append((kind, value))
            self._filled.notify()
            return True

    def take(self) -> tuple[str, Item | BaseException | None]:
        """Take the first item; wait until there is one."""
        with self._filled:
            self._filled.wait_for(lambda: self._items)
            taken = self._items.popleft()
            if len(self._items) <= self._depth // 2:
                self._emptied.notify()
            return taken

    def stop(self) -> None:
        """Tell the producer that no more items are wanted."""
        with self._emptied:
            self._stopped = True
            self._emptied.notify()


def _consume(items: Iterable[Item], depth: int, stopping: threading.Event | None) -> Iterator[Item]:
    """Start the thread at the first request and hand over what it makes."""
    waiting: _Waiting[Item] = _Waiting(depth)
    thread = threading.Thread(target=_produce, args=(items, waiting), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.take()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
            del value  # its memory may be used again
    finally:
        waiting.stop()
        if stopping is not None:
            stopping.set()
        thread.join()


def _produce(items: Iterable[Item], waiting: _Waiting[Item]) -> None:
    """Hand over every item, then how it ended."""
    try:
        for item in items:
            if not waiting.put("item", item):
                break
            del item  # its memory may be used again
        else:
            waiting.put("end", None)
    except BaseException as error:  # whatever it is, it belongs to the consumer
        waiting.put("error", error)
    finally:
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is not None:
            close()

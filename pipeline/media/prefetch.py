"""Run an iterator ahead of its consumer, in a thread, with bounded memory."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
WAIT_SECONDS = 0.1  # how often a blocked producer looks whether its consumer is gone


def prefetch(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items in order while a thread already makes the next ones.

    The items are made in one other thread only. An exception of theirs is raised here, after the items before it.
    When the consumer stops early (break, exception, close), the thread ends after the item it is making, and the
    iterable's `close` is called there if it has one.

    Args:
        items: what to iterate over.
        depth: how many finished items may wait, at least 1.

    Raises:
        ValueError: when depth is below 1.

    """
    if depth < 1:
        raise ValueError(f"depth is {depth} items; it must be at least 1")
    return _consume(items, depth)


def _consume(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Start the thread at the first request and hand over what it makes."""
    waiting: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, waiting, stopped), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


def _produce(
    items: Iterable[Item], waiting: "queue.Queue[tuple[str, Item | BaseException | None]]", stopped: threading.Event
) -> None:
    """Put every item into the queue, then how it ended."""

    def put(kind: str, value: Item | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((kind, value), timeout=WAIT_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    try:
        for item in items:
            if not put("item", item):
                break
        else:
            put("end", None)
    except BaseException as error:  # whatever it is, it belongs to the consumer
        put("error", error)
    finally:
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is not None:
            close()

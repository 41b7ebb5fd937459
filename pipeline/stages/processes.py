"""Worker processes, one per core, for work that holds Python's lock for too long to run in threads."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from pipeline.errors import TransientError

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Processes:
    """Worker processes of this program, spawned when first needed; they live until the program ends.

    They end with the program, also when it is killed. Ctrl-C ends them at once.

    Args:
        count: number of processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    @property
    def are_running(self) -> bool:
        """Tell whether they have been started."""
        return self._pool is not None

    def call(self, function: Callable[[Argument], Result], argument: Argument, *, what: str) -> Result:
        """Call a function in one of the processes and wait for its result; several threads may do so at once.

        Args:
            function: defined at a module's top level; its exceptions are raised here.
            argument: an object that can be pickled.
            what: the work, named in the error.

        Raises:
            TransientError: a process was killed; the next call starts new ones.
        """
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._count, mp_context=context, initializer=_begin)
            pool = self._pool
        try:
            return pool.submit(function, argument).result()
        except BrokenProcessPool as error:
            with self._lock:
                self._pool = None
            raise TransientError(
                f"{what}: a process was killed, perhaps by the system because there was not enough memory; run "
                "again, with fewer [run] threads if it happens again"
            ) from error

    def close(self) -> None:
        """End the processes when they have finished their work; the next call starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()


def _begin() -> None:
    """Set up a new process: one thread for torch; it ends at Ctrl-C and when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent cannot tell its workers to end, and they would wait for work for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a child"
    parent.join()
    os._exit(1)

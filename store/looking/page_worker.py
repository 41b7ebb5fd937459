"""Processes that write clips' pages: Python's lock lets threads of one process write hardly more than one at a time.

Each process is a command, `python -m store.looking.page_worker`. It reads a JSON line for each group of clips and
answers with a JSON line. Inside of a run that trains, a process must not be forked, or import the main module again.
"""

import contextlib
import gc
import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from store.errors import StoreError
from store.explaining import explain
from store.looking.page_files import Group, write_group

_ROOT = Path(__file__).resolve().parents[2]


class _Worker:
    """One of these processes."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            # -P: a file in the current folder with the name of one of Python's modules must not be imported.
            [sys.executable, "-P", "-m", "store.looking.page_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    def write(self, group: Group) -> list[tuple[str, list[Any]]]:
        """Let the process write the pages of a group; gives each clip's name and its row of the index."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(group).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            raise StoreError(f"a process that writes pages ended with exit code {code}; give the command again")
        value = json.loads(answer)
        if "error" in value:
            raise StoreError(value["error"])
        return [(name, row) for name, row in value["rows"]]

    def close(self) -> None:
        """Close the pipes and wait: the process ends when its input ends."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()


def write_in_processes(groups: Sequence[Group], count: int) -> Iterator[tuple[str, list[Any]]]:
    """Write the pages of groups of clips.

    Args:
        groups: See `Group`; the clips of one are of one shard.
        count: Number of processes.

    Raises:
        StoreError: A shard cannot be read, or a process has ended.
        OSError: A process cannot be started.
    """
    with contextlib.ExitStack() as stack:
        idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(count):
            worker = _Worker()
            stack.callback(worker.close)
            idle.put(worker)

        def write(group: Group) -> list[tuple[str, list[Any]]]:
            worker = idle.get()
            try:
                return worker.write(group)
            finally:
                idle.put(worker)

        pool = stack.enter_context(ThreadPoolExecutor(count))
        stack.callback(pool.shutdown, cancel_futures=True)
        for written in pool.map(write, groups):
            yield from written


def serve() -> None:
    """Answer groups from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C; when it ends, this process ends, too
    gc.set_threshold(
        50_000
    )  # pages leave no cycles; to look for them after each 700 objects took a twelfth of the time
    for line in sys.stdin.buffer:
        try:
            answer: dict[str, Any] = {"rows": write_group(json.loads(line))}
        except StoreError as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"error": explain(error)}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        serve()

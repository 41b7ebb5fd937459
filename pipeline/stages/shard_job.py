"""One stage of one shard: its clips, its files, and several clips at a time."""

import contextlib
import errno
import functools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.dataset.clip_folders import describe_unreadable
from pipeline.errors import TransientError
from pipeline.runs.kept_crops import PASSING
from pipeline.runs.run import Run
from store.records.plans import Member
from store.shard.reader import Shard
from store.shard.writer import ShardWriter, UtteranceRows
from store.text import format_count

#: The message of a clip that was missing or changed when it was to be read.
GONE = "the file was gone or had changed since planning when it should be read"
#: Rows held in memory at once.
ROWS_AT_ONCE = 1024

# Errors of this process or of the store's disk, not of the clip that was read at the time.
_NOT_OF_THE_SOURCE = frozenset({errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT})
_BLOCK_BYTES = 1 << 20

Item = TypeVar("Item")
Result = TypeVar("Result")


class UnreadableError(Exception):
    """A clip exists and cannot be read; the message is one sentence. Only this clip fails, and it is tried again."""


@dataclass(frozen=True)
class ShardJob:
    """One stage of one shard.

    Args:
        run: The run it belongs to.
        shard: The shard's id.
        tick: Called after each clip.
        seen: Called with the share of the stage that is done, from 0 to 1; of use where the shard is a single clip.
    """

    run: Run
    shard: str
    tick: Callable[[], None] = lambda: None
    seen: Callable[[float], None] = lambda share: None

    @property
    def members(self) -> tuple[Member, ...]:
        """The shard's clips, in the order of their names."""
        return self.run.plan.shards[self.shard].members

    @functools.cached_property
    def scratch(self) -> Path | None:
        """`[run] scratch`; None for the folder of the file that is written."""
        scratch = self.run.settings.run.scratch
        return Path(scratch) if scratch else None

    def writer(
        self, stage: str, beside: str | None = None, *, made_in: Mapping[str, str] | None = None, width: int = 0
    ) -> ShardWriter:
        """Open the file of a stage, or of what is kept `beside` it, for writing.

        Args:
            stage: Its name.
            beside: Name of what is kept beside it.
            made_in: What its provenance says about this machine; not part of its fingerprint.
            width: How many numbers a row of a declared feature has.
        """
        passing = PASSING if beside == "crops" and beside not in self.run.kept else {}
        return ShardWriter(
            self.run.path(beside or stage, self.shard),
            stage=beside or stage,
            shard=self.shard,
            fingerprint=self.run.fingerprints[stage],
            provenance={**self.run.describe(stage), **(made_in or {}), **passing},
            scratch=self.scratch,
            width=width,
        )

    def missing_writer(
        self,
        stack: contextlib.ExitStack,
        stage: str,
        beside: str | None = None,
        *,
        made_in: Mapping[str, str] | None = None,
    ) -> ShardWriter | None:
        """Open a file for writing unless it exists: a stage of several files may have been stopped between two."""
        if self.run.path(beside or stage, self.shard).exists():
            return None
        return stack.enter_context(self.writer(stage, beside, made_in=made_in))

    def rows(self, stage: str) -> Shard:
        """Open the file of an earlier stage."""
        rows = self.run.shard(stage, self.shard)
        if rows is None:
            raise TransientError(f"{self.run.path(stage, self.shard)} has disappeared; run again")
        return rows

    @contextlib.contextmanager
    def reading(self, member: Member) -> Iterator[Path | None]:
        """Give a member's clip, None if it is gone; fail if it changes in the block, so that no mixed result is kept.

        Raises:
            UnreadableError: The clip cannot be opened; or, after an error in the block, it cannot be read to its end.
            TransientError: The folder of videos is gone, or the clip changed.
        """
        try:
            source = self.run.find_source(self.shard, member)
        except OSError as error:
            path = self.run.videos / member.path
            raise UnreadableError(describe_unreadable(path, error.strerror or str(error))) from error
        if source is None and not self.run.videos.is_dir():
            raise TransientError(f"{self.run.videos} has disappeared; mount it and run again")
        try:
            yield source
        except OSError as error:
            fault = "" if source is None or error.errno in _NOT_OF_THE_SOURCE else _find_read_fault(source)
            if source is None or not fault:
                raise
            raise UnreadableError(describe_unreadable(source, fault)) from error
        if source is not None and self.run.find_source(self.shard, member) != source:
            raise TransientError(f"{source} changed while it was read; run again when nothing writes to it")

    def check_any_is_read(self, found: Iterable[tuple[str, str]]) -> None:
        """Refuse to keep a shard if all its clips were gone: most likely the disk is missing, not so many files.

        A shard whose clips exist and cannot be read is kept. Its rows say so, and it is made again when the clips can
        be read (docs/decisions/029-unreadable-clips.md).

        Args:
            found: Status and message of each clip.

        Raises:
            TransientError: All were gone.
        """
        statuses = list(found)
        if statuses and all(pair == ("missing_file", GONE) for pair in statuses):
            raise TransientError(
                f"not one of {format_count(len(statuses), 'clip')} of shard {self.shard} could be read (the first: "
                f"{self.members[0].name}: {GONE}); bring them back, and run again"
            )


def _find_read_fault(source: Path) -> str:
    """Read a whole file and say why the system cannot; "" where it can."""
    try:
        with source.open("rb") as file:
            while file.read(_BLOCK_BYTES):
                pass
    except OSError as error:
        return error.strerror or str(error)
    return ""


def unless_unreadable(function: Callable[[Item], Result], make: Callable[[str], Result]) -> Callable[[Item], Result]:
    """Wrap a function: if a clip cannot be read, return `make(sentence)` instead of raising UnreadableError."""

    def call(item: Item) -> Result:
        try:
            return function(item)
        except UnreadableError as error:
            return make(str(error))

    return call


def carry_on(earlier: Shard, rows: UtteranceRows) -> bool:
    """Copy an earlier stage's status and message; return whether the clip is ok, so that there is work to do."""
    rows.set_status(earlier.fact(rows.name, "status"), earlier.fact(rows.name, "message"))
    return rows.status == "ok"


def in_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    ahead: int = 0,
    cost: Callable[[Item], float] | None = None,
    stopping: threading.Event | None = None,
) -> Generator[Result, None, None]:
    """Map in threads, in order; at most `workers + ahead` results wait, so that memory and scratch stay bounded.

    The first error is raised when its item's turn comes. Items that have not begun by then are dropped, and those that
    have begun are waited for.

    Args:
        function: Called with each item.
        items: In order.
        workers: Number of threads.
        ahead: Items that may be finished before their turn.
        cost: How long an item takes, in any unit. The last items, which may all be finished ahead of their turn, are
            begun with the most costly first: a long one begun last would leave the other threads without work.
        stopping: Set when the mapping ends, with or without an error; a function that takes long checks it.
    """
    pool = ThreadPoolExecutor(workers)
    turns = _Turns(function, cost)
    waiting: deque[Future[Result]] = deque()
    num_begun = 0
    try:
        for item in items:
            waiting.append(turns.add(item))
            if len(waiting) > workers + ahead:
                for _ in range(len(waiting) - num_begun):
                    pool.submit(turns.take)
                yield waiting.popleft().result()
                num_begun = len(waiting)
        turns.are_all_there = True
        for _ in range(len(waiting) - num_begun):
            pool.submit(turns.take)
        while waiting:
            yield waiting.popleft().result()
    finally:
        if stopping is not None:
            stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)


class _Turns(Generic[Item, Result]):
    """The items that have not been begun, and the choice of the next one."""

    def __init__(self, function: Callable[[Item], Result], cost: Callable[[Item], float] | None) -> None:
        self.are_all_there = False
        self._function = function
        self._cost = cost
        self._items: list[tuple[float, Item, Future[Result]]] = []
        self._lock = threading.Lock()

    def add(self, item: Item) -> Future[Result]:
        """Add an item; `take` is to be called once for it."""
        future: Future[Result] = Future()
        cost = 0.0 if self._cost is None else self._cost(item)
        with self._lock:
            self._items.append((cost, item, future))
        return future

    def take(self) -> None:
        """Work on the next item."""
        with self._lock:
            place = 0
            if self.are_all_there:
                costs = [cost for cost, _, _ in self._items]
                place = costs.index(max(costs))  # of equal ones the first
            _, item, future = self._items.pop(place)
        try:
            future.set_result(self._function(item))
        except BaseException as error:  # raised where the result is asked for
            future.set_exception(error)

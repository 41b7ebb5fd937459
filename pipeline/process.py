"""This process: how many files it may have open, and how it ends with a message for the user."""

import contextlib
import gc
import resource
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn

from store.text import escape_lines

#: Exit code of wrong use and of input that cannot be used, as of every command.
UNUSABLE = 2

_interrupts: list[BaseException] = []


def raise_file_limit() -> None:
    """Let this process, and those that it starts, open as many files as the system lets it ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # some systems name a limit that they do not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def collecting_later() -> Iterator[None]:
    """Switch Python's garbage collector off while very many lasting objects are made: it would visit them repeatedly.

    This can also decorate a function.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def leave(error: Exception | str) -> NoReturn:
    """End the process with a sentence: Luigi would print a traceback of anything but SystemExit."""
    print(escape_lines(str(error)), file=sys.stderr, flush=True)
    raise SystemExit(UNUSABLE) from None


def was_interrupted() -> bool:
    """Tell whether Ctrl-C is what ends this process."""
    return bool(_interrupts)


def explain_interrupt(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Answer Ctrl-C with a sentence instead of a traceback, which would help nobody; to be used as `sys.excepthook`."""
    if issubclass(kind, KeyboardInterrupt):
        _interrupts.append(error)
        print("stopped: finished work is kept, and the same command continues from there", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)

"""Lines that are broken to fit the terminal; in a pipe or a file they are not changed."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from store.text import wrap

#: Width if the terminal does not report one.
_USUAL_WIDTH = 80
_NARROWEST = 40
#: A command to be copied: such a line is not broken, because a shell would run its first half alone.
_COMMAND = re.compile("(  |next: )valar ")


class FittingStream:
    """A terminal's stream that breaks long lines between words.

    Text that moves the cursor or sets colours, such as a progress bar, is not changed. Nor is a line with a command to
    copy.

    Args:
        stream: Of the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, with long lines broken."""
        is_drawn = "\x1b" in text or "\r" in text
        self._stream.write(text if is_drawn else "\n".join(map(self._fit, text.split("\n"))))
        return len(text)

    def _fit(self, line: str) -> str:
        return line if _COMMAND.match(line) else wrap(line, self._width)

    def writelines(self, lines: Any) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    @property
    def _width(self) -> int:
        try:
            return max(_NARROWEST, os.get_terminal_size(self._stream.fileno()).columns or _USUAL_WIDTH)
        except (OSError, ValueError):
            return _USUAL_WIDTH

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def fitting_lines() -> Iterator[None]:
    """Break long lines of standard output and standard error, each if it is a terminal."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        cast(TextIO, FittingStream(stream)) if stream is not None and stream.isatty() else stream for stream in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before

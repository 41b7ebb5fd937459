"""Lines that fit the terminal they are printed on; whatever reads from a pipe or a file gets them as they are."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from store.text import wrap

#: Where the terminal does not say how wide it is.
_USUAL_WIDTH = 80
_NARROWEST = 40
#: A line that is to be copied: a shell would run its first half alone.
_COMMAND = re.compile("(  |next: )valar ")


class FittingStream:
    """A terminal's stream that breaks lines between words before they are too long.

    What draws for itself, such as a bar (it moves the cursor, or colours), passes as it is. So does a line that is a
    command to give next.

    Args:
        stream: Of the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, broken into lines."""
        is_drawn = "\x1b" in text or "\r" in text
        self._stream.write(text if is_drawn else "\n".join(map(self._fit, text.split("\n"))))
        return len(text)

    def _fit(self, line: str) -> str:
        return line if _COMMAND.match(line) else wrap(line, self._width)

    def writelines(self, lines: Any) -> None:
        """Write each."""
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
    """Let what is printed fit the terminal, where there is one."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        cast(TextIO, FittingStream(stream)) if stream is not None and stream.isatty() else stream for stream in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before

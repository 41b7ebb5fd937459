"""What a command does when nobody reads its output to the end, as with `| head`."""

import os
import sys
from collections.abc import Callable


def run_quietly(main: Callable[[], int]) -> int:
    """Run a command. A reader that stops before the end of the output is not an error.

    Args:
        main: the command; returns its exit code.
    """
    try:
        code = main()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Otherwise the interpreter prints an error when it flushes the rest of the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0

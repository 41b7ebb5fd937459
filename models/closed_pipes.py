"""What a command does when nobody reads its output to the end, as with `| head`."""

import os
import sys
from collections.abc import Callable


def run_quietly(main: Callable[[], int]) -> int:
    """Run a command; a reader that has seen enough is no fault.

    Args:
        main: The command; gives its exit code.
    """
    try:
        code = main()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The interpreter would complain when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0

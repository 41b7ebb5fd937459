"""The entry point of the command `valar`. Nothing slow is imported before it, so that Ctrl-C is handled at once."""

import os
import sys

#: Exit code after Ctrl-C, as of a shell.
_INTERRUPTED = 130
_UNUSABLE = 2


def main() -> int:
    """Run the command `valar` and return its exit code; an error of the system is printed as one sentence.

    Imports of NumPy, h5py and others take up to some seconds on a busy machine. After Ctrl-C in that time, a traceback
    would not help anyone.
    """
    try:
        from valar.cli import main as run

        code = run()
        sys.stdout.flush()  # here, where the error of a full disk can still be reported
        return code
    except KeyboardInterrupt:
        print("stopped before it began", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        _print_no_more()  # the reader has stopped, as `head` does
        return 0
    except OSError as error:
        from store.explaining import explain
        from store.text import escape

        _print_no_more()
        print(escape(explain(error)), file=sys.stderr)
        return _UNUSABLE


def _print_no_more() -> None:
    """Discard what is not printed yet: otherwise the interpreter tries to print it at its end, and fails again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

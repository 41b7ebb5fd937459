"""What starts when `valar` is typed: nothing stands before this that takes time, so Ctrl-C has an answer at once."""

import os
import sys

#: Exit code after Ctrl-C, as of a shell.
_INTERRUPTED = 130
_UNUSABLE = 2


def main() -> int:
    """Run the command `valar` and return its exit code; whatever the system refuses is a sentence.

    Importing NumPy, h5py and the rest takes up to some seconds on a busy machine; a traceback of wherever Ctrl-C struck
    tells nobody anything.
    """
    try:
        from valar.cli import main as run

        code = run()
        sys.stdout.flush()  # here, where a full disk can still be told
        return code
    except KeyboardInterrupt:
        print("stopped before it began", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        _print_no_more()  # whoever reads has seen enough, as `head` does
        return 0
    except OSError as error:
        from store.explaining import explain
        from store.text import escape

        _print_no_more()
        print(escape(explain(error)), file=sys.stderr)
        return _UNUSABLE


def _print_no_more() -> None:
    """Let go of what is still to be printed: the interpreter would try again when it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

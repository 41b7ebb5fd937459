"""What starts when `valar` is typed: nothing stands before this that takes time, so Ctrl-C has an answer at once."""

import sys

#: Exit code after Ctrl-C, as of a shell.
_INTERRUPTED = 130


def main() -> int:
    """Run the command `valar` and return its exit code.

    Importing NumPy, h5py and the rest takes up to some seconds on a busy machine; a traceback of wherever Ctrl-C struck
    tells nobody anything.
    """
    try:
        from valar.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("stopped before it began", file=sys.stderr)
        return _INTERRUPTED

"""`python -m pipeline COMMAND`: what is asked of the pipeline outside of a run."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from pipeline.errors import UserError
from pipeline.process import explain_interrupt
from pipeline.settings.files import check_overlay
from store.explaining import explain
from store.text import escape

#: Exit code after Ctrl-C, as of a shell.
INTERRUPTED = 130

# Each module has HELP, add_arguments(parser) and run(arguments) -> exit code.
COMMANDS = {
    "evaluate": "pipeline.commands.evaluate",
    "faces": "pipeline.commands.faces",
    "gc": "pipeline.commands.gc",
    "predict": "pipeline.commands.predict",
    "report": "pipeline.commands.report",
    "status": "pipeline.commands.status",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done; 1 something was found wrong; 2 wrong use, or input that cannot be used; 3 (`status`) something is to do;
    130 after Ctrl-C.
    """
    try:
        check_overlay()  # before Luigi is imported, which reads it too
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {}
    for name, path in COMMANDS.items():
        modules[name] = importlib.import_module(path)
        modules[name].add_arguments(subparsers.add_parser(name, help=modules[name].HELP))
    words = sys.argv[1:] if argv is None else argv
    if not words:
        parser.print_help()
        return 2
    arguments = parser.parse_args(words)
    try:
        code = int(modules[arguments.command].run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        explain_interrupt(type(error), error, None)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does; the interpreter would print an error when it flushes the rest.
        _print_no_more()
        return 0
    except OSError as error:
        _print_no_more()
        print(escape(explain(error)), file=sys.stderr)
        return 2
    return code


def _print_no_more() -> None:
    """Discard output that is still buffered: the interpreter would try to write it at its end, and print an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

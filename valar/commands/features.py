"""`valar features`: the features only, the same as `luigi --module pipeline.tasks Features`."""

import argparse

from valar.commands.luigi_task import run_task

HELP = (
    "Compute the features of all clips and train nothing; labels are not needed. `valar status Features` says what "
    "is left to do. You can add options of Luigi. This is the same as `luigi --module pipeline.tasks Features`; "
    "exit codes are those of [retcode] in tasks.cfg."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no argument: the settings say everything."""


def run(arguments: argparse.Namespace) -> int:
    """Run Features."""
    return run_task("Features", arguments.rest)

"""`valar run`: the whole run, the same as `luigi --module pipeline.tasks FullRun`."""

import argparse

from valar.commands.luigi_task import run_task

HELP = (
    "Compute all features, train the three networks and write the report. Finished work is not done again; after a "
    "kill, the same command continues. You can add options of Luigi, such as --workers. This is the same as `luigi "
    "--module pipeline.tasks FullRun`; exit codes are those of [retcode] in tasks.cfg."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no argument: the settings say everything."""


def run(arguments: argparse.Namespace) -> int:
    """Run FullRun."""
    return run_task("FullRun", arguments.rest)

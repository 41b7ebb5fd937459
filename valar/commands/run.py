"""`valar run`: the whole run, the same as `luigi --module pipeline.tasks FullRun`."""

import argparse

from valar.commands.luigi_task import run_task

HELP = (
    "Compute all features, train the three networks and write the report. What is done is not done again; after a "
    "kill the same command goes on. Options of Luigi's may follow, such as --workers. The same as `luigi --module "
    "pipeline.tasks FullRun`; exit codes are those of [retcode] in tasks.cfg."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no argument: what is run stands in the settings."""


def run(arguments: argparse.Namespace) -> int:
    """Run FullRun."""
    return run_task("FullRun", arguments.rest)

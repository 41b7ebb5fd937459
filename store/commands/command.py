"""What the commands of `python -m store` share."""

import argparse
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from store.text import escape_json, escape_lines


class Command(ABC):
    """One command; it has only class methods, and no object of it is made."""

    HELP: ClassVar[str]

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""
        parser.description = cls.HELP
        parser.add_argument("store", type=Path, help="the store's folder, [store] root of tasks.cfg")
        parser.add_argument("--json", action="store_true", help="print plain data for programs")

    @classmethod
    @abstractmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Run the command and return its exit code."""


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """Add the option -v for details, whose lines may be wider than a terminal."""
    parser.add_argument("-v", "--verbose", action="store_true", help="also print the details, such as settings")


def show(arguments: argparse.Namespace, value: Any, text: str) -> None:
    """Print a result as text, or as JSON with --json; control characters are escaped."""
    print(escape_json(json.dumps(value, indent=2, ensure_ascii=False)) if arguments.json else escape_lines(text))

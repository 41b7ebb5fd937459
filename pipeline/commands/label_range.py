"""`--label-range LOW HIGH`, the option of the commands that read labels on a scale of their own."""

import argparse
from collections.abc import Iterable

from pipeline.dataset.utterances import USUAL_RANGE
from pipeline.errors import UserError
from pipeline.settings.parameters import parse_label_range


def add_label_range(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the option; `what` says whose labels, and what becomes of them."""
    parser.add_argument(
        "--label-range",
        nargs=2,
        metavar=("LOW", "HIGH"),
        help=f"the ends of the scale of {what}, such as 1 9 (default: -1 1)",
    )


def read_label_range(arguments: argparse.Namespace) -> tuple[float, float]:
    """Give what the option says.

    Raises:
        UserError: It is not two numbers, the lower one first.
    """
    if arguments.label_range is None:
        return USUAL_RANGE
    return check_label_range(arguments.label_range, "--label-range")


def check_label_range(ends: Iterable[object], called: str = "label_range") -> tuple[float, float]:
    """Give the two ends of a scale as numbers.

    Args:
        ends: What was given.
        called: What to call it in the message.

    Raises:
        UserError: They are not two numbers, the lower one first.
    """
    text = " ".join(map(str, ends))
    try:
        return parse_label_range(text)
    except ValueError as error:
        raise UserError(f"{called} {text}: {error}") from error

"""`--label-range LOW HIGH`, an option of commands that read labels on another scale than -1 to 1."""

import argparse
from collections.abc import Iterable

from pipeline.dataset.utterances import USUAL_RANGE
from pipeline.errors import UserError
from pipeline.settings.parameters import parse_label_range


def add_label_range(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the option.

    Args:
        parser: The command's parser.
        what: Names the labels, for the end of the help text's "the ends of the scale of".
    """
    parser.add_argument(
        "--label-range",
        nargs=2,
        metavar=("LOW", "HIGH"),
        help=f"the ends of the scale of {what}, such as 1 9 (default: -1 1)",
    )


def read_label_range(arguments: argparse.Namespace) -> tuple[float, float]:
    """Give the option's value.

    Raises:
        UserError: The value is not two numbers, the lower one first.
    """
    if arguments.label_range is None:
        return USUAL_RANGE
    return check_label_range(arguments.label_range, "--label-range")


def check_label_range(ends: Iterable[object], called: str = "label_range") -> tuple[float, float]:
    """Give the two ends of a scale as numbers.

    Args:
        ends: The given values.
        called: The option's name in the message.

    Raises:
        UserError: The values are not two numbers, the lower one first.
    """
    text = " ".join(map(str, ends))
    try:
        return parse_label_range(text)
    except ValueError as error:
        raise UserError(f"{called} {text}: {error}") from error

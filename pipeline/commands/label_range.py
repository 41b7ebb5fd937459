"""`--label-range LOW HIGH`, the option of the commands that read labels on a scale of their own."""

import argparse

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
    text = " ".join(arguments.label_range)
    try:
        return parse_label_range(text)
    except ValueError as error:
        raise UserError(f"--label-range {text}: {error}") from error

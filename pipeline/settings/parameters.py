"""Kinds of settings: how each kind is read from a file, checked, and described."""

import math
import operator
import os
import re
from collections.abc import Iterable
from typing import Any

import luigi


def integer(default: int, low: int, high: int, description: str) -> Any:
    """Make a setting that is a whole number from `low` to `high`, both included."""
    return luigi.NumericalParameter(
        default=default, var_type=int, min_value=low, max_value=high, right_op=operator.le, description=description
    )


def number(default: float, low: float, high: float, description: str) -> Any:
    """Make a setting that is a number from `low` to `high`, both included."""
    return luigi.NumericalParameter(
        default=default, var_type=float, min_value=low, max_value=high, right_op=operator.le, description=description
    )


def choice(default: str, choices: Iterable[str], description: str) -> Any:
    """Make a setting that is one of some words."""
    return luigi.ChoiceParameter(default=default, choices=list(choices), description=description)


def text(default: str, description: str) -> Any:
    """Make a setting that is any text."""
    return luigi.Parameter(default=default, description=description)


class PathParameter(luigi.Parameter[str]):
    """A path; `~` or `~name` at its beginning is a user's home folder."""

    def parse(self, x: str) -> str:
        """Return the path with `~` replaced by the home folder."""
        path = os.path.expanduser(x)  # noqa: PTH111 (a Path would change how the rest is written)
        if path.startswith("~"):
            raise ValueError(
                f"there is no home folder for {x.partition('/')[0]}; write ./{x} if you mean a folder of this name"
            )
        return path


def path(default: str, description: str) -> Any:
    """Make a setting that is a path."""
    return PathParameter(default=default, description=description)


def switch(default: bool, description: str) -> Any:
    """Make a setting that is true or false."""
    return luigi.BoolParameter(default=default, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description=description)


class Epochs(luigi.Parameter[tuple[int, ...]]):
    """Epochs as whole numbers with commas between them."""

    def parse(self, x: str) -> tuple[int, ...]:
        """Read the epochs from the text of a file."""
        return tuple(int(part) for part in str(x).split(",") if part.strip())

    def serialize(self, x: tuple[int, ...]) -> str:
        """Write the epochs as the text of a file."""
        return ",".join(map(str, x))


def parse_label_range(text: str) -> tuple[float, float]:
    """Read two numbers, the lower one first.

    Raises:
        ValueError: The text is not two finite numbers, or the first is not below the second.
    """
    try:
        low, high = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError("it must be two numbers, the lower and the upper end of the labels' scale, such as 1 9")
    return low, high


class LabelRange(luigi.Parameter[tuple[float, float]]):
    """The lower and the upper end of the labels' scale: two numbers, the lower one first."""

    def parse(self, x: str) -> tuple[float, float]:
        """Read the two numbers from the text of a file."""
        return parse_label_range(x)

    def serialize(self, x: tuple[float, float]) -> str:
        """Write the two numbers as the text of a file."""
        return " ".join(f"{number:g}" for number in x)


def epochs(default: tuple[int, ...], description: str) -> Any:
    """Make a setting that is a list of epochs."""
    return Epochs(default=default, description=description)


def say_value(value: Any) -> str:
    """Write a value as in tasks.cfg."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and all(isinstance(each, float) for each in value) and value:
        return " ".join(f"{each:g}" for each in value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def say_limits(parameter: Any) -> str:
    """Say which values a setting may have."""
    if isinstance(parameter, luigi.BoolParameter):
        return "true, false"
    if isinstance(parameter, luigi.ChoiceParameter):
        return ", ".join(sorted(parameter._choices))
    if isinstance(parameter, luigi.NumericalParameter):
        return f"{parameter._min_value:g} to {parameter._max_value:.10g}"
    if isinstance(parameter, Epochs):
        return "whole numbers with commas between them"
    if isinstance(parameter, LabelRange):
        return "two numbers, the lower one first"
    return "a path" if isinstance(parameter, PathParameter) else "text"


def say_meaning(parameter: Any) -> str:
    """Return a setting's description without the limits that Luigi adds to it."""
    return re.sub(r" *(permitted values: .*|Choices: \{.*\})$", "", parameter.description)

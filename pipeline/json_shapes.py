"""Types that the JSON files of a folder of runs must have; they are checked before a file's content is used."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from store.json_files import check_integer, check_list, check_object, check_text

#: Called with a value and its name in messages; raises ValueError if the value has another type.
Shape = Callable[[Any, str], None]

_LARGEST = 1e300
# A name becomes part of a file's name.
_NAME = re.compile(r"[A-Za-z0-9_][\w-]{0,63}", re.ASCII)


def text(value: Any, what: str) -> None:
    """Ask for text."""
    check_text(value, what)


def flag(value: Any, what: str) -> None:
    """Ask for true or false."""
    if type(value) is not bool:
        raise ValueError(f"{what} is {str(value)[:40]!r}, it must be true or false")


def count(value: Any, what: str) -> None:
    """Ask for a whole number that is not negative."""
    check_integer(value, what, 0)


def number(value: Any, what: str) -> None:
    """Ask for a finite number."""
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        raise ValueError(f"{what} is {str(value)[:40]!r}, it must be a number")


def number_or_none(value: Any, what: str) -> None:
    """Ask for a finite number, or null for one that is undefined."""
    if value is not None:
        number(value, what)


def any_object(value: Any, what: str) -> None:
    """Ask for an object with any content."""
    check_object(value, what)


def list_of(shape: Shape) -> Shape:
    """Make a shape: a list, each entry of one shape."""

    def check(value: Any, what: str) -> None:
        for place, entry in enumerate(check_list(value, what)):
            shape(entry, f"{what}[{place}]")

    return check


def tuple_of(*shapes: Shape) -> Shape:
    """Make a shape: a list of as many entries as there are shapes, each of its own."""

    def check(value: Any, what: str) -> None:
        entries = check_list(value, what)
        if len(entries) != len(shapes):
            raise ValueError(f"{what} has {len(entries)} entries, it must have {len(shapes)}")
        for place, (entry, shape) in enumerate(zip(entries, shapes, strict=True)):
            shape(entry, f"{what}[{place}]")

    return check


def by_name(shape: Shape) -> Shape:
    """Make a shape: an object of any names, each value of one shape."""

    def check(value: Any, what: str) -> None:
        for name, entry in check_object(value, what).items():
            shape(entry, f"{what}.{name[:40]}")

    return check


def by_plain_name(shape: Shape) -> Shape:
    """Make a shape: as `by_name`, of names that may be part of a file's name."""

    def check(value: Any, what: str) -> None:
        for name in check_object(value, what):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{what} has the name {name[:40]!r}, it must be letters, digits, _ and -")
        by_name(shape)(value, what)

    return check


def object_of(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """Make a shape: an object with these entries; other entries are not checked.

    Args:
        required: entries that must be there.
        optional: entries that may be.
    """

    def check(value: Any, what: str) -> None:
        entries = check_object(value, what)
        for name, shape in required.items():
            if name not in entries:
                raise ValueError(f"{what} has no {name}")
            shape(entries[name], f"{what}.{name}")
        for name, shape in (optional or {}).items():
            if name in entries:
                shape(entries[name], f"{what}.{name}")

    return check

"""Which names are valid in a store: every name from a file is checked, since names become paths (FORMAT.md, 1)."""

import re
from collections.abc import Callable, Sequence
from typing import Any

# Control characters (C0, DEL, C1) and lone surrogates, which no UTF-8 holds.
_REFUSED = "\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff"
_PART = rf"(?!\.{{1,2}}(?:[/\n]|\Z))[^/{_REFUSED}]+"
_UTTERANCE = re.compile(rf"{_PART}/{_PART}")
_RELATIVE = re.compile(rf"{_PART}(?:/{_PART})*")
# A whole column of names, one a line: no name has a newline.
_UTTERANCES = re.compile(rf"(?:{_UTTERANCE.pattern}\n)*+")
_RELATIVES = re.compile(rf"(?:{_RELATIVE.pattern}\n)*+")
_FILE = re.compile(rf"(?!\.)[^/{_REFUSED}]+")
_ID = re.compile(r"[0-9a-f]{1,64}")
_LONGEST = 4096


def check_utterance(value: Any) -> str:
    """Return an utterance's name if it is valid: `video/utterance`, no `.` or `..`, no control characters.

    Raises:
        ValueError: It is not.
    """
    return _check(value, _UTTERANCE, "an utterance", "video/utterance without `..` and control characters")


def check_utterances(values: Sequence[Any]) -> None:
    """Check a column of utterances' names as one text: a tenth of the time that a call for each takes.

    Raises:
        ValueError: A name is not valid; see `check_utterance`.
    """
    _check_column(values, _UTTERANCES, check_utterance)


def check_relative_paths(values: Sequence[Any]) -> None:
    """Check a column of paths as one text; see `check_utterances`.

    Raises:
        ValueError: A path is not valid; see `check_relative_path`.
    """
    _check_column(values, _RELATIVES, check_relative_path)


def check_relative_path(value: Any) -> str:
    """Return a path if it stays below the folder that it is relative to.

    Raises:
        ValueError: It is absolute, leaves the folder, or has control characters.
    """
    return _check(value, _RELATIVE, "a path", "relative, without `..` and control characters")


def check_run(value: Any) -> str:
    """Return a run's name if it is valid as a file's name: one part, no leading dot.

    Raises:
        ValueError: It is not.
    """
    return _check(value, _FILE, "a run", "a plain file name")


def check_id(value: Any) -> str:
    """Return a shard's id or a fingerprint if it is hexadecimal.

    Raises:
        ValueError: It is not.
    """
    return _check(value, _ID, "an id", "1 to 64 of the digits 0-9 and a-f")


def is_id(value: str) -> bool:
    """Tell whether a file's or folder's name may be a shard's id or a fingerprint."""
    return _ID.fullmatch(value) is not None


def _check(value: Any, pattern: re.Pattern[str], what: str, rule: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or pattern.fullmatch(value) is None:
        shown = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        raise ValueError(
            f"{shown[:200]}{'…' if len(shown) > 200 else ''} is not a valid name of {what}: it must be {rule}"
        )
    return value


def _check_column(values: Sequence[Any], pattern: re.Pattern[str], check: Callable[[Any], str]) -> None:
    if {*map(type, values)} <= {str} and max(map(len, values), default=0) <= _LONGEST:
        text = "".join([f"{value}\n" for value in values])
        if text.count("\n") == len(values) and pattern.fullmatch(text):
            return
    for value in values:
        check(value)

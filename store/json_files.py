"""Reading the store's JSON files: types, lengths and names are checked here, before anything uses what a file says."""

import contextlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from store.errors import StoreError, check_version

#: Bytes; the listing of ten million utterances has fewer.
_LARGEST_FILE = 1 << 30
_LARGEST_INTEGER = (1 << 63) - 1
_LONGEST_TEXT = 1 << 16


@contextlib.contextmanager
def reading_json(path: Path, known_version: int | None, next_step: str) -> Iterator[dict[str, Any]]:
    """Give the object in a JSON file; errors that the block finds in it become errors that name the file.

    Args:
        path: The file.
        known_version: The latest `format_version` that the caller reads; None for files that have none.
        next_step: What the user can do about a damaged file; the end of the message.

    Raises:
        FileNotFoundError: There is no such file.
        StoreError: It cannot be read, is damaged, or is of a later version.
    """
    try:
        value = parse_json(_read(path))
        if known_version is not None:
            check_version(path, check_integer(value["format_version"], "format_version", 0), known_version)
        yield value
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error})") from error
    except KeyError as error:
        raise StoreError(f"{path} is damaged (it has no {error}); {next_step}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"{path} is damaged ({error}); {next_step}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; the caller checks its content and words the errors.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: It does not contain a JSON object.
    """
    return parse_json(_read(path))


def _read(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would never end
        raise ValueError("it is not a file")
    if status.st_size > _LARGEST_FILE:
        raise ValueError(f"it has {status.st_size} bytes; at most {_LARGEST_FILE} are read")
    return path.read_bytes()


def parse_json(data: bytes | str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: It is not JSON, not an object, not UTF-8, nested too deeply, or has NaN or an infinity.
    """
    try:
        value = json.loads(data if isinstance(data, str) else data.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"it contains a {type(value).__name__}; it must contain an object")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def check_integer(value: Any, what: str, lowest: int = -_LARGEST_INTEGER) -> int:
    """Return a value that is an integer of 64 bits, not below `lowest`.

    Raises:
        ValueError: It is not.
    """
    if type(value) is not int or not lowest <= value <= _LARGEST_INTEGER:
        raise ValueError(f"{what} is {_shown(value)}, it must be a whole number from {lowest} to {_LARGEST_INTEGER}")
    return value


def check_integers(values: Any, what: str, each: str, lowest: int = -_LARGEST_INTEGER) -> list[int]:
    """Return a value that is a list of integers of 64 bits, not below `lowest`.

    Args:
        values: The value.
        what: What the list is called in messages.
        each: What one of its values is called in messages.
        lowest: The least value that is allowed.

    Raises:
        ValueError: It is not.
    """
    found = check_list(values, what)
    if {*map(type, found)} <= {int} and (not found or (lowest <= min(found) and max(found) <= _LARGEST_INTEGER)):
        return found
    return [check_integer(value, each, lowest) for value in found]


def check_text(value: Any, what: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a value that is text of at most `longest` characters, without NUL.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise ValueError(f"{what} is {_shown(value)}, it must be text of at most {longest} characters")
    value.encode()  # a lone surrogate is no text
    return value


def check_list(value: Any, what: str) -> list[Any]:
    """Return a value that is a list.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, list):
        raise ValueError(f"{what} is {_shown(value)}, it must be a list")
    return value


def check_object(value: Any, what: str) -> dict[str, Any]:
    """Return a value that is an object.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {_shown(value)}, it must be an object")
    return value


def _shown(value: Any) -> str:
    text = f"a {type(value).__name__}" if isinstance(value, list | dict) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"

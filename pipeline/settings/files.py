"""Files of settings, read and checked without Luigi.

Luigi reads the overlay when it is imported, and a faulty file would end in a traceback there.
"""

import codecs
import configparser
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import UserError

#: The overlay in a user's own folder: commands that are started in that folder find it by this name.
FILE_NAME = "valar.cfg"
#: The environment variable that names the overlay; Luigi reads that file too, when it is imported.
OVERLAY_VARIABLE = "LUIGI_CONFIG_PATH"
#: The variable that names an overlay that Luigi cannot read, because the file begins with a byte order mark.
HELD_BACK_VARIABLE = "VALAR_OVERLAY"


def find_overlay() -> Path | None:
    """Give the overlay's path, or None where no overlay is named."""
    named = os.environ.get(OVERLAY_VARIABLE) or os.environ.get(HELD_BACK_VARIABLE)
    return Path(named).expanduser() if named else None


def name_overlay(command: str) -> str:
    """Add this process's overlay to a command that a person may copy; the next process would not know of it.

    Args:
        command: Begins with the word valar.
    """
    overlay = find_overlay()
    if overlay is None or overlay == Path(FILE_NAME):
        return command
    return f"valar --config {shlex.quote(str(overlay))}{command.removeprefix('valar')}"


def check_overlay() -> None:
    """Check the overlay before Luigi is imported; a command calls this first.

    Some editors write a byte order mark at the beginning of a file. Luigi would fail on such an overlay, so it is
    hidden from Luigi, and `config.load` reads it.

    Raises:
        UserError: The overlay does not exist or cannot be read.
    """
    overlay = find_overlay()
    if overlay is None:
        return
    read_settings(overlay)
    if OVERLAY_VARIABLE in os.environ and overlay.read_bytes().startswith(codecs.BOM_UTF8):
        os.environ[HELD_BACK_VARIABLE] = os.environ.pop(OVERLAY_VARIABLE)


def read_settings(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Read a file of settings: section to option to text, unchanged.

    Raises:
        UserError: The file does not exist, is not UTF-8, or is not made of sections and options; the message names the
            line.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        parser.read_string(_read_text(path), str(path))
    except configparser.Error as error:
        raise UserError(f"{path}{_explain(error)}") from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist; correct {OVERLAY_VARIABLE} or run from the repository's root"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; correct {OVERLAY_VARIABLE} or its rights") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise UserError(f"{path} is UTF-16 or not a text; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from error


def _explain(error: configparser.Error) -> str:
    """Say where the fault is and what it is: the end of a sentence that begins with the file's path."""
    if isinstance(error, configparser.DuplicateOptionError):
        return f":{error.lineno}: {error.option} of [{error.section}] occurs twice; keep one"
    if isinstance(error, configparser.DuplicateSectionError):
        return f":{error.lineno}: [{error.section}] occurs twice; keep one"
    if isinstance(error, configparser.MissingSectionHeaderError):
        text = repr(error.line.strip())
        return f":{error.lineno}: {text} is before the first section; write [run] or another section above it"
    if isinstance(error, configparser.ParsingError):
        line, text = error.errors[0]
        return f":{line}: {text} is neither `option = value` nor a [section]"
    return f" cannot be read: {error}"

"""Which files of settings count: found and checked before Luigi is imported, which reads them at once."""

import configparser
import os
from pathlib import Path

#: The settings of a folder of the user's own.
FILE_NAME = "valar.cfg"
#: Where Luigi looks for an overlay.
OVERLAY_VARIABLE = "LUIGI_CONFIG_PATH"


class SettingsError(Exception):
    """A file of settings is not there or cannot be read; the message says which and where."""


def use_settings(named: str | None = None) -> Path | None:
    """Choose the overlay of this process: the one named, else LUIGI_CONFIG_PATH's, else valar.cfg of this folder.

    Returns:
        The file, or None where there is none and tasks.cfg alone counts.

    Raises:
        SettingsError: The file is not there or is no file of settings.
    """
    variable = os.environ.get(OVERLAY_VARIABLE)
    if named is None and not variable and Path(FILE_NAME).is_file():
        named = FILE_NAME
    path = Path(named or variable or "")
    if not (named or variable):
        return None
    what = "--config" if named and named != FILE_NAME else OVERLAY_VARIABLE if not named else ""
    if not path.is_file():
        raise SettingsError(f"{what} {path} does not exist; name a file of settings".strip())
    read_file(path)
    os.environ[OVERLAY_VARIABLE] = str(path)
    return path


def read_file(path: Path) -> configparser.ConfigParser:
    """Read a file of settings as it is.

    Raises:
        SettingsError: It is no file of settings; says the line.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except configparser.MissingSectionHeaderError as error:
        raise SettingsError(
            f"{path}:{error.lineno}: {error.line.strip()!r} stands before any section; write [run] or the like above it"
        ) from error
    except configparser.ParsingError as error:
        line, text = error.errors[0]
        raise SettingsError(f"{path}:{line}: {text} is neither `option = value` nor a [section]") from error
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        what = f"[{error.section}]"
        if isinstance(error, configparser.DuplicateOptionError):
            what = f"{error.option} of {what}"
        raise SettingsError(f"{path}:{error.lineno}: {what} is there twice; keep one") from error
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    return parser


def find_store() -> Path:
    """Give the folder of the store: `[store] root` of the overlay, else of tasks.cfg.

    Raises:
        SettingsError: As `use_settings`.
    """
    overlay = use_settings()
    from pipeline.config import TASKS_CFG, find_tasks_cfg

    for path in filter(None, (overlay, find_tasks_cfg())):
        root = read_file(path).get("store", "root", fallback=None)
        if root is not None:
            return Path(root)
    raise SettingsError(f"neither {TASKS_CFG} nor {FILE_NAME} has [store] root; name the store's folder")

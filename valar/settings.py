"""The settings file that counts: found and checked before Luigi is imported, because Luigi reads it at its import."""

import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import UserError
from pipeline.settings.files import (
    FILE_NAME,
    HELD_BACK_VARIABLE,
    OVERLAY_VARIABLE,
    check_overlay,
    find_overlay,
    read_settings,
)

#: The folder whose valar.cfg this process uses; if the process changes its folder, the new folder's valar.cfg counts.
_found_in: list[Path] = []


class SettingsError(Exception):
    """A settings file is missing or cannot be read; the message says which, and at which line."""


def use_settings(named: str | None = None) -> Path | None:
    """Choose the overlay of this process: the named file, else that of LUIGI_CONFIG_PATH, else this folder's valar.cfg.

    Returns:
        The file, or None if there is none and only tasks.cfg counts.

    Raises:
        SettingsError: The file is missing or is not a settings file.
    """
    _forget_other_folder()
    overlay = find_overlay()
    variable = "" if overlay is None else str(overlay)
    if named is None and not variable and Path(FILE_NAME).is_file():
        named = FILE_NAME
        _found_in.append(Path.cwd())
    path = Path(named or variable or "")
    if not (named or variable):
        return None
    what = "--config" if named and named != FILE_NAME else OVERLAY_VARIABLE if not named else ""
    if not path.is_file():
        raise SettingsError(f"{what} {path} does not exist; name a file of settings".strip())
    read_file(path)
    os.environ[OVERLAY_VARIABLE] = str(path)
    check_overlay()  # hides a file with a byte order mark from Luigi, which cannot read it
    return path


def _forget_other_folder() -> None:
    """Forget a valar.cfg that was found in a folder which this process has left: the user did not name it."""
    if not _found_in or _found_in[-1] == Path.cwd():
        return
    _found_in.clear()
    for variable in (OVERLAY_VARIABLE, HELD_BACK_VARIABLE):
        if os.environ.get(variable) == FILE_NAME:
            del os.environ[variable]


def read_file(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Read a settings file without interpreting it: section to option to text.

    Raises:
        SettingsError: It is not a settings file; the message names the line.
    """
    try:
        return read_settings(path)
    except UserError as error:
        raise SettingsError(str(error)) from error


def check_folder(section: str, option: str) -> None:
    """Refuse a current folder with neither settings nor the path that tasks.cfg names: mostly it is the wrong folder.

    Without this check, the message would name the first thing that is missing, such as weights.

    Args:
        section: Section of tasks.cfg.
        option: Its option whose path must exist.

    Raises:
        SettingsError: The path does not exist; says what to do.
    """
    if use_settings() is not None:
        return
    from pipeline.settings.config import TASKS_CFG, find_tasks_cfg

    path = Path(read_file(find_tasks_cfg()).get(section, {}).get(option, "")).expanduser()
    if not path.exists():
        raise SettingsError(
            f"{Path.cwd()} has no {FILE_NAME}, and {TASKS_CFG} alone means {path}, which does not exist; go to the "
            f"folder of your {FILE_NAME}, or write one: valar init CLIPS"
        )


def find_store() -> Path:
    """Return the folder of the store: `[store] root` of the overlay, else of tasks.cfg.

    Raises:
        SettingsError: As in `use_settings`; or no file has `[store] root`.
    """
    overlay = use_settings()
    from pipeline.settings.config import TASKS_CFG, find_tasks_cfg

    for path in filter(None, (overlay, find_tasks_cfg())):
        root = read_file(path).get("store", {}).get("root")
        if root is not None:
            return Path(root).expanduser()
    raise SettingsError(f"neither {TASKS_CFG} nor {FILE_NAME} has [store] root; name the store's folder")

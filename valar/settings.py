"""Which files of settings count: found and checked before Luigi is imported, which reads them at once."""

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

#: The folder whose valar.cfg this process has named to Luigi; another folder's counts where the process has gone there.
_found_in: list[Path] = []


class SettingsError(Exception):
    """A file of settings is not there or cannot be read; the message says which and where."""


def use_settings(named: str | None = None) -> Path | None:
    """Choose the overlay of this process: the one named, else LUIGI_CONFIG_PATH's, else valar.cfg of this folder.

    Returns:
        The file, or None where there is none and tasks.cfg alone counts.

    Raises:
        SettingsError: The file is not there or is no file of settings.
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
    check_overlay()  # one with a byte order mark is kept from Luigi, which stops there
    return path


def _forget_other_folder() -> None:
    """Take back the valar.cfg that was found in a folder where this process no longer is: the user named none."""
    if not _found_in or _found_in[-1] == Path.cwd():
        return
    _found_in.clear()
    for variable in (OVERLAY_VARIABLE, HELD_BACK_VARIABLE):
        if os.environ.get(variable) == FILE_NAME:
            del os.environ[variable]


def read_file(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Read a file of settings as it is: section to option to text.

    Raises:
        SettingsError: It is no file of settings; says the line.
    """
    try:
        return read_settings(path)
    except UserError as error:
        raise SettingsError(str(error)) from error


def check_folder(option: str = "[dataset] videos") -> None:
    """Refuse a folder in which there are neither settings nor what tasks.cfg names: mostly it is the wrong folder.

    Args:
        option: What of tasks.cfg would have to be there.

    Raises:
        SettingsError: Says what to do. Without it, the first that is missing is told, such as weights to be fetched.
    """
    if use_settings() is not None:
        return
    from pipeline.settings.config import TASKS_CFG, find_tasks_cfg

    section, name = option.strip("[").split("] ")
    path = Path(read_file(find_tasks_cfg()).get(section, {}).get(name, "")).expanduser()
    if not path.exists():
        raise SettingsError(
            f"{Path.cwd()} has no {FILE_NAME}, and {TASKS_CFG} alone means {path}, which does not exist; go to the "
            f"folder of your {FILE_NAME}, or write one: valar init CLIPS"
        )


def find_store() -> Path:
    """Give the folder of the store: `[store] root` of the overlay, else of tasks.cfg.

    Raises:
        SettingsError: As `use_settings`.
    """
    overlay = use_settings()
    from pipeline.settings.config import TASKS_CFG, find_tasks_cfg

    for path in filter(None, (overlay, find_tasks_cfg())):
        root = read_file(path).get("store", {}).get("root")
        if root is not None:
            return Path(root).expanduser()
    raise SettingsError(f"neither {TASKS_CFG} nor {FILE_NAME} has [store] root; name the store's folder")

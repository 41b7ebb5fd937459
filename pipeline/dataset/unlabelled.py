"""Clips without labels, found by looking into a folder."""

import os
import unicodedata
from pathlib import Path

from pipeline.dataset.utterances import NO_CLIP_ENDINGS, Dataset, Utterance
from pipeline.errors import UserError

#: Name of the split that they make up.
UNLABELLED = "unlabelled"


def list_unlabelled(folder: Path) -> tuple[Path, Dataset]:
    """List the clips `<folder>/<video>/<clip>`; or, where the folder itself holds them, `<folder>/<clip>`.

    Returns:
        The folder of videos in the sense of the data set (that of the folders of clips), and its utterances, sorted.
        Names that are not UTF-8, or have control characters, are left out with a warning: no file of results could
        hold them.

    Raises:
        UserError: There is no such folder, its name is not UTF-8, it holds no clip, or clips on both levels, or two
            differ only in their ending.
    """
    if not folder.is_dir():
        raise UserError(f"--videos {folder} is no folder; name one that holds clips, or folders of clips")
    folder = folder.resolve()
    if _fault(str(folder)):
        raise UserError(f"--videos {_shown(str(folder))} {_fault(str(folder))}; rename the folder")
    direct = _list_files(folder)
    nested = [(entry, name) for entry in _list_folders(folder) for name in _list_files(folder / entry)]
    if direct and nested:
        raise UserError(
            f"{folder} holds clips ({direct[0]}) and folders of clips ({nested[0][0]}/{nested[0][1]}); "
            "keep one kind, since a clip's name is that of its folder and its own"
        )
    pairs = nested or [(folder.name, name) for name in direct]
    warnings = tuple(
        f"{folder}: {_shown(f'{video}/{name}')} is left out: its name {_fault(video + name)}; rename it"
        for video, name in pairs
        if _fault(video + name)
    )
    pairs = [(video, name) for video, name in pairs if not _fault(video + name)]
    if warnings and not pairs:
        raise UserError("\n".join(warnings))
    if not pairs:
        raise UserError(f"{folder} holds no clips; expected {folder.name}/CLIP or {folder.name}/VIDEO/CLIP")
    utterances = tuple(
        Utterance(video, name, UNLABELLED, None, None, None, None, None, folder, 0) for video, name in pairs
    )
    _refuse_twins(utterances)
    return folder if nested else folder.parent, Dataset(utterances, warnings)


def _refuse_twins(utterances: tuple[Utterance, ...]) -> None:
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        twin = first.setdefault(utterance.name, utterance)
        if twin is not utterance:
            raise UserError(
                f"{twin.video}/{twin.utterance} and {utterance.video}/{utterance.utterance} differ only in their "
                "ending, so they would be one clip; rename one"
            )


def _fault(name: str) -> str:
    """Say what is wrong with a name on the disk, "" for nothing; Python keeps bytes that are no UTF-8 as surrogates."""
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "is not UTF-8"
    return "has control characters" if any(unicodedata.category(c) == "Cc" for c in name) else ""


def _shown(name: str) -> str:
    """Return a name as it can be printed: control characters, and bytes that are no UTF-8, as their numbers."""
    text = os.fsencode(name).decode("utf-8", errors="backslashreplace")
    return "".join(f"\\x{ord(c):02x}" if unicodedata.category(c) == "Cc" else c for c in text)


def _list_files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_file()
            and not entry.name.startswith(".")
            and Path(entry.name).suffix.lower() not in NO_CLIP_ENDINGS
        )


def _list_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))

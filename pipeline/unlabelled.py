"""Clips without labels, found by looking into a folder."""

import os
from pathlib import Path

from pipeline.dataset import NO_CLIP_ENDINGS, Dataset, Utterance
from pipeline.errors import UserError

#: Name of the split that they make up.
UNLABELLED = "unlabelled"


def list_unlabelled(folder: Path) -> tuple[Path, Dataset]:
    """List the clips `<folder>/<video>/<clip>`; or, where the folder itself holds them, `<folder>/<clip>`.

    Returns:
        The folder of videos in the sense of the data set (that of the folders of clips), and its utterances, sorted.

    Raises:
        UserError: There is no such folder, it holds no clip, or clips on both levels, or two differ only in their
            ending.
    """
    if not folder.is_dir():
        raise UserError(f"--videos {folder} is no folder; name one that holds clips, or folders of clips")
    folder = folder.resolve()
    direct = _list_files(folder)
    nested = [(entry, name) for entry in _list_folders(folder) for name in _list_files(folder / entry)]
    if direct and nested:
        raise UserError(
            f"{folder} holds clips ({direct[0]}) and folders of clips ({nested[0][0]}/{nested[0][1]}); "
            "keep one kind, since a clip's name is that of its folder and its own"
        )
    if not direct and not nested:
        raise UserError(f"{folder} holds no clips; expected {folder.name}/CLIP or {folder.name}/VIDEO/CLIP")
    pairs = nested or [(folder.name, name) for name in direct]
    utterances = tuple(
        Utterance(video, name, UNLABELLED, None, None, None, None, None, folder, 0) for video, name in pairs
    )
    _refuse_twins(utterances)
    return folder if nested else folder.parent, Dataset(utterances, ())


def _refuse_twins(utterances: tuple[Utterance, ...]) -> None:
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        twin = first.setdefault(utterance.name, utterance)
        if twin is not utterance:
            raise UserError(
                f"{twin.video}/{twin.utterance} and {utterance.video}/{utterance.utterance} differ only in their "
                "ending, so they would be one clip; rename one"
            )


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

"""The name under which TensorBoard shows a training: network, seed and time of its beginning, instead of a digest."""

import os
from datetime import datetime
from pathlib import Path

from store import files

#: The folder of all trainings' curves, in `[run] root`.
FOLDER = "tensorboard"
#: A link in the folder of a training's checkpoints, to the folder of its curves.
LINK = "curves"


def find_curves(root: Path, checkpoints: Path, name: str, now: datetime) -> Path:
    """Give the folder of a training's curves: the existing one, or a new one.

    Args:
        root: `[run] root`.
        checkpoints: folder of the training's checkpoints.
        name: the beginning of a new folder's name, such as "ANet, seed 0"; the time is added.
        now: when the training begins.
    """
    link = checkpoints / LINK
    if link.is_symlink() and link.is_dir():
        return link.resolve()
    whole = f"{name}, {now:%Y-%m-%d %H.%M}"
    tries = (root / FOLDER / (whole if number == 1 else f"{whole} ({number})") for number in range(1, 10_000))
    folder = next(path for path in tries if not path.exists())
    folder.mkdir(parents=True)
    files.point_link(link, Path(os.path.relpath(folder, checkpoints)))
    return folder

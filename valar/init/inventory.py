"""The content of a folder of clips: which files are clips, and in which folders they are."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.names import is_media_ending
from pipeline.dataset.utterances import utterance_name
from pipeline.errors import UserError
from store.text import escape

#: Number of levels below the given folder that are searched for clips.
_DEEPEST = 4


@dataclass(frozen=True)
class Inventory:
    """The clips below a folder.

    Args:
        videos: `[dataset] videos`: the folder that holds the folders of clips.
        clips: (video, utterance) of each, sorted.
        is_flat: Whether all clips are in one folder; its name is then the video of all.
        csv_files: CSV files found beside the clips.
        others: Names of files that are not clips.
    """

    videos: Path
    clips: tuple[tuple[str, str], ...]
    is_flat: bool
    csv_files: tuple[Path, ...]
    others: tuple[str, ...]


def look_into(folder: Path) -> Inventory:
    """Find the clips below a folder: all are in the folder itself (flat), or all in folders of one level (nested).

    Raises:
        UserError: There is no such folder, it holds no clip or clips on several levels, two clips differ only in their
            ending, or a name cannot be written to valar.cfg.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that contains clips, or folders of clips")
    clips: list[Path] = []
    csv_files: list[Path] = []
    others: list[str] = []
    for path in _walk(folder):
        ending = path.suffix.lower()
        target: list[Path] = csv_files if ending == ".csv" else clips
        if ending == ".csv" or is_media_ending(ending):
            target.append(path)
        else:
            others.append(str(path))
    if not clips:
        raise UserError(f"{folder} holds no clip: no file below it ends like one, such as .mp4 or .wav")
    depths = Counter(len(path.parts) for path in clips)
    if len(depths) > 1:
        examples = [next(path for path in clips if len(path.parts) == depth) for depth in sorted(depths)]
        raise UserError(
            f"{folder} holds clips on {len(depths)} levels ({', '.join(map(str, examples))}); keep one: "
            "either all in one folder, or each in a folder of its video or speaker"
        )
    return _describe(folder, clips, tuple(folder / path for path in csv_files), tuple(others))


def _describe(folder: Path, clips: list[Path], csv_files: tuple[Path, ...], others: tuple[str, ...]) -> Inventory:
    holders = {path.parent for path in clips}
    if len({holder.parent for holder in holders}) > 1:
        first, second = sorted(holders)[:: max(1, len(holders) - 1)][:2]
        raise UserError(
            f"{folder} holds clips in {first} and {second}: name the folder whose folders hold the clips, once for each"
        )
    is_flat = holders == {Path()}
    videos = folder.resolve().parent if is_flat else folder / next(iter(holders)).parent
    if is_flat and not folder.is_absolute() and ".." not in folder.parts and folder.parts:
        videos = folder.parent  # as the user wrote it
    for path in (folder, videos):
        # The path becomes a line of valar.cfg: a line break in it could add other settings, such as a program to run.
        if not str(path).isprintable() or str(path) != str(path).strip():
            raise UserError(
                f"{escape(str(path))!r} has control characters, or a space at an end, and cannot stand in valar.cfg; "
                "rename the folder"
            )
    pairs = sorted((path.parent.name or folder.resolve().name, path.name) for path in clips)
    first_of: dict[str, str] = {}
    for video, name in pairs:
        twin = first_of.setdefault(utterance_name(video, name), name)
        if twin != name:
            raise UserError(
                f"{video}/{twin} and {video}/{name} differ only in their ending, so they would be one clip; rename one"
            )
    return Inventory(videos, tuple(pairs), is_flat, csv_files, others)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, relative to it, sorted; hidden ones are left out."""
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if len(here.parts) < _DEEPEST else []
        yield from (here / name for name in sorted(names) if not name.startswith("."))

"""Clips without labels, found by looking into a folder."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.dataset.names import find_fault, is_media, rank_as_clip, show, strip_ending
from pipeline.dataset.utterances import Dataset, Utterance
from pipeline.errors import UserError
from store.text import format_count

#: Name of the split of these clips.
UNLABELLED = "unlabelled"
# Number of first bytes that tell a file's kind.
_HEAD_BYTES = 512


def list_unlabelled(folder: Path) -> tuple[Path, Dataset]:
    """List the clips `<folder>/<video>/<clip>`; or, if the folder itself holds them, `<folder>/<clip>`.

    A clip is a file with an ending of video or sound, or a file with an unknown ending that begins like one. If two
    differ only in their ending, the video counts and not the sound. Of two such videos none counts: they are listed
    once, without an ending, and it is not known which file is meant.

    Returns:
        The folder of videos in the sense of the data set (that of the folders of clips), and its utterances, sorted.
        Left out with a warning: names that are not UTF-8 or have control characters, since no file of results can
        hold them; files that are neither video nor sound; and folders that cannot be read.

    Raises:
        UserError: There is no such folder, its name is not UTF-8, or it holds no clip, or clips on both levels.
    """
    if not folder.is_dir():
        raise UserError(f"--videos {folder} is not a folder; name one that contains clips, or folders of clips")
    folder = folder.resolve()
    if fault := find_fault(str(folder)):
        raise UserError(f"--videos {show(folder)} {fault}; rename the folder")
    top, below = _Listing(), _Listing()
    top.list_files(folder, "")
    for name in top.folders:
        below.list_files(folder / name, f"{name}/")
    direct, nested = top.clips, below.clips
    if direct and nested:
        raise UserError(
            f"{folder} contains clips ({direct[0]}) and folders of clips ({nested[0]}); keep one kind, because a "
            "clip's name consists of its folder's and its own"
        )
    pairs = [(folder.name, name) for name in direct] or [(video, name) for video, _, name in map(_partition, nested)]
    warnings = [
        f"{folder}: {show(f'{video}/{name}')} is left out: its name {find_fault(video + name)}; rename it"
        for video, name in pairs
        if find_fault(video + name)
    ]
    pairs = [(video, name) for video, name in pairs if not find_fault(video + name)]
    warnings += [f"{folder}: {sentence}" for sentence in (*top.faults, *below.faults)]
    warnings += _tell_left_out(folder, [*top.left_out, *below.left_out])
    if not pairs:
        expected = f"{folder} contains no clips; expected {folder.name}/CLIP or {folder.name}/VIDEO/CLIP"
        raise UserError("\n".join([*warnings, *([] if warnings else [expected])]))
    utterances, told = _list_utterances(folder, pairs)
    return folder if nested else folder.parent, Dataset(tuple(utterances), (*warnings, *told))


def _partition(path: str) -> tuple[str, str, str]:
    return path.partition("/")


@dataclass
class _Listing:
    """The contents of one or several folders; paths are relative to the folder that was asked for.

    Attributes:
        clips: Sorted folder by folder.
        folders: Sorted.
        left_out: Files that are neither video nor sound.
        faults: A sentence for each file or folder that cannot be read.
    """

    clips: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def list_files(self, folder: Path, prefix: str) -> None:
        """List one folder; hidden files do not count."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.faults.append(f"{show(prefix or folder)} cannot be listed and is left out: {error.strerror}")
            return
        for entry in found:
            if not entry.name.startswith("."):
                self._add(entry, prefix)

    def _add(self, entry: os.DirEntry[str], prefix: str) -> None:
        path = prefix + entry.name
        try:
            if entry.is_dir():
                self.folders.append(entry.name)
            elif entry.is_file():
                (self.clips if is_clip(entry.path) else self.left_out).append(path)
        except OSError as error:
            self.faults.append(f"{show(path)} cannot be read and is left out: {error.strerror}")


def is_clip(path: str | Path) -> bool:
    """Tell whether a file is video or sound: by its name or, if the ending is unknown, by the first bytes."""
    rank = rank_as_clip(os.path.basename(path))  # noqa: PTH119 (a Path for each of a million names takes seconds)
    if rank != rank_as_clip("unknown"):
        return rank < rank_as_clip("unknown")
    with Path(path).open("rb") as file:
        return is_media(file.read(_HEAD_BYTES))


def _tell_left_out(folder: Path, names: list[str]) -> list[str]:
    if not names:
        return []
    first = ", ".join(show(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
    what = format_count(len(names), "file that is", "files that are")
    return [f"{folder}: left out {what} neither video nor sound: {first}"]


def _list_utterances(folder: Path, pairs: Iterable[tuple[str, str]]) -> tuple[list[Utterance], list[str]]:
    """Make an utterance of each clip. Of clips that differ only in their ending make one, and warn of the others."""
    twins: dict[str, list[Utterance]] = {}
    for video, name in pairs:
        utterance = Utterance(video, name, UNLABELLED, None, None, None, None, None, folder, 0)
        twins.setdefault(utterance.name, []).append(utterance)
    utterances, warnings = [], []
    for same in twins.values():
        ranks = [rank_as_clip(utterance.utterance) for utterance in same]
        best = [utterance for utterance, rank in zip(same, ranks, strict=True) if rank == min(ranks)]
        utterances.append(best[0] if len(best) == 1 else _make_unclear(best[0]))
        if len(same) > 1:
            names = ", ".join(f"{utterance.video}/{utterance.utterance}" for utterance in same)
            what = f"{best[0].utterance} counts" if len(best) == 1 else "none of them is predicted; rename one"
            warnings.append(f"{folder}: {names} differ only in their ending: {what}")
    return utterances, warnings


def _make_unclear(utterance: Utterance) -> Utterance:
    """Return a row for several files of the same name, so that they have a status; it names none of them."""
    stem = strip_ending(utterance.utterance)
    # The rest of the name may look as if it had an ending, which would be removed, too.
    return replace(utterance, utterance=stem if strip_ending(stem) == stem else f"{stem}.any")

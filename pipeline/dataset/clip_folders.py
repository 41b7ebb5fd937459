"""A folder of clips. It is listed once, and gives the file of an utterance's name, or the reason why there is none."""

import errno
import functools
import os
from pathlib import Path
from typing import NamedTuple

from pipeline.dataset.folder_look import FolderLook, Rights
from pipeline.dataset.names import compose, rank_as_clip, show, strip_ending
from pipeline.dataset.near_names import NearNames

NO_CLIP = 3
_SOUND = 1


class ClipFile(NamedTuple):
    """A clip on disk.

    Attributes:
        path: relative to the folder of videos.
        size: in bytes.
        mtime_ns: time of its last change, in ns since 1970.
    """

    path: str
    size: int
    mtime_ns: int


class Folder:
    """A folder of clips, listed once.

    Args:
        videos: The folder of videos.
        name: Of the folder in it; "" for the folder of videos itself.
        is_there: False if the folder must not be listed.
    """

    def __init__(self, videos: Path, name: str, *, is_there: bool) -> None:
        self._name = name
        self._path = path = videos / name
        self._fault = ""
        self._by_name: dict[str, os.DirEntry[str]] = {}
        self._entries: list[os.DirEntry[str]] = []
        if not is_there:
            return
        try:
            with os.scandir(path) as entries:
                self._entries = list(entries)
        except FileNotFoundError:
            if path.is_symlink():
                self._fault = f"the folder {show(path)} is a link to {show(path.readlink())}, which is not there"
        except NotADirectoryError:
            self._fault = f"{show(path)} is there, which is not a folder"
        except OSError as error:
            self._fault = f"the folder {show(path)} cannot be listed: {error.strerror}; the next run tries again"
        for entry in self._entries:
            name = compose(entry.name)
            if _is_file(entry) and (name not in self._by_name or entry.name == name):
                self._by_name[name] = entry

    @functools.cached_property
    def _by_stem(self) -> dict[str, list[os.DirEntry[str]]]:
        """Files that may be clips, by their names without ending. Needed only for names that no file has exactly."""
        found: dict[str, list[os.DirEntry[str]]] = {}
        for entry in self._entries:
            if _is_file(entry) and rank_as_clip(entry.name) < NO_CLIP:
                found.setdefault(strip_ending(compose(entry.name)), []).append(entry)
        return found

    @functools.cached_property
    def _no_clips(self) -> dict[str, os.DirEntry[str]]:
        """Entries that are no clips, by their names without ending."""
        found: dict[str, os.DirEntry[str]] = {}
        for entry in self._entries:
            if not _is_file(entry) or rank_as_clip(entry.name) >= NO_CLIP:
                found.setdefault(strip_ending(compose(entry.name)), entry)
        return found

    @functools.cached_property
    def _near(self) -> NearNames:
        return NearNames(self._by_stem)

    def note(self, look: FolderLook) -> None:
        """Add the folder's entries to a look. A folder that cannot be listed makes the look unsure."""
        look.add(self._name, self._entries)
        look.is_sure = look.is_sure and not self._fault

    def find(self, utterance: str, reader: "Reader") -> ClipFile | str:
        """Return an utterance's file with its whole path; or a sentence why there is none, "" without a reason."""
        if self._fault:
            return self._fault
        entry = self._by_name.get(compose(utterance))
        if entry is not None:  # nearly all names are like this
            return reader.look_at(entry, self._name)
        candidates = self._choose(compose(utterance))
        if len(candidates) == 1:
            return reader.look_at(candidates[0], self._name)
        if candidates:
            names = ", ".join(sorted(show(entry.name) for entry in candidates))
            return (
                f"{len(candidates)} files in {show(self._path)} have this name: {names}; keep one, or write its "
                "whole name into the CSV file"
            )
        near = self._explain(compose(utterance))
        return near and f"no such file in {show(self._path)}: {near}"

    def holds(self, name: str) -> bool:
        """Tell whether any file of video or sound fits a name."""
        return any(rank_as_clip(entry.name) <= _SOUND for entry in self._choose(compose(name)))

    def _choose(self, name: str) -> list[os.DirEntry[str]]:
        """Return the files that fit the name: none, one, or several that fit equally well."""
        if name in self._by_name:
            return [self._by_name[name]]
        for stem in dict.fromkeys((name, strip_ending(name))):
            candidates = self._by_stem.get(stem, [])
            if candidates:
                ranks = [rank_as_clip(entry.name) for entry in candidates]
                return [entry for entry, rank in zip(candidates, ranks, strict=True) if rank == min(ranks)]
        return []

    def _explain(self, name: str) -> str:
        for stem in dict.fromkeys((name, strip_ending(name))):
            if stem in self._no_clips:
                return _describe_no_clip(self._no_clips[stem])
        return self._near.explain(strip_ending(name))


class Reader:
    """Checks files, with the rights of this process."""

    def __init__(self) -> None:
        self._rights = Rights()

    def look_at(self, entry: os.DirEntry[str], folder: str) -> ClipFile | str:
        """Return the file from the folder of that name, or a sentence why it cannot be read."""
        try:
            status = entry.stat()
        except OSError as error:
            return describe_unreadable(Path(entry.path), error.strerror or str(error))
        if not self._rights.may_read(status) and not os.access(entry.path, os.R_OK, effective_ids=True):
            return describe_unreadable(Path(entry.path), os.strerror(errno.EACCES))
        return ClipFile(f"{folder}/{entry.name}" if folder else entry.name, status.st_size, status.st_mtime_ns)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of links, or a disk error: reported when this file is needed
        return False


def describe_unreadable(path: Path, why: str) -> str:
    """Say that a clip exists and cannot be read."""
    return f"{show(path)} cannot be read: {why}; the next run tries again"


def _describe_no_clip(entry: os.DirEntry[str]) -> str:
    """Say what has this name and is no clip."""
    name = show(entry.name)
    if entry.is_symlink():
        target = show(Path(entry.path).readlink())
        try:
            Path(entry.path).stat()
        except FileNotFoundError:
            return f"{name} is a link to {target}, which is not there"
        except OSError as error:
            return f"{name} is a link to {target}, which cannot be followed: {error.strerror}"
    if entry.is_dir():
        return f"{name} is there, which is a folder"
    if entry.is_file():
        return f"{name} is there, which is neither video nor sound"
    return f"{name} is there, which is not a regular file"

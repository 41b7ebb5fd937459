"""Utterances to their files: each folder is looked into once, and what cannot be had costs that utterance alone."""

import errno
import functools
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.dataset.cuts import Cut, parse_cut
from pipeline.dataset.names import compose, rank_as_clip, show, strip_ending
from pipeline.dataset.near_names import NearNames
from pipeline.dataset.omg import is_called_as_theirs
from pipeline.dataset.utterances import DatasetError, Utterance
from store.text import format_count

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


@dataclass(frozen=True)
class FoundClips:
    """What there is of the listed utterances.

    Attributes:
        files: name to file, for each utterance whose file can be read.
        hindered: name to a sentence, for each one without where there is more to say than that nothing is there: it
            cannot be read, several files could be it, or something of nearly that name is there.
        cuts: name to the part of its file that it is, for each one whose file is a whole recording.
        uncut: names of those whose file is taken as cut already although their row has `start` or `end`, save those
            called as OMG-Emotion's are, which are known to be.
    """

    files: dict[str, ClipFile] = field(default_factory=dict)
    hindered: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)

    uncut: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line on those that are hindered, and one on those whose start and end are not used."""
        told = []
        if self.hindered:
            name, sentence = next(iter(self.hindered.items()))
            text = format_count(len(self.hindered), "listed utterance has", "listed utterances have")
            text += " no file that can be used, though something is there"
            told.append(f"{text} (the first: {name}: {sentence}); the ledger tells of each")
        if self.uncut:
            text = format_count(
                len(self.uncut),
                "row has start or end, and its clip has",
                "rows have start or end, and their clips have",
            )
            told.append(
                f"{text} a file in a folder of the video. Such a file is taken as cut already, and start and end are "
                f"not used (the first: {self.uncut[0]}). A whole recording lies in the folder of videos itself, named "
                "after its video"
            )
        return tuple(told)


def find_clips(videos: Path, utterances: Iterable[Utterance]) -> FoundClips:
    """Find the file of each utterance: `<videos>/<video>/<utterance>`, with whatever ending it has on disk.

    The file whose name is the CSV file's wins; then those that are called so without their ending, videos before sound
    before others. Each folder is listed once; links are followed. Names are compared in Unicode's composed form, as
    file systems differ. Whether a file may be read is seen by its mode, so that none is opened.

    A file in a folder of its video is the utterance, whatever the row's `start` and `end` say: OMG-Emotion's are those
    of the recording that it was cut from. Where there is none, `<videos>/<video>` with an ending of its own is the
    whole recording, and the utterance is the part of it from `start` to `end`.

    Raises:
        DatasetError: the folder of videos itself cannot be listed, or rows of whole recordings have a `start` or `end`
            that cannot be.

    """
    folders = _list_videos(videos)
    near_folders = NearNames(folders)
    by_video: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_video.setdefault(utterance.video, []).append(utterance)
    found = FoundClips()
    reader = _Reader()
    recordings = _Recordings(videos, reader)
    for video, rows in by_video.items():
        actual = folders.get(compose(video))
        folder = _Folder(videos, video if actual is None else actual, is_there=actual is not None)
        for row in rows:
            result = folder.find(row.utterance, reader)
            if isinstance(result, ClipFile) and (row.start or row.end) and not is_called_as_theirs(row.utterance):
                found.uncut.append(row.name)
            if isinstance(result, str) and (recording := recordings.find(video)) is not None:
                result = recordings.cut(row, recording, found)
            if isinstance(result, ClipFile):
                found.files[row.name] = result
                continue
            sentence = result
            if actual is None and not sentence:
                near = near_folders.explain(compose(video))
                sentence = near and f"no folder {show(video)} in {show(videos)}: {near}"
            if sentence:
                found.hindered[row.name] = sentence
    if recordings.problems:
        raise DatasetError(recordings.problems)
    return found


class _Recordings:
    """The whole recordings that lie in the folder of videos itself, which is looked into when one is asked for.

    Attributes:
        problems: a sentence, with file and line, for each row whose `start` and `end` cannot be.
    """

    def __init__(self, videos: Path, reader: "_Reader") -> None:
        self.problems: list[str] = []
        self._videos = videos
        self._reader = reader

    @functools.cached_property
    def _folder(self) -> "_Folder":
        return _Folder(self._videos, "", is_there=True)

    def find(self, video: str) -> ClipFile | str | None:
        """Find a video's whole recording; a sentence where something is there, and None where nothing is."""
        return self._folder.find(video, self._reader) if self._folder.holds(video) else None

    def cut(self, row: Utterance, recording: ClipFile | str, found: FoundClips) -> ClipFile | str:
        """Note which part of its recording an utterance is; give the file, or say why it cannot be used."""
        if isinstance(recording, str):
            return recording
        if not row.start and not row.end:
            name = show(Path(recording.path).name)
            return f"{name} is a whole recording, and the row has no start and end by which to cut it"
        try:
            found.cuts[row.name] = parse_cut(row.start, row.end)
        except ValueError as error:
            self.problems.append(f"{row.csv_path}:{row.line}: {error} (a part of {show(recording.path)})")
        return recording


def _list_videos(videos: Path) -> dict[str, str]:
    """Return the entries of the folder by their composed form; where two have one form, the composed one counts."""
    try:
        with os.scandir(videos) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise DatasetError(
            [f"[dataset] videos = {videos} cannot be listed: {error.strerror}; mount it, or allow reading it"]
        ) from error
    found: dict[str, str] = {}
    for name in names:
        normal = compose(name)
        if normal not in found or name == normal:
            found[normal] = name
    return found


class _Folder:
    """A folder of clips, listed once.

    Args:
        videos: The folder of videos.
        name: Of the folder in it; "" for the folder of videos itself.
        is_there: False for one that is not to be looked into.
    """

    def __init__(self, videos: Path, name: str, *, is_there: bool) -> None:
        self._name = name
        self._path = path = videos / name
        self._fault = ""
        self._by_name: dict[str, os.DirEntry[str]] = {}
        self._by_stem: dict[str, list[os.DirEntry[str]]] = {}
        self._no_clips: dict[str, os.DirEntry[str]] = {}
        self._near = NearNames(self._by_stem)
        if not is_there:
            return
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    self._add(entry)
        except FileNotFoundError:
            if path.is_symlink():
                self._fault = f"the folder {show(path)} is a link to {show(path.readlink())}, which is not there"
        except NotADirectoryError:
            self._fault = f"{show(path)} is there, which is no folder"
        except OSError as error:
            self._fault = f"the folder {show(path)} cannot be listed: {error.strerror}; the next run tries again"

    def _add(self, entry: os.DirEntry[str]) -> None:
        name = compose(entry.name)
        stem = strip_ending(name)
        try:
            is_file = entry.is_file()
        except OSError:  # a loop of links, or a disk that fails: told when it is asked for
            is_file = False
        if not is_file:
            self._no_clips.setdefault(stem, entry)
            return
        if name not in self._by_name or entry.name == name:
            self._by_name[name] = entry
        if rank_as_clip(entry.name) < NO_CLIP:
            self._by_stem.setdefault(stem, []).append(entry)
        else:
            self._no_clips.setdefault(stem, entry)

    def find(self, utterance: str, reader: "_Reader") -> ClipFile | str:
        """Find an utterance's file, its path whole; or say in a sentence why there is none, "" for nothing to say."""
        if self._fault:
            return self._fault
        candidates = self._choose(compose(utterance))
        if len(candidates) == 1:
            return reader.look_at(candidates[0], self._name)
        if candidates:
            names = ", ".join(sorted(show(entry.name) for entry in candidates))
            return (
                f"{len(candidates)} files in {show(self._path)} could be it: {names}; keep one, or write its whole "
                "name into the CSV file"
            )
        near = self._explain(compose(utterance))
        return near and f"no such file in {show(self._path)}: {near}"

    def holds(self, name: str) -> bool:
        """Tell whether there are files, called like video or sound, that a name may mean."""
        return any(rank_as_clip(entry.name) <= _SOUND for entry in self._choose(compose(name)))

    def _choose(self, name: str) -> list[os.DirEntry[str]]:
        """Return the files that may be meant: none, one, or several that are equally likely."""
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


class _Reader:
    """Looks at files for this process, whose user and groups are asked for once."""

    def __init__(self) -> None:
        self._user = os.geteuid()
        self._groups = {os.getegid(), *os.getgroups()}

    def look_at(self, entry: os.DirEntry[str], folder: str) -> ClipFile | str:
        """Give the file, which lies in a folder of that name, or say why it cannot be read."""
        try:
            status = entry.stat()
        except OSError as error:
            return describe_unreadable(Path(entry.path), error.strerror or str(error))
        if not self._may_read(status) and not os.access(entry.path, os.R_OK, effective_ids=True):
            return describe_unreadable(Path(entry.path), os.strerror(errno.EACCES))
        return ClipFile(f"{folder}/{entry.name}" if folder else entry.name, status.st_size, status.st_mtime_ns)

    def _may_read(self, status: os.stat_result) -> bool:
        """Tell by the mode, which costs no look at the disk; access lists may allow more."""
        if status.st_uid == self._user:
            bit = stat.S_IRUSR
        else:
            bit = stat.S_IRGRP if status.st_gid in self._groups else stat.S_IROTH
        return bool(status.st_mode & bit)


def describe_unreadable(path: Path, why: str) -> str:
    """Say that a clip is there and cannot be read."""
    return f"{show(path)} cannot be read: {why}; the next run tries again"


def _describe_no_clip(entry: os.DirEntry[str]) -> str:
    """Say what is there under the name, and is no clip."""
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
    return f"{name} is there, which is no plain file"

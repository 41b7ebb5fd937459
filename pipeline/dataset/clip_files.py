"""Utterances to their files: each folder is looked into once, and what cannot be had costs that utterance alone."""

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.dataset.clip_folders import ClipFile, Folder, Reader
from pipeline.dataset.cuts import Cut, parse_cut
from pipeline.dataset.folder_look import FolderLook
from pipeline.dataset.names import compose, show
from pipeline.dataset.near_names import NearNames
from pipeline.dataset.omg import is_called_as_theirs
from pipeline.dataset.utterances import DatasetError, Utterance
from store.text import format_count


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
        look: what was seen in the folders, as a digest.
    """

    files: dict[str, ClipFile] = field(default_factory=dict)
    hindered: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)
    uncut: list[str] = field(default_factory=list)
    look: FolderLook = field(default_factory=FolderLook)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line on those that are hindered, and one on those whose start and end are not used."""
        told = []
        if self.hindered:
            name, sentence = next(iter(self.hindered.items()))
            text = format_count(len(self.hindered), "listed utterance has", "listed utterances have")
            text += " no file that can be used, though something is there"
            told.append(f"{text} (the first: {name}: {sentence}); the ledger lists each")
        if self.uncut:
            text = format_count(
                len(self.uncut),
                "row has start or end, and its clip has",
                "rows have start or end, and their clips have",
            )
            told.append(
                f"{text} a file in a folder of the video. Valar assumes that such a file is already cut, and does "
                f"not use start and end (the first: {self.uncut[0]}). A whole recording must be in the folder of "
                "videos itself, with its video's name"
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
    found = FoundClips()
    folders = _list_videos(videos, found.look)
    near_folders = NearNames(folders)
    by_video: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_video.setdefault(utterance.video, []).append(utterance)
    reader = Reader()
    recordings = _Recordings(videos, reader)
    for video, rows in by_video.items():
        actual = folders.get(compose(video))
        folder = Folder(videos, video if actual is None else actual, is_there=actual is not None)
        if actual is not None:
            folder.note(found.look)
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

    def __init__(self, videos: Path, reader: Reader) -> None:
        self.problems: list[str] = []
        self._videos = videos
        self._reader = reader

    @functools.cached_property
    def _folder(self) -> Folder:
        return Folder(self._videos, "", is_there=True)

    def find(self, video: str) -> ClipFile | str | None:
        """Find a video's whole recording; a sentence where something is there, and None where nothing is."""
        return self._folder.find(video, self._reader) if self._folder.holds(video) else None

    def cut(self, row: Utterance, recording: ClipFile | str, found: FoundClips) -> ClipFile | str:
        """Note which part of its recording an utterance is; give the file, or say why it cannot be used."""
        if isinstance(recording, str):
            return recording
        if not row.start and not row.end:
            name = show(Path(recording.path).name)
            return f"{name} is a whole recording, and the row has no start and end to cut it"
        try:
            found.cuts[row.name] = parse_cut(row.start, row.end)
        except ValueError as error:
            self.problems.append(f"{row.csv_path}:{row.line}: {error} (a part of {show(recording.path)})")
        return recording


def _list_videos(videos: Path, look: FolderLook) -> dict[str, str]:
    """Return the entries of the folder by their composed form; where two have one form, the composed one counts."""
    try:
        with os.scandir(videos) as entries:
            found_entries = list(entries)
    except OSError as error:
        raise DatasetError(
            [f"[dataset] videos = {videos} cannot be listed: {error.strerror}; mount it, or allow reading it"]
        ) from error
    look.add("", found_entries)
    found: dict[str, str] = {}
    for name in sorted(entry.name for entry in found_entries):
        normal = compose(name)
        if normal not in found or name == normal:
            found[normal] = name
    return found

"""The file of each utterance. Each folder is listed once; a file that cannot be used affects only its own utterance."""

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
    """The files of the listed utterances.

    Attributes:
        files: name to file, for each utterance whose file can be read.
        hindered: name to a sentence, for each utterance without a file if there is a reason to give: the file cannot be
            read, several files fit the name, or there is a file with nearly that name.
        cuts: name to a part of the file, for each utterance whose file is a whole recording.
        uncut: names of utterances whose file is assumed to be cut already, although their row has `start` or `end`.
            Names like OMG-Emotion's are left out: those files are known to be cut.
        look: digest of the folders' entries.
    """

    files: dict[str, ClipFile] = field(default_factory=dict)
    hindered: dict[str, str] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)
    uncut: list[str] = field(default_factory=list)
    look: FolderLook = field(default_factory=FolderLook)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line on the hindered utterances, and one on those whose start and end are not used."""
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
    """Find the file of each utterance: `<videos>/<video>/<utterance>`, with any ending.

    A file with exactly the name in the CSV file comes first; then files with that name and another ending: videos, then
    sound, then others. Each folder is listed once; links are followed. Names are compared in Unicode's composed form,
    because file systems differ. The mode of a file says whether it may be read; no file is opened.

    A file in a folder of its video is the whole utterance, and the row's `start` and `end` are ignored: in
    OMG-Emotion they refer to the recording that the clip was cut from. Without such a file, `<videos>/<video>` with any
    ending is the whole recording, and the utterance is its part from `start` to `end`.

    Raises:
        DatasetError: the folder of videos itself cannot be listed, or rows of whole recordings have an invalid `start`
            or `end`.

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
    """The whole recordings in the folder of videos itself, which is listed when the first of them is needed.

    Attributes:
        problems: a sentence, with file and line, for each row with an invalid `start` or `end`.
    """

    def __init__(self, videos: Path, reader: Reader) -> None:
        self.problems: list[str] = []
        self._videos = videos
        self._reader = reader

    @functools.cached_property
    def _folder(self) -> Folder:
        return Folder(self._videos, "", is_there=True)

    def find(self, video: str) -> ClipFile | str | None:
        """Find a video's whole recording; a sentence if there is one that cannot be used; None if there is none."""
        return self._folder.find(video, self._reader) if self._folder.holds(video) else None

    def cut(self, row: Utterance, recording: ClipFile | str, found: FoundClips) -> ClipFile | str:
        """Note the utterance's part of the recording. Return the file, or a sentence why it cannot be used."""
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
    """Return the entries by the composed form of their names; of two with one form, the composed one counts."""
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

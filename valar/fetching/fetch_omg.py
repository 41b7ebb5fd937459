"""`valar fetch-omg CSV -o DIR`: download of the recordings to which OMG-Emotion's CSV files link."""

import argparse
import contextlib
import fcntl
import hashlib
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import UserError
from pipeline.progress import Steps, show_steps
from store.text import escape, format_bytes, format_count
from valar.cli import WRONG_USE
from valar.closing import say_next
from valar.fetching.downloading import Downloader, FetchError, Wishes, check_yt_dlp, split_link
from valar.fetching.recordings import (
    DEAD,
    DeadLink,
    Folder,
    Recording,
    choose_ending,
    plan_recordings,
    read_dead,
    write_dead,
)

HELP = (
    "Download the recordings that OMG-Emotion's CSV files link to, each once, with yt-dlp (pip install "
    "'valar[fetch]'). A finished recording is not downloaded again, and an interrupted download continues. Dead "
    "links are written to DIR/dead-links.csv and do not affect other recordings. Make sure that the host allows you "
    "to download them."
)
#: After so many recordings of one host in a row without an answer, the rest of that host are not tried.
MOST_SILENT = 5
#: The longest pause before another try.
_LONGEST_PAUSE_SECONDS = 300.0
_PARTIAL = ".partial"
LOCK = "lock"
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKMG]?)")
_UNITS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("csv", type=Path, nargs="+", metavar="CSV", help="OMG-Emotion's CSV file, one or several")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the recordings")
    parser.add_argument(
        "--pause", type=_seconds, default=5.0, metavar="SECONDS", help="between two recordings (default: 5)"
    )
    parser.add_argument(
        "--retries",
        type=_count,
        default=3,
        metavar="N",
        help="further tries if the connection fails or the host is busy, each after twice the pause (default: 3)",
    )
    parser.add_argument(
        "--rate-limit",
        type=parse_rate,
        default=parse_rate("2M"),
        metavar="RATE",
        help="largest number of bytes a second, such as 500k or 2M; 0 for no limit (default: 2M)",
    )
    parser.add_argument(
        "--height", type=_count, default=720, metavar="PIXELS", help="tallest picture to choose (default: 720)"
    )
    parser.add_argument("--skip-dead", action="store_true", help="do not try the links in dead-links.csv again")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be downloaded")
    parser.add_argument("-v", "--verbose", action="store_true", help="also print yt-dlp's warnings")


def run(arguments: argparse.Namespace) -> int:
    """Download; return 0 if all recordings are there, 1 if some are missing, 2 if something must be corrected first."""
    try:
        recordings, warnings = plan_recordings(arguments.csv)
        for warning in warnings:
            print(escape(warning), file=sys.stderr)
        if arguments.dry_run:
            return _say_plan(recordings, Folder(arguments.output))
        check_yt_dlp()
        return _fetch(arguments, recordings)
    except UserError as error:
        print(escape(str(error)), file=sys.stderr)
        return WRONG_USE
    except OSError as error:
        print(f"{arguments.output}: cannot be written: {error.strerror}", file=sys.stderr)
        return WRONG_USE


def _say_plan(recordings: Sequence[Recording], folder: Folder) -> int:
    there = sum(folder.find(recording) is not None for recording in recordings)
    parts = sum(recording.utterances for recording in recordings)
    print(f"{format_count(parts, 'utterance')} are parts of {format_count(len(recordings), 'recording')}")
    print(f"{there} are in {folder.path} already, {len(recordings) - there} would be fetched")
    return 0


def _fetch(arguments: argparse.Namespace, recordings: Sequence[Recording]) -> int:
    place = arguments.output / _PARTIAL
    place.mkdir(parents=True, exist_ok=True)
    with _held(place / LOCK, arguments.output):
        return _fetch_into(place, arguments, recordings)


@contextlib.contextmanager
def _held(lock: Path, folder: Path) -> Iterator[None]:
    """Keep out other processes, which would use the same unfinished files."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another fetch-omg is running in {folder}; wait until it has ended") from error
        yield


def _fetch_into(place: Path, arguments: argparse.Namespace, recordings: Sequence[Recording]) -> int:
    from pipeline.media import ffmpeg_binary

    table = arguments.output / DEAD
    known = read_dead(table) if arguments.skip_dead else ()
    skipped = {row["link"]: FetchError(row["reason"], may_pass=row["may_pass"] == "yes") for row in known}
    downloader = Downloader(place, Wishes(arguments.height, arguments.rate_limit or None), ffmpeg_binary())
    job = FetchJob(downloader, Folder(arguments.output), pause=arguments.pause, retries=arguments.retries)
    try:
        with show_steps(len(recordings)) as steps:
            job.work(recordings, skipped, steps)
    finally:
        write_dead(table, job.dead, job.asked)
        left = job.remove_leftovers()
    if arguments.verbose:
        for warning in downloader.warnings:
            print(f"yt-dlp: {warning}", file=sys.stderr)
    if left:
        size = format_bytes(sum(left))
        print(f"{place}: {format_count(len(left), 'unfinished download')} ({size}), which the next attempt continues")
    _say_result(arguments, job, recordings)
    return 1 if job.dead else 0


@dataclass
class FetchJob:
    """Downloads of recordings one after the other, with pauses.

    Args:
        downloader: Downloads one recording.
        folder: For the recordings.
        pause: Seconds between two recordings.
        retries: How often a recording is tried again if that may help.
        sleep: Waits some seconds.
        asked: The recordings that were handled, with or without success.
        dead: The recordings that could not be downloaded.
        fetched: How many were downloaded.
        present: How many were there before.
        silent: For each host, how many recordings in a row had no answer.
    """

    downloader: Downloader
    folder: Folder
    pause: float
    retries: int
    sleep: Callable[[float], None] = time.sleep
    asked: list[Recording] = field(default_factory=list)
    dead: list[DeadLink] = field(default_factory=list)
    fetched: int = 0
    present: int = 0
    silent: Counter[str] = field(default_factory=Counter)
    _was_asked: bool = False

    def work(self, recordings: Sequence[Recording], skipped: Mapping[str, FetchError], steps: Steps) -> None:
        """Download the missing recordings; a dead link does not affect other recordings.

        Args:
            recordings: All that are wanted.
            skipped: Links that are not tried, with their earlier error.
            steps: Shows the progress.
        """
        for recording in recordings:
            steps.start(recording.name)
            file = self.folder.find(recording)
            if file is not None:
                self.present += 1
            elif recording.link in skipped:
                self._note_dead(recording, skipped[recording.link])
            else:
                file = self._try(recording, steps)
                self.fetched += file is not None
            if file is not None:
                self.folder.name_videos(recording, file)
            self.asked.append(recording)

    def remove_leftovers(self) -> list[int]:
        """Remove unfinished files of recordings that are complete by now, or that can never be downloaded.

        Unfinished files stay if a later attempt may succeed, or if they belong to other CSV files: the next attempt
        continues them.

        Returns:
            The bytes of each file that stays.
        """
        dead = {found.recording.link: found.may_pass for found in self.dead}
        useless = {name_unfinished(asked.link) for asked in self.asked if not dead.get(asked.link, False)}
        stay = []
        for file in sorted(self.downloader.folder.iterdir()):
            if file.name == LOCK or not file.is_file():
                continue
            if file.name.partition(".")[0] in useless:
                file.unlink()
            else:
                stay.append(file.stat().st_size)
        return stay

    def _note_dead(self, recording: Recording, error: FetchError) -> None:
        self.dead.append(DeadLink(recording, error.reason, error.may_pass))

    def _try(self, recording: Recording, steps: Steps) -> Path | None:
        _, host = split_link(recording.link)
        try:
            if self.silent[host] >= MOST_SILENT:
                raise FetchError(
                    f"not tried: {host} did not answer for {MOST_SILENT} recordings in a row; try later",
                    may_pass=True,
                )
            file = self._fetch_patiently(recording, steps)
        except FetchError as error:
            self.silent[host] = self.silent[host] + 1 if error.may_pass else 0
            self._note_dead(recording, error)
            return None
        self.silent[host] = 0
        return file

    def _fetch_patiently(self, recording: Recording, steps: Steps) -> Path:
        """Download a recording; if it may help, try again, each time after twice the pause."""
        wait = self.pause if self._was_asked else 0.0
        for tries_left in reversed(range(self.retries + 1)):
            if wait:
                self.sleep(wait)
            self._was_asked = True
            try:
                file = self.downloader.fetch(recording.link, name_unfinished(recording.link), steps.advance)
                if not choose_ending(file):
                    file.unlink()
                    raise FetchError("what is sent is neither video nor sound")
                return self.folder.add(recording, file)
            except FetchError as error:
                if not error.may_pass or not tries_left:
                    raise
                wait = min(2 * max(wait, self.pause, 1.0), _LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")


def _say_result(arguments: argparse.Namespace, job: FetchJob, recordings: Sequence[Recording]) -> None:
    lost = sum(found.recording.utterances for found in job.dead)
    total = sum(recording.utterances for recording in recordings)
    print(f"{format_count(job.fetched, 'recording')} fetched, {job.present} already there, {len(job.dead)} missing")
    if job.dead:
        passing = sum(found.may_pass for found in job.dead)
        hint = f"; {passing} may work later: give the same command again" if passing else ""
        print(f"{arguments.output / DEAD} says why{hint}")
    print(f"{total - lost} of {total} utterances have their recording")
    if lost < total:
        named = "".join(f" --csv {shlex.quote(str(path))}" for path in arguments.csv)
        say_next([f"valar init {shlex.quote(str(arguments.output))}{named}"])


def name_unfinished(link: str) -> str:
    """Return the name of an unfinished download's file, without an ending.

    The name depends only on the link, so an unfinished file is never continued from another link. It has only letters
    and digits, because yt-dlp replaces variables such as $HOME in file names.

    >>> name_unfinished("https://example.org/a")
    'b5b10dd0429e69ac7cfaf0a20b6901c1'
    """
    return hashlib.sha256(link.encode()).hexdigest()[:32]


def parse_rate(text: str) -> float:
    """Read a rate in bytes a second.

    >>> parse_rate("500k"), parse_rate("2.5M"), parse_rate("0")
    (500000.0, 2500000.0, 0.0)
    """
    match = _RATE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of bytes a second, such as 500k or 2M; 0 for none")
    return float(match[1]) * _UNITS[match[2]]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds, 0 or more")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    return int(text)

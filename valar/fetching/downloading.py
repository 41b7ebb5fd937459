"""Download of one recording by its link, with yt-dlp, which is imported only when something is downloaded."""

import errno
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import UserError
from store.text import escape

#: Largest download: a link may lead to a stream without an end. No recording of OMG-Emotion is nearly as large.
MOST_BYTES = 4_000_000_000
_TIMEOUT_SECONDS = 30.0
_FRAGMENT_TRIES = 5
#: Words in the error of a host that is busy or blocks programs.
_BUSY = ("not a bot", "rate-limit", "rate limit", "too many requests", "try again later")
_BUSY_STATUS = (408, 425, 429)
_STATUS = re.compile(r"HTTP Error ([0-9]{3})")
_BROKEN = "[download] Got error"
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


class FetchError(Exception):
    """A recording could not be downloaded.

    Args:
        reason: One sentence.
        may_pass: Whether another try may succeed: the connection failed, or the host was busy.
    """

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_pass = may_pass


@dataclass(frozen=True)
class Wishes:
    """Limits of each download.

    Args:
        height: Largest height of the picture, in pixels; if all pictures are higher, the lowest one is taken.
        rate: Largest number of bytes per second; None for no limit.
    """

    height: int
    rate: float | None


def check_yt_dlp() -> None:
    """Refuse to begin if yt-dlp is not installed.

    Raises:
        UserError: Says how to install it.
    """
    if importlib.util.find_spec("yt_dlp") is None:
        raise UserError("fetch-omg needs yt-dlp, which is not installed: pip install 'valar[fetch]'")


class Downloader:
    """Downloads one recording after the other into a folder of unfinished files, and continues such files.

    Args:
        folder: Of unfinished files.
        wishes: Height and rate.
        ffmpeg: The program that joins sound and picture if a host has them in two files.

    Attributes:
        warnings: The warnings of yt-dlp, each once.
    """

    def __init__(self, folder: Path, wishes: Wishes, ffmpeg: str) -> None:
        self.folder = folder
        self.warnings: dict[str, None] = {}
        self._wishes = wishes
        self._ffmpeg = ffmpeg

    def fetch(self, link: str, name: str, seen: Callable[[float], None]) -> Path:
        """Download the recording of a link.

        Args:
            link: Its address, http or https.
            name: Of the file, without an ending; only letters and digits, because yt-dlp interprets other characters.
            seen: Called with the share that has arrived, from 0 to 1.

        Returns:
            The finished file.

        Raises:
            FetchError: The recording cannot be downloaded.
            UserError: The disk is full.
        """
        if split_link(link)[0] not in ("http", "https"):
            raise FetchError("the link is not an address that begins with http:// or https://")
        yt_dlp = importlib.import_module("yt_dlp")
        told: list[str] = []
        options = self._make_options(name, told, seen)
        try:
            with yt_dlp.YoutubeDL(options) as worker:
                found = worker.extract_info(link, download=True)
        except yt_dlp.utils.YoutubeDLError as error:
            raise self._explain(error) from error
        if found is None or found.get("_type", "video") != "video":
            raise FetchError("the link leads to a list and not to one recording")
        done = found.get("requested_downloads") or []
        if not done:
            raise FetchError(told[0] if told else "nothing was sent")
        return Path(done[0]["filepath"])

    def _make_options(self, name: str, told: list[str], seen: Callable[[float], None]) -> dict[str, Any]:
        height = self._wishes.height

        def watch(state: dict[str, Any]) -> None:
            arrived = state.get("downloaded_bytes") or 0
            if arrived > MOST_BYTES:
                raise FetchError(f"it is larger than {MOST_BYTES / 1e9:g} GB")
            total = state.get("total_bytes") or state.get("total_bytes_estimate")
            if total:
                seen(arrived / total)

        def leave_out(info: dict[str, Any], *_: Any, **__: Any) -> str | None:
            if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
                told.append("it is a live stream")
                return told[-1]
            return None

        assert name.isalnum(), "yt-dlp fills in what begins with a $, a % or a ~"
        return {
            "outtmpl": {"default": f"{name}.%(ext)s"},
            "paths": {"home": str(self.folder)},
            "format": f"bv*[height<=?{height}]+ba/b[height<=?{height}]/wv*+ba/w",
            "merge_output_format": "mp4/mkv",
            "ratelimit": self._wishes.rate,
            "retries": 0,  # the caller tries again, after a pause
            "extractor_retries": 0,
            "fragment_retries": _FRAGMENT_TRIES,
            "retry_sleep_functions": {"fragment": lambda tries: 2.0**tries},
            "skip_unavailable_fragments": False,  # a recording with a hole would have the wrong times
            "socket_timeout": _TIMEOUT_SECONDS,
            "sleep_interval_requests": 1,
            "continuedl": True,
            "overwrites": False,
            "noplaylist": True,
            "extract_flat": "in_playlist",
            "match_filter": leave_out,
            "progress_hooks": [watch],
            "ffmpeg_location": self._ffmpeg,
            "cachedir": False,
            "updatetime": False,
            "quiet": True,
            "noprogress": True,
            "color": {"stdout": "no_color", "stderr": "no_color"},
            "logger": _Listener(self.warnings),
        }

    def _explain(self, error: Exception) -> FetchError:
        """Say why a recording could not be downloaded.

        Raises:
            UserError: The disk is full, which has nothing to do with the link.
        """
        text = tidy(str(error))
        causes = list(_find_causes(error))
        if "No space left" in text or any(getattr(c, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for c in causes):
            raise UserError(f"no space left in {self.folder}: make room and give the same command again")
        # If the download itself fails, only the text of the error has the status.
        named = _STATUS.search(text)
        status = int(named[1]) if named else None
        if status is not None:
            return FetchError(text, may_pass=status in _BUSY_STATUS or status >= 500)
        network = importlib.import_module("yt_dlp.networking.exceptions")
        is_broken = text.startswith(_BROKEN) or any(
            isinstance(c, network.TransportError | ConnectionError | TimeoutError) for c in causes
        )
        return FetchError(text, may_pass=is_broken or any(words in text.lower() for words in _BUSY))


class _Listener:
    """Receives what yt-dlp would print, and keeps its warnings."""

    def __init__(self, warnings: dict[str, None]) -> None:
        self._warnings = warnings

    def debug(self, message: str) -> None:
        """Ignore a plain line."""

    def info(self, message: str) -> None:
        """Ignore a plain line."""

    def warning(self, message: str) -> None:
        """Keep a warning, once."""
        self._warnings[tidy(message)] = None

    def error(self, message: str) -> None:
        """Ignore an error, because yt-dlp also raises it."""


def split_link(link: str) -> tuple[str, str]:
    """Return scheme and host of a link; "" for a part that it does not have.

    >>> split_link("HTTPS://Example.org/a"), split_link("http://[")
    (('https', 'example.org'), ('', ''))
    """
    try:
        parts = urlsplit(link)
        return parts.scheme, parts.hostname or ""
    except ValueError:  # for example, a bracket is not closed
        return "", ""


def tidy(text: str) -> str:
    r"""Return a message of yt-dlp without colours, without its prefix, and without its request for a report.

    >>> tidy("\x1b[0;31mERROR:\x1b[0m [youtube] x: Video unavailable; please report this issue on ...")
    '[youtube] x: Video unavailable'
    """
    plain = _COLOURS.sub("", text).removeprefix("ERROR: ").removeprefix("WARNING: ")
    return escape(plain.partition("; please report this issue")[0].partition("\n")[0].strip())


def _find_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, as Python and yt-dlp record them."""
    waiting: list[Any] = [error]
    seen: list[BaseException] = []
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or any(found is other for other in seen):
            continue
        seen.append(found)
        yield found
        waiting += [*(getattr(found, "exc_info", None) or ()), getattr(found, "cause", None), found.__cause__]
        waiting.append(found.__context__)

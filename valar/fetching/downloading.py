"""One recording's link to a file, by yt-dlp, which is imported when something is to be fetched and not before."""

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

#: A link may lead to a stream without an end; no recording of OMG-Emotion's is near this.
MOST_BYTES = 4_000_000_000
_TIMEOUT_SECONDS = 30.0
_FRAGMENT_TRIES = 5
#: What a busy or a guarded host says in place of an answer.
_BUSY = ("not a bot", "rate-limit", "rate limit", "too many requests", "try again later")
_BUSY_STATUS = (408, 425, 429)
_STATUS = re.compile(r"HTTP Error ([0-9]{3})")
_BROKEN = "[download] Got error"
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


class FetchError(Exception):
    """A recording that could not be had: a sentence.

    Args:
        reason: The sentence.
        may_pass: Whether it is worth another try: the connection failed, or the host was busy.
    """

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_pass = may_pass


@dataclass(frozen=True)
class Wishes:
    """What is asked of each download.

    Args:
        height: Most lines of the picture, in pixels; the smallest there is where all have more.
        rate: Most bytes a second; None for no limit.
    """

    height: int
    rate: float | None


def check_yt_dlp() -> None:
    """Refuse to begin where yt-dlp is not installed.

    Raises:
        UserError: Says how to install it.
    """
    if importlib.util.find_spec("yt_dlp") is None:
        raise UserError("fetch-omg needs yt-dlp, which is not installed: pip install 'valar[fetch]'")


class Downloader:
    """Fetches one recording after the other into a folder of unfinished files, which it goes on with.

    Args:
        folder: Of unfinished files.
        wishes: Size and rate.
        ffmpeg: The program that joins sound and picture where a host has them apart.

    Attributes:
        warnings: What yt-dlp warned of, each once.
    """

    def __init__(self, folder: Path, wishes: Wishes, ffmpeg: str) -> None:
        self.folder = folder
        self.warnings: dict[str, None] = {}
        self._wishes = wishes
        self._ffmpeg = ffmpeg

    def fetch(self, link: str, name: str, seen: Callable[[float], None]) -> Path:
        """Fetch what a link leads to.

        Args:
            link: Its address, http or https.
            name: Of the file, without an ending; letters and digits, since yt-dlp takes others for its own.
            seen: Told which share has arrived.

        Returns:
            The finished file.

        Raises:
            FetchError: It cannot be had.
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
        """Say why a recording could not be had.

        Raises:
            UserError: The disk is full, which is no link's fault.
        """
        text = tidy(str(error))
        causes = list(_find_causes(error))
        if "No space left" in text or any(getattr(c, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for c in causes):
            raise UserError(f"no space left in {self.folder}: make room and give the same command again")
        # Where the download itself breaks off, its error is told in words alone.
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
    """Hears what yt-dlp would print; keeps its warnings."""

    def __init__(self, warnings: dict[str, None]) -> None:
        self._warnings = warnings

    def debug(self, message: str) -> None:
        """Hear a plain line."""

    def info(self, message: str) -> None:
        """Hear a plain line."""

    def warning(self, message: str) -> None:
        """Keep a warning, once."""
        self._warnings[tidy(message)] = None

    def error(self, message: str) -> None:
        """Hear an error, which is also raised."""


def split_link(link: str) -> tuple[str, str]:
    """Give scheme and host of a link; "" for what is none.

    >>> split_link("HTTPS://Example.org/a"), split_link("http://[")
    (('https', 'example.org'), ('', ''))
    """
    try:
        parts = urlsplit(link)
        return parts.scheme, parts.hostname or ""
    except ValueError:  # such as a bracket that is not closed
        return "", ""


def tidy(text: str) -> str:
    r"""Give a sentence of yt-dlp's without colours, its own prefix, and its wish for a report.

    >>> tidy("\x1b[0;31mERROR:\x1b[0m [youtube] x: Video unavailable; please report this issue on ...")
    '[youtube] x: Video unavailable'
    """
    plain = _COLOURS.sub("", text).removeprefix("ERROR: ").removeprefix("WARNING: ")
    return escape(plain.partition("; please report this issue")[0].partition("\n")[0].strip())


def _find_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it comes from, as Python and as yt-dlp keep it."""
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

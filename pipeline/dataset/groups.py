"""Recordings: which utterances come from one source and are therefore alike.

OMG-Emotion's `video` is a fragment of a recording: `X_1`, `X_2`, ... share one link. Labels and errors are alike within
a recording, so whoever resamples, folds or permutes has to take whole recordings.
"""

import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

_FRAGMENT = re.compile(r"_[0-9]+$")
#: Most videos in a recording, on average: where names without their number would join more, they are mere counting.
_MOST_FRAGMENTS = 4


#: What people write where there is no link.
_NO_LINKS = frozenset({"", "-", "--", "?", "n/a", "na", "nan", "none", "null", "unknown", "missing"})
#: What in an address says where in a recording to begin or end.
_MOMENTS = frozenset({"t", "start", "end", "time_continue"})


class Groupable(Protocol):
    """What is known of an utterance."""

    @property
    def name(self) -> str:
        """Its identity."""

    @property
    def video(self) -> str:
        """The folder of its clip."""

    @property
    def link(self) -> str | None:
        """Address of the recording."""

    @property
    def group(self) -> str | None:
        """What the user's column says."""


@dataclass(frozen=True)
class Grouping:
    """Utterances by recording.

    Attributes:
        by: what tells recordings apart: a column's name, "link", "name" (videos without their number) or "video".
        of: utterance to the name of its recording.
    """

    by: str
    of: Mapping[str, str]

    def take(self, names: Iterable[str]) -> list[str]:
        """Give the recording of each utterance."""
        return [self.of[name] for name in names]


def group_utterances(utterances: Sequence[Groupable], *, column: str = "") -> Grouping:
    """Find the recording of each utterance, over all splits together.

    Args:
        utterances: all there are.
        column: the user's column; "" to go by `link`, where there is none, or one for all, by the video's name
            without `_N`.
    """
    if column:
        return Grouping(column, {u.name: u.group or u.video for u in utterances})
    links = _find_links(utterances)
    bases = find_bases({u.video for u in utterances if u.name not in links})
    joined = _Joined()
    # A video is never divided, whatever its rows' links say. Most of its rows say the same.
    for video, recording in dict.fromkeys((u.video, links.get(u.name) or bases[u.video]) for u in utterances):
        joined.join(("video", video), ("recording", recording))
    names = {video: joined.find(("video", video))[1] for video in dict.fromkeys(u.video for u in utterances)}
    of = {u.name: names[u.video] for u in utterances}
    by_name = "name" if any(video != base for video, base in bases.items()) else "video"
    return Grouping("link" if links else by_name, of)


def _find_links(utterances: Sequence[Groupable]) -> dict[str, str]:
    """Give the link of each utterance that has one: of those that mean one recording the first."""
    first: dict[str, str] = {}
    links = {u.name: first.setdefault(key, u.link or "") for u in utterances if (key := identify_link(u.link))}
    # One and the same link for all is a placeholder: it tells nothing apart.
    if len(set(links.values())) < 2:
        return {}
    # A fragment whose link is missing belongs to the others of its name, where those are of one recording.
    of_base: dict[str, set[str]] = {}
    for u in utterances:
        if u.name in links:
            of_base.setdefault(_FRAGMENT.sub("", u.video), set()).add(links[u.name])
    for u in utterances:
        known = of_base.get(_FRAGMENT.sub("", u.video), set())
        if u.name not in links and len(known) == 1:
            links[u.name] = next(iter(known))
    return links


def identify_link(link: str | None) -> str:
    """Give what tells the recordings of links apart: the address without a moment of it; "" for no link.

    >>> identify_link("https://youtu.be/abc?t=9") == identify_link("https://www.youtube.com/watch?v=abc&t=1s#x")
    True
    >>> identify_link("n/a")
    ''
    """
    text = (link or "").strip()
    if text.casefold() in _NO_LINKS:
        return ""
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return text
    if not parts.netloc:
        return text
    asked = [pair for pair in urllib.parse.parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _MOMENTS]
    host, path = parts.netloc.casefold().removeprefix("www.").removeprefix("m."), parts.path
    if host == "youtu.be":
        host, path, asked = "youtube.com", "/watch", [("v", path.strip("/"))]
    elif host == "youtube.com" and path == "/watch":
        asked = [pair for pair in asked if pair[0] == "v"]
    return f"{host}{path.rstrip('/')}?{urllib.parse.urlencode(sorted(asked))}"


def find_bases(videos: Set[str]) -> dict[str, str]:
    """Give each video's name without its number, where numbers tell fragments apart; else the name as it is."""
    bases = {video: _FRAGMENT.sub("", video) or video for video in videos}
    if len(set(bases.values())) * _MOST_FRAGMENTS < len(videos):
        return {video: video for video in videos}
    return bases


class _Joined:
    """Sets that are joined one pair at a time; a set is known by its first recording."""

    def __init__(self) -> None:
        self._above: dict[tuple[str, str], tuple[str, str]] = {}

    def find(self, key: tuple[str, str]) -> tuple[str, str]:
        """Give the set's name."""
        while (above := self._above.setdefault(key, key)) != key:
            self._above[key] = self._above.setdefault(above, above)
            key = above
        return key

    def join(self, video: tuple[str, str], recording: tuple[str, str]) -> None:
        """Put both sets under the one name: that of the video's recording so far, if it has one."""
        one, other = self.find(video), self.find(recording)
        if one[0] == "video":
            self._above[one] = other
        else:
            self._above[other] = one

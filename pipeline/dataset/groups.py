"""Recordings: which utterances come from one source and are therefore alike.

OMG-Emotion's `video` is a fragment of a recording: `X_1`, `X_2`, ... share one link. Labels and errors are alike within
a recording, so resampling, folds and permutations have to use whole recordings.
"""

import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

_FRAGMENT = re.compile(r"_[0-9]+$")
#: Most videos in a recording, on average. If names without their numbers join more, the numbers only count videos.
_MOST_FRAGMENTS = 4


#: Texts that people write in place of a missing link.
_NO_LINKS = frozenset({"", "-", "--", "?", "n/a", "na", "nan", "none", "null", "unknown", "missing"})
#: Parts of an address that say where in a recording to begin or end.
_MOMENTS = frozenset({"t", "start", "end", "time_continue"})


class Groupable(Protocol):
    """The facts about an utterance that tell its recording."""

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
        by: the rule that tells recordings apart: a column's name, "link", "name" (videos without their number) or
            "video".
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
        utterances: all utterances.
        column: the user's column. If it is "", `link` tells recordings apart; if there is no link, or one for all, then
            the video's name without `_N` does.
    """
    if column:
        return Grouping(column, {u.name: u.group or u.video for u in utterances})
    links = _find_links(utterances)
    bases = find_bases({u.video for u in utterances if u.name not in links})
    joined = _Joined()
    # A video is never divided, even if its rows have different links. The link of most of its rows counts.
    for video, recording in dict.fromkeys((u.video, links.get(u.name) or bases[u.video]) for u in utterances):
        joined.join(("video", video), ("recording", recording))
    names = {video: joined.find(("video", video))[1] for video in dict.fromkeys(u.video for u in utterances)}
    of = {u.name: names[u.video] for u in utterances}
    by_name = "name" if any(video != base for video, base in bases.items()) else "video"
    return Grouping("link" if links else by_name, of)


def _find_links(utterances: Sequence[Groupable]) -> dict[str, str]:
    """Return the link of each utterance that has one. Links of the same recording are replaced by the first of them."""
    first: dict[str, str] = {}
    links = {u.name: first.setdefault(key, u.link or "") for u in utterances if (key := identify_link(u.link))}
    # The same link for all is a placeholder: it tells no recordings apart.
    if len(set(links.values())) < 2:
        return {}
    # A fragment without a link belongs to the others with its name, if those are of one recording.
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
    """Return the part of a link that identifies its recording: the address without a time; "" for no link.

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
    """Return each video's name without its number, if numbers tell fragments apart; otherwise the name itself."""
    bases = {video: _FRAGMENT.sub("", video) or video for video in videos}
    if len(set(bases.values())) * _MOST_FRAGMENTS < len(videos):
        return {video: video for video in videos}
    return bases


class _Joined:
    """Sets that are joined one pair at a time; the first recording of a set is its name."""

    def __init__(self) -> None:
        self._above: dict[tuple[str, str], tuple[str, str]] = {}

    def find(self, key: tuple[str, str]) -> tuple[str, str]:
        """Give the set's name."""
        while (above := self._above.setdefault(key, key)) != key:
            self._above[key] = self._above.setdefault(above, above)
            key = above
        return key

    def join(self, video: tuple[str, str], recording: tuple[str, str]) -> None:
        """Give both sets one name: the name of the video's recording so far, if it has one."""
        one, other = self.find(video), self.find(recording)
        if one[0] == "video":
            self._above[one] = other
        else:
            self._above[other] = one

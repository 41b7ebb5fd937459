"""Recordings: which utterances come from one source and are therefore alike.

OMG-Emotion's `video` is a fragment of a recording: `X_1`, `X_2`, ... share one link. Labels and errors are alike within
a recording, so whoever resamples, folds or permutes has to take whole recordings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_FRAGMENT = re.compile(r"_[0-9]+$")
#: Most videos in a recording, on average: where names without their number would join more, they are mere counting.
_MOST_FRAGMENTS = 4


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
    # One and the same link for all is a placeholder: it tells nothing apart.
    links = {u.name: u.link for u in utterances if u.link} if len({u.link for u in utterances} - {None}) > 1 else {}
    bases = _find_bases({u.video for u in utterances if u.name not in links})
    joined = _Joined()
    for u in utterances:
        # A video is never divided, whatever its rows' links say.
        joined.join(("video", u.video), ("recording", links.get(u.name) or bases[u.video]))
    of = {u.name: joined.find(("video", u.video))[1] for u in utterances}
    by_name = "name" if any(video != base for video, base in bases.items()) else "video"
    return Grouping("link" if links else by_name, of)


def _find_bases(videos: set[str]) -> dict[str, str]:
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

"""How OMG-Emotion's own splits are recognised, so that published results are never shown beside other data."""

import re
from collections.abc import Iterable
from typing import Protocol

NAME = "OMG-Emotion"
#: Utterances of each official CSV file.
SIZES = {"train": 2442, "validation": 617, "test": 2229}
_VIDEO = re.compile(r"[0-9a-f]{9}(_[0-9]+)?")
_UTTERANCE = re.compile(r"utterance_[0-9]+\.mp4")


class Row(Protocol):
    """A row of a CSV file."""

    @property
    def video(self) -> str:
        """As in the file."""

    @property
    def utterance(self) -> str:
        """As in the file."""

    @property
    def split(self) -> str:
        """The split that its file was given for."""


def is_called_as_theirs(utterance: str) -> bool:
    """Tell whether a clip has a name such as the organisers' script gives: `utterance_4.mp4`."""
    return _UTTERANCE.fullmatch(utterance) is not None


def find_official_splits(rows: Iterable[Row]) -> list[str]:
    """Say which splits are the organisers' own and complete: with the same number of utterances, and names like theirs.

    Args:
        rows: of all splits.

    Returns:
        Names of the splits, in the order of the rows.
    """
    counts: dict[str, int] = {}
    others = set()
    for row in rows:
        counts[row.split] = counts.get(row.split, 0) + 1
        if not (_VIDEO.fullmatch(row.video) and _UTTERANCE.fullmatch(row.utterance)):
            others.add(row.split)
    return [split for split, count in counts.items() if split not in others and SIZES.get(split) == count]

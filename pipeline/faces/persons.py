"""Tracks to persons: those that do not overlap in time and are alike, or return soon to the same place, are one."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.faces.likeness import Likeness

_SHORT_GAP_FRAMES = 75
# A likeness nearer to its limit than this could as well have fallen on the other side of it.
_CLOSE = 0.05


@dataclass(frozen=True)
class Stretch:
    """A track: its number, its rows of the table, the frames with which it begins and ends, the sum of its sides."""

    number: int
    rows: np.ndarray
    first_frame: int
    last_frame: int
    weight: float


@dataclass
class Person:
    """Tracks taken to be one person.

    Attributes:
        tracks: their numbers, ascending.
        rows: of the table, ascending.
        weight: the sum over the frames of the side of the face.
        look: the sum of the tracks' looks, weighted by their numbers of frames.
        last_frame: in which the person is seen.
        last_box: in that frame, (4,).
        close: (likeness, limit) of tracks that were joined, or were not, by little.
    """

    tracks: list[int]
    rows: np.ndarray
    weight: float
    look: np.ndarray
    last_frame: int
    last_box: np.ndarray
    close: list[tuple[float, float]] = field(default_factory=list)


def list_stretches(table: np.ndarray) -> list[Stretch]:
    """List the tracks in the order in which they begin."""
    stretches = []
    for track in np.unique(table["track"]):
        rows = np.flatnonzero(table["track"] == track)
        boxes, frames = table["box"][rows].astype(np.float64), table["frame_index"][rows]
        weight = float(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)).sum())
        stretches.append(Stretch(int(track), rows, int(frames[0]), int(frames[-1]), weight))
    return stretches


def find_contenders(stretches: list[Stretch], least: float | None = None) -> list[Stretch]:
    """Leave out the tracks that belong to nobody who could be the speaker.

    A person's tracks do not overlap in time, so no person with a track weighs more than the heaviest such sequence that
    it is part of. Where even that is less than the heaviest track alone, the track's person cannot be the
    speaker, and the track is left out.

    Args:
        stretches: all tracks.
        least: weight below which no person counts; by default the heaviest track's.
    """
    before = measure_sequences([(one.first_frame, one.last_frame) for one in stretches], [s.weight for s in stretches])
    after = measure_sequences([(-one.last_frame, -one.first_frame) for one in stretches], [s.weight for s in stretches])
    if least is None:
        least = max((one.weight for one in stretches), default=0.0)
    return [
        one for one, until, since in zip(stretches, before, after, strict=True) if until + since + one.weight >= least
    ]


def measure_sequences(spans: Sequence[tuple[int, int]], weights: Sequence[float]) -> list[float]:
    """Return for each span the greatest weight of spans that end before it begins and do not overlap each other.

    Args:
        spans: (first, last) frame, both included.
        weights: of the spans, at least 0.
    """
    ending = sorted(range(len(spans)), key=lambda i: spans[i][1])
    heaviest, num_ended, before = 0.0, 0, [0.0] * len(spans)
    for i in sorted(range(len(spans)), key=lambda i: spans[i][0]):
        while spans[ending[num_ended]][1] < spans[i][0]:
            ended = ending[num_ended]
            heaviest = max(heaviest, before[ended] + weights[ended])
            num_ended += 1
        before[i] = heaviest
    return before


def find_continuations(stretches: list[Stretch], number: int | None) -> list[Stretch]:
    """Return a track and all that do not overlap it in time; none without it."""
    chosen = next((one for one in stretches if one.number == number), None)
    if chosen is None:
        return []
    return [one for one in stretches if one is chosen or not _overlap(one, chosen)]


def _overlap(one: Stretch, other: Stretch) -> bool:
    return one.first_frame <= other.last_frame and other.first_frame <= one.last_frame


def join_tracks(
    stretches: list[Stretch], table: np.ndarray, crops: np.ndarray, cut_frames: np.ndarray, likeness: Likeness
) -> list[Person]:
    """Join tracks to persons, in the order in which they begin.

    Args:
        stretches: tracks, in that order.
        table: rows of `track`, `frame_index`, `box`, in the order of the frames.
        crops: (rows, 112, 96, 3) uint8.
        cut_frames: ascending indices of the frames that follow a cut.
        likeness: of tracks.
    """
    looks = _describe_stretches(stretches, crops, likeness)
    persons: list[Person] = []
    for stretch in stretches:
        boxes = table["box"][stretch.rows[[0, -1]]].astype(np.float64)
        look = looks.get(stretch.number, np.empty(0)) * len(stretch.rows)
        known, doubted, decision = _find_person(persons, look, stretch.first_frame, boxes[0], cut_frames, likeness)
        if known is None:
            person = Person(
                [stretch.number],
                stretch.rows,
                stretch.weight,
                look,
                stretch.last_frame,
                boxes[1],
                [decision] * len(doubted),
            )
            persons.append(person)
        else:
            known.tracks.append(stretch.number)
            known.rows = np.concatenate([known.rows, stretch.rows])
            known.weight += stretch.weight
            known.look = known.look + look
            known.last_frame, known.last_box = stretch.last_frame, boxes[1]
        for person in doubted:
            person.close.append(decision)
    return persons


def _describe_stretches(stretches: list[Stretch], crops: np.ndarray, likeness: Likeness) -> dict[int, np.ndarray]:
    """Describe those tracks that another one precedes or follows, by their numbers: others are joined to none."""
    first_end = min((one.last_frame for one in stretches), default=0)
    last_start = max((one.first_frame for one in stretches), default=0)
    asked = [one for one in stretches if one.first_frame > first_end or one.last_frame < last_start]
    if not asked:
        return {}
    described = likeness.describe(crops, [one.rows for one in asked])
    return {one.number: look for one, look in zip(asked, described, strict=True)}


def _find_person(
    persons: list[Person],
    look: np.ndarray,
    first_frame: int,
    box: np.ndarray,
    cut_frames: np.ndarray,
    likeness: Likeness,
) -> tuple[Person | None, list[Person], tuple[float, float]]:
    """Find the person, no longer in sight at `first_frame`, whom a new track continues.

    Returns:
        That person, if any; whom a close decision was about; likeness and limit of that decision.
    """
    best, best_cosine, best_least = None, 0.0, 0.0
    nearest, nearest_cosine, nearest_least = None, -1.0, 1.0
    for person in persons:
        if person.last_frame >= first_frame:
            continue
        lengths = float(np.linalg.norm(person.look) * np.linalg.norm(look))
        cosine = float(person.look @ look) / lengths if lengths > 0 else 0.0
        least = _choose_limit(person, first_frame, box, cut_frames, likeness)
        if cosine >= least and cosine > best_cosine:
            best, best_cosine, best_least = person, cosine, least
        if cosine < least and cosine - least > nearest_cosine - nearest_least:
            nearest, nearest_cosine, nearest_least = person, cosine, least
    if best is not None:
        return best, [best] if best_cosine - best_least < _CLOSE else [], (best_cosine, best_least)
    is_close = nearest is not None and nearest_least - nearest_cosine < _CLOSE
    return None, [nearest] if nearest is not None and is_close else [], (nearest_cosine, nearest_least)


def _choose_limit(
    person: Person, first_frame: int, box: np.ndarray, cut_frames: np.ndarray, likeness: Likeness
) -> float:
    """Return how alike a track that begins must be to a person: less where it begins soon in the same place."""
    cut = np.searchsorted(cut_frames, first_frame, "right") > np.searchsorted(cut_frames, person.last_frame, "right")
    soon = first_frame - person.last_frame <= _SHORT_GAP_FRAMES and not cut
    return likeness.same_place if soon and is_same_place(person.last_box, box) else likeness.same_person


def is_same_place(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether two boxes (4,) are within one side of each other and neither is more than twice as large."""
    side = np.sqrt(max(float(np.prod(before[2:] - before[:2])), 1.0))
    other = np.sqrt(max(float(np.prod(after[2:] - after[:2])), 1.0))
    shift = float(np.linalg.norm((before[:2] + before[2:]) - (after[:2] + after[2:]))) / 2.0
    return bool(shift < max(side, other) and 0.5 <= other / side <= 2.0)

"""The choice of the speaker: the user's, else by mouth and sound, else the face seen longest and largest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.faces.likeness import LOOKS, Likeness
from pipeline.faces.persons import Person, find_contenders, find_continuations, join_tracks, list_stretches
from pipeline.faces.rivals import Evidence, find_rivals, prefer_living, prefer_speaking


@dataclass(frozen=True)
class Wish:
    """The face that a user names as the speaker.

    Attributes:
        point: (x, y) in pixels of the upright frame, inside the face; None for the largest face.
        frame_index: index of the frame meant; the nearest frame with such a face is used. None for any frame.
    """

    point: tuple[float, float] | None
    frame_index: int | None


@dataclass(frozen=True)
class Choice:
    """The tracks that together are the speaker, ascending, and notes on the choice where several were possible."""

    tracks: tuple[int, ...]
    notes: tuple[str, ...] = ()


def choose_speaker(
    table: np.ndarray,
    crops: np.ndarray,
    cut_frames: np.ndarray,
    *,
    likeness: Likeness | None = None,
    wish: Wish | None = None,
    evidence: Evidence | None = None,
) -> Choice:
    """Choose the tracks that together are the speaker.

    A person's weight is the sum over the frames of the side of the face. A sum of areas would prefer someone who passes
    close to the camera to someone who speaks all the time. The heaviest person is the speaker, unless there is evidence
    for someone else who is seen together with that person. Tracks that do not overlap in time are one person when
    they are alike, or when the face returns soon to the same place with no cut between.

    Args:
        table: rows of `track`, `frame_index`, `box`, in the order of the frames.
        crops: (rows, 112, 96, 3) uint8.
        cut_frames: ascending indices of the frames that follow a cut.
        likeness: how tracks are compared; by default LOOKS, which needs no weights.
        wish: the face that the user names; it is chosen whatever the evidence says.
        evidence: what decides in addition to the faces' sizes; None for nothing.

    Returns:
        The choice; no tracks for an empty table, or when nobody is where the wish says. Of persons of equal weight the
        earlier one is chosen.
    """
    likeness = likeness or LOOKS
    stretches = list_stretches(table)
    if wish is not None:
        wished = _find_wished(table, wish)
        persons = join_tracks(find_continuations(stretches, wished), table, crops, cut_frames, likeness)
        return _conclude(next((person for person in persons if wished in person.tracks), None))
    persons = join_tracks(find_contenders(stretches), table, crops, cut_frames, likeness)
    chosen = max(persons, key=lambda person: person.weight, default=None)
    notes = []
    if chosen is not None and evidence is not None:
        others = [one for one in stretches if one.number not in chosen.tracks]
        rivals = find_rivals(chosen, others, table, crops, cut_frames, likeness, evidence)
        chosen, rivals, living = prefer_living(chosen, rivals, crops, table, evidence)
        chosen, speaking = prefer_speaking(chosen, rivals, crops, table, evidence)
        notes = [*living, *speaking]
    return _conclude(chosen, notes)


def _conclude(person: Person | None, notes: Sequence[str] = ()) -> Choice:
    if person is None:
        return Choice((), tuple(notes))
    shown = f"{len(person.tracks)} stretches show one" if len(person.tracks) > 1 else "another stretch shows the same"
    close = [
        f"whether {shown} person was close: likeness {cosine:.2f}, the limit is {least:.2f}"
        for cosine, least in person.close[:1]
    ]
    return Choice(tuple(person.tracks), (*notes, *close))


def _find_wished(table: np.ndarray, wish: Wish) -> int | None:
    """Return the track of the face meant: nearest in time, then largest; None when there is none."""
    boxes = table["box"].astype(np.float64)
    rows = np.arange(len(table))
    if wish.point is not None:
        point = np.array(wish.point)
        rows = np.flatnonzero(((boxes[:, :2] <= point) & (point <= boxes[:, 2:])).all(axis=1))
    if len(rows) == 0:
        return None
    sizes = np.prod(boxes[rows, 2:] - boxes[rows, :2], axis=1)
    away = np.zeros(len(rows)) if wish.frame_index is None else np.abs(table["frame_index"][rows] - wish.frame_index)
    return int(table["track"][rows[np.lexsort((-sizes, away))[0]]])

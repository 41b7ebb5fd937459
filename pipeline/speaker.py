"""Who the speaker is: stretches of tracking joined to persons, and the person who is seen longest and largest."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Mean crops are compared as small grey pictures of the inner face, brightness and contrast removed. Halves of the clips
# of 17 people who talk correlate by .81 to .99 with themselves and, under other light, by less than .78 with others;
# people filmed in one studio reach .88.
_LOOK_ROWS = slice(16, 104)
_LOOK_COLUMNS = slice(10, 86)
_LOOK_SIZE = (19, 22)
_LOOK_CROPS = 16
_SHORT_GAP_FRAMES = 75


@dataclass(frozen=True)
class Likeness:
    """How tracks are compared, by the cosine of what `describe` gives for them.

    Attributes:
        describe: (crops (N, 112, 96, 3) uint8, rows of one track) -> a vector of length 1.
        same_person: least likeness to be one person wherever the face returns.
        same_place: least likeness to be one person who returns to the same place soon, with no cut between.
    """

    describe: Callable[[np.ndarray, np.ndarray], np.ndarray]
    same_person: float
    same_place: float


@dataclass(frozen=True)
class Wish:
    """Whom a user wants for the speaker.

    Attributes:
        point: (x, y) in pixels of the upright frame, inside the face; None for the largest face.
        frame_index: of the frame meant, or the nearest one with such a face; None for any.
    """

    point: tuple[float, float] | None
    frame_index: int | None


@dataclass
class _Person:
    """Tracks taken to be one person; `look` is the sum of their looks, weighted by their numbers of frames."""

    tracks: list[int]
    weight: float
    look: np.ndarray
    last_frame: int
    last_box: np.ndarray


def choose_speaker(
    table: np.ndarray,
    crops: np.ndarray,
    cut_frames: np.ndarray,
    *,
    likeness: Likeness | None = None,
    wish: Wish | None = None,
) -> list[int]:
    """Return the tracks that together are the speaker.

    A person's weight is the sum over the frames of the side of the face, not of its area, by which someone who passes
    close to the camera would outweigh who speaks all the time. Tracks that do not overlap in time are one person when
    they are alike, or when the face returns soon to the same place with no cut between.

    Args:
        table: rows of `track`, `frame_index`, `box`, in the order of the frames.
        crops: (rows, 112, 96, 3) uint8.
        cut_frames: ascending indices of the frames that follow a cut.
        likeness: of tracks; by default LOOKS, which needs no weights.
        wish: whom to choose instead of who is seen longest and largest.

    Returns:
        Ascending track numbers; none for an empty table, or when nobody is where the wish says. Of persons of equal
        weight the earlier one is chosen.
    """
    tracks = np.unique(table["track"])
    if len(tracks) == 1 and wish is None:
        return tracks.tolist()
    persons = _join_tracks(table, crops, cut_frames, likeness or LOOKS)
    if wish is not None:
        track = _find_wished(table, wish)
        return next((person.tracks for person in persons if track in person.tracks), [])
    return max(persons, key=lambda person: person.weight).tracks if persons else []


def _join_tracks(table: np.ndarray, crops: np.ndarray, cut_frames: np.ndarray, likeness: Likeness) -> list[_Person]:
    persons: list[_Person] = []
    for track in np.unique(table["track"]):  # in the order in which they begin
        rows = np.flatnonzero(table["track"] == track)
        boxes = table["box"][rows].astype(np.float64)
        found = _Person(
            tracks=[int(track)],
            weight=float(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)).sum()),
            look=likeness.describe(crops, rows) * len(rows),
            last_frame=int(table["frame_index"][rows[-1]]),
            last_box=boxes[-1],
        )
        first_frame = int(table["frame_index"][rows[0]])
        known = _find_person(persons, found.look, first_frame, boxes[0], cut_frames, likeness)
        if known is None:
            persons.append(found)
        else:
            known.tracks += found.tracks
            known.weight += found.weight
            known.look = known.look + found.look
            known.last_frame, known.last_box = found.last_frame, found.last_box
    return persons


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


def embedding_likeness(embed: Callable[[np.ndarray], np.ndarray]) -> Likeness:
    """Compare tracks by the embeddings of their faces, which light and pose change less than the person does.

    The limits lie above .31, where single faces of one person and of two are told apart best with the published
    weights (their own evaluation): joining two people does more harm than missing one's return.

    Args:
        embed: crops (N, 112, 96, 3) uint8 to (N, 512), with published weights: random ones know no persons.
    """

    def describe(crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
        vectors = embed(crops[_choose_rows(rows)]).astype(np.float64)
        total = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).sum(axis=0)
        unit: np.ndarray = total / np.linalg.norm(total)
        return unit

    return Likeness(describe, same_person=0.45, same_place=0.3)


def compute_look(crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the mean of a track's aligned crops as a vector of mean 0 and length 1, (418,) float64.

    Args:
        crops: (N, 112, 96, 3) uint8.
        rows: ascending rows of one track; at most 16 of them, evenly spread, are read.
    """
    import cv2

    total = np.add.reduce(crops[_choose_rows(rows)], axis=(0, 3), dtype=np.float64)  # (112, 96)
    inner = total[_LOOK_ROWS, _LOOK_COLUMNS]
    small = np.asarray(cv2.resize(inner, _LOOK_SIZE, interpolation=cv2.INTER_AREA)).ravel()
    centred = small - small.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else centred


def _choose_rows(rows: np.ndarray) -> np.ndarray:
    """Return at most 16 rows, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, _LOOK_CROPS).astype(int))]


#: Mean crops need no weights. The limits are explained at _LOOK_ROWS.
LOOKS = Likeness(compute_look, same_person=0.85, same_place=0.4)


def _find_person(
    persons: list[_Person],
    look: np.ndarray,
    first_frame: int,
    box: np.ndarray,
    cut_frames: np.ndarray,
    likeness: Likeness,
) -> _Person | None:
    """Return the person, no longer in sight at `first_frame`, whom a new track continues."""
    best, best_cosine = None, 0.0
    for person in persons:
        if person.last_frame >= first_frame:
            continue
        lengths = float(np.linalg.norm(person.look) * np.linalg.norm(look))
        cosine = float(person.look @ look) / lengths if lengths > 0 else 0.0
        cut = np.searchsorted(cut_frames, first_frame, "right") > np.searchsorted(
            cut_frames, person.last_frame, "right"
        )
        soon = first_frame - person.last_frame <= _SHORT_GAP_FRAMES and not cut
        same_place = soon and is_same_place(person.last_box, box)
        least = likeness.same_place if same_place else likeness.same_person
        if cosine >= least and cosine > best_cosine:
            best, best_cosine = person, cosine
    return best


def is_same_place(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether two boxes (4,) are within one side of each other and neither is more than twice as large."""
    side = np.sqrt(max(float(np.prod(before[2:] - before[:2])), 1.0))
    other = np.sqrt(max(float(np.prod(after[2:] - after[:2])), 1.0))
    shift = float(np.linalg.norm((before[:2] + before[2:]) - (after[:2] + after[2:]))) / 2.0
    return bool(shift < max(side, other) and 0.5 <= other / side <= 2.0)

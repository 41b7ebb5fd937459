"""Who the speaker is: stretches of tracking joined to persons, and the person who is seen longest and largest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Mean crops are compared as small grey pictures of the inner face, brightness and contrast removed. Halves of the clips
# of 17 people who talk correlate by .81 to .99 with themselves and, under other light, by less than .78 with others;
# people filmed in one studio reach .88.
_LOOK_ROWS = slice(16, 104)
_LOOK_COLUMNS = slice(10, 86)
_LOOK_SIZE = (19, 22)
_LOOK_CROPS = 16
# Of a track this many crops are embedded; each takes as long as following a face for a frame (docs/decisions/010).
_EMBEDDED_CROPS = 4
# Crops read at a time for that, so that memory does not grow with the number of tracks: 2 MiB.
_EMBEDDED_AT_ONCE = 64
_SHORT_GAP_FRAMES = 75


@dataclass(frozen=True)
class Likeness:
    """How tracks are compared, by the cosine of what `describe` gives for them.

    Attributes:
        describe: (crops (N, 112, 96, 3) uint8, K arrays of rows, one a track) -> (K, D), vectors of length 1.
        same_person: least likeness to be one person wherever the face returns.
        same_place: least likeness to be one person who returns to the same place soon, with no cut between.
    """

    describe: Callable[[np.ndarray, Sequence[np.ndarray]], np.ndarray]
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


@dataclass(frozen=True)
class _Stretch:
    """A track: its number, its rows of the table, the frames with which it begins and ends, the sum of its sides."""

    number: int
    rows: np.ndarray
    first_frame: int
    last_frame: int
    weight: float


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
    stretches = _list_stretches(table)
    wished = None if wish is None else _find_wished(table, wish)
    considered = _find_contenders(stretches) if wish is None else _find_continuations(stretches, wished)
    persons = _join_tracks(considered, table, crops, cut_frames, likeness or LOOKS)
    if wish is not None:
        persons = [person for person in persons if wished in person.tracks]
    return max(persons, key=lambda person: person.weight).tracks if persons else []


def _list_stretches(table: np.ndarray) -> list[_Stretch]:
    """List the tracks in the order in which they begin."""
    stretches = []
    for track in np.unique(table["track"]):
        rows = np.flatnonzero(table["track"] == track)
        boxes, frames = table["box"][rows].astype(np.float64), table["frame_index"][rows]
        weight = float(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)).sum())
        stretches.append(_Stretch(int(track), rows, int(frames[0]), int(frames[-1]), weight))
    return stretches


def _find_contenders(stretches: list[_Stretch]) -> list[_Stretch]:
    """Leave out the tracks that belong to nobody who could be the speaker.

    A person's tracks do not overlap in time, so no person with a track weighs more than the heaviest such sequence that
    it is part of. Where even that is less than the heaviest track alone, whose the track is does not matter.
    """
    before = measure_sequences([(one.first_frame, one.last_frame) for one in stretches], [s.weight for s in stretches])
    after = measure_sequences([(-one.last_frame, -one.first_frame) for one in stretches], [s.weight for s in stretches])
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


def _find_continuations(stretches: list[_Stretch], number: int | None) -> list[_Stretch]:
    """Return a track and all that do not overlap it in time; none without it."""
    chosen = next((one for one in stretches if one.number == number), None)
    if chosen is None:
        return []
    return [one for one in stretches if one is chosen or not _overlap(one, chosen)]


def _overlap(one: _Stretch, other: _Stretch) -> bool:
    return one.first_frame <= other.last_frame and other.first_frame <= one.last_frame


def _join_tracks(
    stretches: list[_Stretch], table: np.ndarray, crops: np.ndarray, cut_frames: np.ndarray, likeness: Likeness
) -> list[_Person]:
    looks = _describe_stretches(stretches, crops, likeness)
    persons: list[_Person] = []
    for stretch in stretches:
        boxes = table["box"][stretch.rows[[0, -1]]].astype(np.float64)
        look = looks.get(stretch.number, np.empty(0)) * len(stretch.rows)
        known = _find_person(persons, look, stretch.first_frame, boxes[0], cut_frames, likeness)
        if known is None:
            persons.append(_Person([stretch.number], stretch.weight, look, stretch.last_frame, boxes[1]))
        else:
            known.tracks.append(stretch.number)
            known.weight += stretch.weight
            known.look = known.look + look
            known.last_frame, known.last_box = stretch.last_frame, boxes[1]
    return persons


def _describe_stretches(stretches: list[_Stretch], crops: np.ndarray, likeness: Likeness) -> dict[int, np.ndarray]:
    """Describe those tracks that another one precedes or follows, by their numbers: others are joined to none."""
    first_end = min((one.last_frame for one in stretches), default=0)
    last_start = max((one.first_frame for one in stretches), default=0)
    asked = [one for one in stretches if one.first_frame > first_end or one.last_frame < last_start]
    if not asked:
        return {}
    described = likeness.describe(crops, [one.rows for one in asked])
    return {one.number: look for one, look in zip(asked, described, strict=True)}


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

    def describe(crops: np.ndarray, tracks: Sequence[np.ndarray]) -> np.ndarray:
        chosen = [_choose_centres(rows, _EMBEDDED_CROPS) for rows in tracks]
        every = np.concatenate(chosen)
        blocks = [every[start : start + _EMBEDDED_AT_ONCE] for start in range(0, len(every), _EMBEDDED_AT_ONCE)]
        vectors = np.concatenate([embed(crops[block]) for block in blocks]).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ends = np.cumsum([len(rows) for rows in chosen])[:-1]
        totals = np.stack([part.sum(axis=0) for part in np.split(vectors, ends)])  # (K, 512)
        unit: np.ndarray = totals / np.linalg.norm(totals, axis=1, keepdims=True)
        return unit

    return Likeness(describe, same_person=0.45, same_place=0.3)


def _choose_centres(rows: np.ndarray, most: int) -> np.ndarray:
    """Return the middle row of each of at most this many equal parts: at a track's ends the face turns or is hidden."""
    num_parts = min(most, len(rows))
    return rows[(2 * np.arange(num_parts) + 1) * len(rows) // (2 * num_parts)]


def compute_look(crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the mean of a track's aligned crops as a vector of mean 0 and length 1, (418,) float64.

    Args:
        crops: (N, 112, 96, 3) uint8.
        rows: ascending rows of one track; at most 16 of them, evenly spread, are read.
    """
    import cv2

    spread = rows[np.unique(np.linspace(0, len(rows) - 1, _LOOK_CROPS).astype(int))]
    total = np.add.reduce(crops[spread], axis=(0, 3), dtype=np.float64)  # (112, 96)
    inner = total[_LOOK_ROWS, _LOOK_COLUMNS]
    small = np.asarray(cv2.resize(inner, _LOOK_SIZE, interpolation=cv2.INTER_AREA)).ravel()
    centred = small - small.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else centred


def _compute_looks(crops: np.ndarray, tracks: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([compute_look(crops, rows) for rows in tracks])


#: Mean crops need no weights. The limits are explained at _LOOK_ROWS.
LOOKS = Likeness(_compute_looks, same_person=0.85, same_place=0.4)


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

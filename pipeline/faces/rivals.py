"""Other people who could be the speaker, and the evidence: their faces move, and their mouths move with the sound."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.faces.likeness import Likeness
from pipeline.faces.liveliness import STILL_CHANGE, measure_liveliness
from pipeline.faces.mouths import SoundChange, measure_agreement, measure_mouth_motion
from pipeline.faces.persons import Person, Stretch, find_contenders, join_tracks

# A person with less than this share of the heaviest person's weight is in the background, whatever the mouth does.
_LEAST_SHARE = 0.2
# Least time for which two people are seen together; over less, chance decides.
_LEAST_SECONDS = 1.0
_MOST_RIVALS = 8
# By how much a rival's mouth must agree better: difference of the correlations (Fisher's z) times the square root of
# the seconds, as chance goes. Measured in docs/decisions/017. Each doubling of the number of rivals adds the same
# amount again: the best of many can be good by chance.
_LEAST_GAIN = 0.2
_MOST_AGREEMENT = 0.999
# Motion and sound, smoothed as they are, give some ten samples a second that do not depend on each other. A clip with
# a lower frame rate gives one sample a frame and misses syllables, so it cannot show who speaks (docs/decisions/017).
_INDEPENDENT_RATE = 10.0
# Allowed below that rate, in frames/s: containers round times (Matroska to milliseconds).
_RATE_MARGIN = 0.1
# Of a long clip, at most this many evenly spread pieces of this many frames are compared: two minutes.
_MOST_PIECES = 12
_PIECE_FRAMES = 250
#: Part of the note on a choice that the sound did not decide.
UNDECIDED = "mouth and sound do not tell who speaks"


@dataclass(frozen=True)
class Evidence:
    """What decides between people who are seen together, in addition to the sizes of their faces.

    Attributes:
        times_seconds: (F,) of the clip's frames.
        skips_stills: whether a face that never moves is passed over when another face moves.
        listen: returns the changes of the clip's sound, None for a clip without sound; called only where they could
            decide. None to leave the sound out.
    """

    times_seconds: np.ndarray
    skips_stills: bool
    listen: Callable[[], SoundChange | None] | None


def find_rivals(
    chosen: Person,
    others: list[Stretch],
    table: np.ndarray,
    crops: np.ndarray,
    cut_frames: np.ndarray,
    likeness: Likeness,
    evidence: Evidence,
) -> list[Person]:
    """Find the people seen together with the chosen one for at least a second, and not too small; the heaviest first.

    Tracks are joined as for the choice (see `join_tracks`). They are compared only where the result could change, so a
    clip with one person costs nothing.

    Args:
        chosen: the heaviest person.
        others: the tracks of all others, in the order in which they begin.
        table: see `join_tracks`.
        crops: see `join_tracks`.
        cut_frames: see `join_tracks`.
        likeness: see `join_tracks`.
        evidence: gives the times.
    """
    least = _LEAST_SHARE * chosen.weight
    persons = join_tracks(find_contenders(others, least), table, crops, cut_frames, likeness)
    rivals = [person for person in persons if person.weight >= least and _is_beside(person, chosen, table, evidence)]
    return sorted(rivals, key=lambda person: -person.weight)[:_MOST_RIVALS]


def _is_beside(one: Person, other: Person, table: np.ndarray, evidence: Evidence) -> bool:
    return measure_seconds(_find_shared(one, other, table)[0], evidence.times_seconds) >= _LEAST_SECONDS


def _find_shared(one: Person, other: Person, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the frames in which both are seen, then the rows of `one` and of `other` in these frames."""
    frames = table["frame_index"]
    shared, firsts, seconds = np.intersect1d(
        frames[one.rows], frames[other.rows], assume_unique=True, return_indices=True
    )
    return shared, one.rows[firsts], other.rows[seconds]


def measure_seconds(frames: np.ndarray, times: np.ndarray) -> float:
    """Return for how long these frames (N,) of a clip are shown, each for the usual time between two (times (F,))."""
    return len(frames) * float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def prefer_living(
    chosen: Person, rivals: list[Person], crops: np.ndarray, table: np.ndarray, evidence: Evidence
) -> tuple[Person, list[Person], list[str]]:
    """Pass over faces that never move when another face moves.

    Returns:
        The chosen person, the remaining rivals, and a note if the chosen person has changed.
    """
    if not evidence.skips_stills or not rivals:
        return chosen, rivals, []
    times = evidence.times_seconds[table["frame_index"]]
    everyone = [chosen, *rivals]
    changes = [measure_liveliness(times[person.rows], crops, person.rows) for person in everyone]
    living = [person for person, change in zip(everyone, changes, strict=True) if change >= STILL_CHANGE]
    if not living:
        return chosen, rivals, []
    if living[0] is chosen:
        return chosen, living[1:], []
    first = living[0]
    change = changes[everyone.index(first)]
    note = (
        f"the largest face never moves within itself (by {changes[0]:.3f}, a photograph?), so the one that does "
        f"({change:.3f}) was chosen"
    )
    return first, [person for person in living[1:] if _is_beside(person, first, table, evidence)], [note]


def prefer_speaking(
    chosen: Person, rivals: list[Person], crops: np.ndarray, table: np.ndarray, evidence: Evidence
) -> tuple[Person, list[str]]:
    """Prefer the rival whose mouth agrees with the sound clearly better than the chosen one's.

    Both are compared over the same frames, those in which both are seen.

    Returns:
        The speaker and a note on how that was decided; no note without rivals.
    """
    if evidence.listen is None or not rivals:
        return chosen, []
    people = f"{len(rivals) + 1} people in sight together"
    rate = 1.0 / float(np.median(np.diff(evidence.times_seconds)))
    if rate < _INDEPENDENT_RATE - _RATE_MARGIN:
        return chosen, [
            f"of {people} the one seen longest and largest was chosen: {rate:.2g} frames/s are too few to tell whose "
            f"mouth moves with the sound ({_INDEPENDENT_RATE:.0f} are needed)"
        ]
    sound = evidence.listen()
    if sound is None or not sound.values.any():
        return chosen, [
            f"of {people} the one seen longest and largest was chosen: there is no sound to tell who speaks"
        ]
    compared = [_compare(rival, chosen, crops, table, evidence.times_seconds, sound) for rival in rivals]
    gains = [gain for gain, _, _ in compared]
    best = int(np.argmax(gains))
    _, agreement, usual = compared[best]
    if gains[best] >= _LEAST_GAIN * (1.0 + math.log2(len(rivals))):
        words = f"the speaker was chosen of {people}: mouth and sound agree by {agreement:.2f} against {usual:.2f}"
        return rivals[best], [words]
    if gains[best] <= -_LEAST_GAIN:
        return chosen, [
            f"the speaker was chosen of {people}: mouth and sound agree by {usual:.2f} against {agreement:.2f}"
        ]
    return chosen, [
        f"of {people} the one seen longest and largest was chosen: {UNDECIDED} ({usual:.2f} against {agreement:.2f})"
    ]


def _compare(
    rival: Person, chosen: Person, crops: np.ndarray, table: np.ndarray, times: np.ndarray, sound: SoundChange
) -> tuple[float, float, float]:
    """Return the rival's gain (see _LEAST_GAIN) and how well its mouth and the chosen one's agree with the sound."""
    frames, rival_rows, chosen_rows = (_choose_pieces(shared) for shared in _find_shared(rival, chosen, table))
    # Motion across missing frames, or from one track to another, is not the mouth's.
    steady = np.diff(frames) == 1
    for rows in (rival_rows, chosen_rows):
        steady &= np.diff(table["track"][rows]) == 0
    ends = times[frames[1:]][steady]
    agreements = [
        measure_agreement(ends, measure_mouth_motion(crops, rows)[steady], sound) for rows in (rival_rows, chosen_rows)
    ]
    # A mouth that moves against the sound is no better than one that rests.
    levels = [math.atanh(min(max(agreement, 0.0), _MOST_AGREEMENT)) for agreement in agreements]
    # Only the moments at which both motions are known count: chance depends on the number of samples.
    seconds = min(measure_seconds(frames, times), (len(ends) + 1) / _INDEPENDENT_RATE)
    gain = (levels[0] - levels[1]) * math.sqrt(seconds)
    return gain, agreements[0], agreements[1]


def _choose_pieces(shared: np.ndarray) -> np.ndarray:
    """Return evenly spread pieces of a long array, or the whole of a short one."""
    if len(shared) <= _MOST_PIECES * _PIECE_FRAMES:
        return shared
    starts = np.linspace(0, len(shared) - _PIECE_FRAMES, _MOST_PIECES).astype(int)
    return np.concatenate([shared[start : start + _PIECE_FRAMES] for start in starts])

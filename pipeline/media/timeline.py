"""One clock for sound and picture where a container's times jump or start again, as in recordings that were joined.

Pure: times in, pieces out; clip_timeline.py reads the times from a file.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# A longer gap without sound and picture is a jump of the times, not a real wait.
LONGEST_GAP_SECONDS = 10.0
# A stream whose times of decoding go back by more starts again: they never do otherwise. Times of showing go back by
# less then, since pictures are decoded up to 0.2 s or so before they are shown.
RESTART_SECONDS = 0.5
SHOWN_RESTART_SECONDS = RESTART_SECONDS / 2
# A stream that goes back by this much, to its first time or before, starts again too, however short it was.
WHOLE_RESTART_SECONDS = 0.1
SAME_TIME_SECONDS = 1e-6  # what rounding may do to a time
# A recorder of a call writes nothing while the microphone is off and the screen stands still: that is a pause. All
# pauses of a clip together last no longer than this; further gaps are jumps.
LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(frozen=True)
class Piece:
    """A stretch of a clip in which the times run on.

    Attributes:
        restarts: how often the times had started again before it.
        start_seconds: where it starts, in the container's time.
        shift_seconds: what is to be taken off the container's times in it.

    """

    restarts: int
    start_seconds: float
    shift_seconds: float


@dataclass(frozen=True)
class Timeline:
    """How a clip's times are to be read.

    Attributes:
        pieces: in order; one for nearly all clips.
        going_back: indices of the streams whose times of decoding go back without starting again, as where parts of a
            recording overlap.
    """

    pieces: tuple[Piece, ...]
    going_back: tuple[int, ...] = ()

    def clip_seconds(self, restarts: int, seconds: float) -> float:
        """Return a time relative to the clip's origin; `restarts` is how often the stream's times started again."""
        shift = self.pieces[0].shift_seconds
        for before, piece in pairwise(self.pieces):
            starts_run = piece.restarts > before.restarts
            if piece.restarts < restarts or (
                piece.restarts == restarts and (starts_run or piece.start_seconds <= seconds + SAME_TIME_SECONDS)
            ):
                shift = piece.shift_seconds
        return seconds - shift

    @property
    def message(self) -> str:
        """Return "" or a sentence about the jumps."""
        if len(self.pieces) == 1:
            return ""
        _, after = self.pieces[:2]
        times = "once" if len(self.pieces) == 2 else f"{len(self.pieces) - 1} times"
        at = after.start_seconds - after.shift_seconds
        return f"the container's times jump {times}, first after {at:.2f} s; sound and picture are closed up there"


class Restarts:
    """Counts how often the times of a stream start again.

    They do where they go back by more than `least` seconds, or to where they began.
    """

    def __init__(self, least: float = RESTART_SECONDS) -> None:
        self.count = 0
        self._least = least
        self._first: float | None = None
        self._last = 0.0

    def after(self, seconds: float) -> int:
        """Take the next time; return how often the times have started again."""
        if self._first is None:
            self._first = seconds
        elif seconds < self._last - (WHOLE_RESTART_SECONDS if seconds <= self._first else self._least):
            self.count += 1
            self._first = seconds
        self._last = seconds
        return self.count


def has_jumps(times: Iterable[float], origin: float, least: float = RESTART_SECONDS) -> bool:
    """Tell whether the times of one stream, in the file's order, may need a Timeline: reading one takes the whole file.

    >>> has_jumps([0.0, 9.0, 18.0], 0.0), has_jumps([0.0, 11.0], 0.0), has_jumps([5.0, 3.0], 0.0)
    (False, True, True)
    """
    last, restarts = origin, Restarts(least)
    for time in times:
        if restarts.after(time) or not last - least <= time <= last + LONGEST_GAP_SECONDS:
            return True
        last = time
    return False


def goes_back(times: Iterable[float]) -> bool:
    """Tell whether times of decoding go back anywhere.

    >>> goes_back([0.0, 0.0, 1.0]), goes_back([0.0, 1.0, 0.9])
    (False, True)
    """
    return any(after < before for before, after in pairwise(times))


def find_pieces(
    streams: Sequence[Sequence[tuple[float, float, float]]],
    origin: float,
    longest_gap: float = LONGEST_GAP_SECONDS,
    is_pause: Callable[[int, float, float], bool] = lambda restarts, start, end: False,
) -> tuple[Piece, ...]:
    """Find where the times of all streams together jump or start again.

    If one stream is silent or still while another one continues, there is no jump.

    Args:
        streams: for each stream its packets in the file's order: time of decoding, start and end, in seconds.
        origin: origin of the clip, in the container's time.
        longest_gap: in seconds; a longer gap counts as a jump, unless it is a pause.
        is_pause: tells whether a gap is a pause, from the number of restarts before it, its start and its end.
    """
    runs: dict[int, list[tuple[float, float]]] = {}
    for stream in streams:
        restarts = Restarts()
        for decoded, start, end in stream:
            runs.setdefault(restarts.after(decoded), []).append((start, end))
    pieces = [Piece(0, origin, origin)]
    clip_end = 0.0
    for run, spans in sorted(runs.items()):
        end = origin if run == 0 else -math.inf  # a run that starts again starts a piece
        for start, stop in sorted(spans):
            if end == -math.inf or (start - end > longest_gap and not is_pause(run, end, start)):
                pieces.append(Piece(run, start, start - clip_end))
            end = max(end, stop)
            clip_end = max(clip_end, end - pieces[-1].shift_seconds)
    return tuple(pieces)


class Pauses:
    """Tells pauses from jumps: after a pause the pictures continue the one before, a new part begins with a key frame.

    Args:
        pictures: for each picture stream its packets' times, see `find_pieces`, and which of them are key frames.
        is_recorders: whether the times are a recorder's clock; then a gap without a picture after it is a pause.
        most: longest time in seconds of all pauses together.
    """

    def __init__(
        self,
        pictures: Iterable[tuple[Sequence[tuple[float, float, float]], Sequence[bool]]],
        is_recorders: bool,
        most: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        self._is_recorders = is_recorders
        self._seconds_left = most
        self._pictures: dict[int, deque[tuple[float, bool]]] = {}
        for given, keys in pictures:
            restarts = Restarts()
            for (decoded, start, _), is_key in zip(given, keys, strict=True):
                self._pictures.setdefault(restarts.after(decoded), deque()).append((start, is_key))

    def __call__(self, restarts: int, start: float, end: float) -> bool:
        """Tell whether a gap is a pause; ask in the order of time."""
        following = self._pictures.get(restarts, deque())
        while following and following[0][0] < end:
            following.popleft()
        goes_on = not following[0][1] if following else self._is_recorders
        if not goes_on or end - start > self._seconds_left:
            return False
        self._seconds_left -= end - start
        return True

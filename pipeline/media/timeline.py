"""One clock for sound and picture where a container's times jump or start again, as in recordings that were joined."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from pipeline.media.container import MediaError, film_streams, is_of_system, opened, origin_seconds, packets, reason

# Nothing is heard or shown for longer than that: the times jump, and no one waited.
LONGEST_GAP_SECONDS = 10.0
# A stream whose times of decoding go back by more starts again: they never do otherwise. Times of showing go back by
# less then, since pictures are decoded up to 0.2 s or so before they are shown.
RESTART_SECONDS = 0.5
SHOWN_RESTART_SECONDS = RESTART_SECONDS / 2
# Who goes back by this to where all began, or before, starts again too, however short that was.
WHOLE_RESTART_SECONDS = 0.1
SAME_TIME_SECONDS = 1e-6  # what rounding may do to a time
# What a packet counts for at most: MP4 knows no gaps, and lets the packet before one last until the next.
LONGEST_PACKET_SECONDS = 1.0
# A recorder of a call writes nothing while the microphone is off and the screen stands still: that is a pause. For
# longer than this no one waited.
LONGEST_PAUSE_SECONDS = 3600.0
RECORDERS_FORMAT = "matroska"  # of WebM too: its times are a recorder's clock, parts joined in it run on
MOST_PIECES = 64  # files that were joined have a few; the times of one that has more mean nothing
LEAD_SECONDS = 1.0  # copied sound starts so late, since a packet may lie before the origin and no time below 0 is kept

# Formats with an index and times of their own, in which a part of a long recording is sought.
SEEKABLE_FORMATS = frozenset({"mov", "matroska"})
MOST_KNOWN = 64  # timelines kept; parts of one recording follow each other


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


_known: dict[tuple[Path, int, int], Timeline] = {}
_reading = threading.Lock()


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
        """Return how often they did when the next one is `seconds`."""
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

    Where one stream is silent or still while another goes on, nothing jumps.

    Args:
        streams: of each stream the packets in the file's order: time of decoding, start and end, in seconds.
        origin: of the clip, in the container's time.
        longest_gap: in seconds; what is longer is closed up,
        is_pause: unless this says so of it, given how often the times had started again, and its start and end.
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


def read_timeline(source: Path, stopping: threading.Event | None = None) -> Timeline:
    """Read the times of all sound and picture streams.

    Raises:
        MediaError: decode_error when they jump too often to mean anything.
        InterruptedError: `stopping` was set meanwhile.
        OSError: when the system cannot read the file.

    """
    with opened(source) as container:
        origin = origin_seconds(container)
        spans: dict[int, list[tuple[float, float, float]]] = {}
        key_frames: dict[int, list[bool]] = {}
        streams = [*film_streams(container), *container.streams.audio]
        for packet in packets(container, streams, lambda error: None, stopping):
            if packet is not None and packet.dts is not None and not packet.is_discard:
                start = packet.dts if packet.pts is None else packet.pts
                base = float(packet.time_base)
                span = (packet.dts * base, start * base, start * base + _duration(packet, base))
                spans.setdefault(packet.stream.index, []).append(span)
                if packet.stream.type == "video":
                    key_frames.setdefault(packet.stream.index, []).append(packet.is_keyframe)
        # Without sound a picture may stand for as long as it likes: a slide show is no jump.
        longest_gap = LONGEST_GAP_SECONDS if container.streams.audio else math.inf
        is_recorders = RECORDERS_FORMAT in container.format.name
    pictures = [(spans[index], keys) for index, keys in key_frames.items()]
    pieces = find_pieces(list(spans.values()), origin, longest_gap, Pauses(pictures, is_recorders))
    if len(pieces) > MOST_PIECES:
        raise MediaError(
            "decode_error",
            f"the container's times jump {len(pieces) - 1} times, more than {MOST_PIECES - 1} mean nothing; "
            "convert the clip so that they run on",
        )
    going_back = [index for index, given in spans.items() if goes_back(decoded for decoded, _, _ in given)]
    return Timeline(pieces, tuple(going_back))


def timeline_of(source: Path, stopping: threading.Event | None = None) -> Timeline:
    """Read a clip's timeline as `read_timeline` does, but once for all parts of a recording."""
    status = source.stat()
    key = source, status.st_size, status.st_mtime_ns
    with _reading:
        timeline = _known.get(key)
    if timeline is None:
        timeline = read_timeline(source, stopping)
        with _reading:
            if len(_known) >= MOST_KNOWN:
                del _known[next(iter(_known))]
            _known[key] = timeline
    return timeline


def can_seek(container: Any, source: Path, stopping: threading.Event | None = None) -> bool:
    """Tell whether a part of an opened clip may be sought: it has an index, and its times run on."""
    if SEEKABLE_FORMATS.isdisjoint(container.format.name.split(",")):
        return False
    timeline = timeline_of(source, stopping)
    return not timeline.message and not timeline.going_back


class Pauses:
    """Tells pauses from jumps: what follows a pause goes on from the picture before, a new part begins anew.

    Args:
        pictures: of each picture stream its packets' times, see `find_pieces`, and which of them are key frames.
        is_recorders: the clip has a recorder's own clock: where no picture follows, it paused.
        most: seconds that all pauses together may last.
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


def _duration(packet: Any, base: float) -> float:
    """Return for how many seconds a packet counts; all the sound of an AVI file may be one of plain samples."""
    seconds = (packet.duration or 0) * base
    codec = packet.stream.codec_context
    is_plain = codec is not None and codec.name.startswith("pcm_")
    return seconds if is_plain else min(seconds, LONGEST_PACKET_SECONDS)


def copy_sound(
    source: Path, ordinal: int, timeline: Timeline, target: Path, stopping: threading.Event | None = None
) -> None:
    """Copy a sound stream's packets to a file in which its times run on, LEAD_SECONDS later than in the clip.

    Raises:
        MediaError: decode_error when the stream cannot be copied.
        InterruptedError: `stopping` was set meanwhile.
        OSError: when the system cannot read the file or write the copy.

    """
    with opened(source) as container:
        stream = container.streams.audio[ordinal]
        try:
            with av.open(f"file:{target.absolute()}", "w", format="nut") as output:
                copy = output.add_stream_from_template(stream)
                for packet in _straightened(container, stream, timeline, stopping):
                    packet.stream = copy
                    output.mux(packet)
        except av.FFmpegError as error:
            if is_of_system(error, source):
                raise
            text = f"the container's times jump and the sound cannot be closed up: {reason(error)}"
            raise MediaError("decode_error", f"{text}; convert the clip so that they run on") from error


def _straightened(container: Any, stream: Any, timeline: Timeline, stopping: threading.Event | None) -> Iterable[Any]:
    """Yield a stream's packets with the clip's times, each later than the one before."""
    restarts, last, base = Restarts(), -1, Fraction(stream.time_base)
    for packet in packets(container, stream, lambda error: None, stopping):
        if packet is None or packet.dts is None:
            continue
        seconds = float(packet.dts * base)
        time = timeline.clip_seconds(restarts.after(seconds), seconds) + LEAD_SECONDS
        last = max(last + 1, round(time / base))
        packet.dts = packet.pts = last  # of sound they are one
        yield packet

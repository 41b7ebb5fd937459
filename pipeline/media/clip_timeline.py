"""A clip's timeline, read from the times of its packets, and once for all parts of a recording."""

import math
import threading
from pathlib import Path
from typing import Any

from pipeline.media.container import MediaError, film_streams, opened, origin_seconds, packets
from pipeline.media.timeline import LONGEST_GAP_SECONDS, Pauses, Timeline, find_pieces, goes_back

# Longest time that one packet counts for. MP4 has no gaps: a packet before a gap lasts until the next packet.
LONGEST_PACKET_SECONDS = 1.0
RECORDERS_FORMAT = "matroska"  # also for WebM: its times are a recorder's clock, and joined parts continue it
MOST_PIECES = 64  # joined files have a few; if there are more, the times are useless

# Formats with an index and their own times; in these, a part of a long recording is found by seeking.
SEEKABLE_FORMATS = frozenset({"mov", "matroska"})
MOST_KNOWN = 64  # timelines kept; parts of one recording follow each other

_known: dict[tuple[Path, int, int], Timeline] = {}
_reading = threading.Lock()


def read_timeline(source: Path, stopping: threading.Event | None = None) -> Timeline:
    """Read the times of all sound and picture streams.

    Raises:
        MediaError: decode_error if they jump so often that they are useless.
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
        # Without sound, a picture may be shown for any time: a slide show has no jump.
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
    """Tell whether seeking works in an opened clip: it has an index, and its times never jump."""
    if SEEKABLE_FORMATS.isdisjoint(container.format.name.split(",")):
        return False
    timeline = timeline_of(source, stopping)
    return not timeline.message and not timeline.going_back


def _duration(packet: Any, base: float) -> float:
    """Return for how many seconds a packet counts; one packet may hold all the plain samples of an AVI file."""
    seconds = (packet.duration or 0) * base
    codec = packet.stream.codec_context
    is_plain = codec is not None and codec.name.startswith("pcm_")
    return seconds if is_plain else min(seconds, LONGEST_PACKET_SECONDS)

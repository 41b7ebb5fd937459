"""Copies a sound stream to a file without jumps, for clips whose times jump or start again."""

import threading
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.media.container import MediaError, is_of_system, opened, packets, reason
from pipeline.media.timeline import Restarts, Timeline

LEAD_SECONDS = 1.0  # delay of the copy: a packet may begin before the origin, and times below 0 are lost


def copy_sound(
    source: Path, ordinal: int, timeline: Timeline, target: Path, stopping: threading.Event | None = None
) -> None:
    """Copy a sound stream's packets to a file whose times never jump, LEAD_SECONDS later than in the clip.

    Raises:
        MediaError: decode_error if the stream cannot be copied.
        InterruptedError: `stopping` was set.
        OSError: if the system cannot read the file or write the copy.

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
        packet.dts = packet.pts = last  # for sound, both times are the same
        yield packet

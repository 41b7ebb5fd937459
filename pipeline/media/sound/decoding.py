"""A sound stream's decoded frames with the clip's times, and the damage that was found."""

import errno
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.media.container import SoughtTooFarError, is_of_system, packets, reason
from pipeline.media.sound.resampling import frame_values, with_values
from pipeline.media.timeline import LONGEST_GAP_SECONDS, RESTART_SECONDS, Restarts, Timeline
from store.text import format_count

LEAST_TIME_LIMIT_SECONDS = 600.0  # sound decodes hundreds of times faster than it plays; if it is slower, it hangs
MOST_TIME_LIMIT_SECONDS = 24 * 3600.0
HIGHEST_RATE = 1 << 20  # Hz; no recorder has a higher rate, but a damaged header may claim one


def time_limit(sound_seconds: float) -> float:
    """Return how many seconds the decoding of so much sound may take, even if a header claims more."""
    return min(LEAST_TIME_LIMIT_SECONDS + max(0.0, sound_seconds), MOST_TIME_LIMIT_SECONDS)


class TimesJumpError(Exception):
    """The sound's times jump or start again, so they must be read together with the picture's."""


class SoundDecoder:
    """Decodes one sound stream.

    Attributes:
        num_packets: number of packets read so far.
        num_bad: number of those packets that are cut off or could not be decoded.
        first_error: ffmpeg's message for the first of these, or "".
        span_seconds: end of the last packet, in the clip's time.
        decoded_seconds: length of the decoded sound.

    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        *,
        origin: float,
        timeline: Timeline | None,
        may_jump: bool = True,
        begin_seconds: int = 0,
        stopping: threading.Event | None = None,
    ) -> None:
        """Prepare decoding.

        Args:
            container: an opened clip.
            stream: one of its sound streams, which has a decoder.
            origin: the clip's origin in the container's time; not used with a timeline.
            timeline: the clip's timeline, if its times are known to jump.
            may_jump: without a timeline, False uses the times unchanged, and True raises an error if they jump.
            begin_seconds: frames that begin earlier are left out, because the container was sought.
            stopping: once it is set, the work ends.

        """
        self.num_packets = self.num_bad = 0
        self.first_error = ""
        self.span_seconds = self.decoded_seconds = 0.0
        self._container, self._stream = container, stream
        self._source = Path(container.name.removeprefix("file:"))
        self._origin, self._timeline, self._may_jump = origin, timeline, may_jump
        self._stopping = stopping
        self._seen_errors: set[tuple[type, int | None]] = set()
        self._base = float(stream.time_base)
        self._restarts = Restarts()
        self._last_ticks: int | None = None
        self._next_seconds = 0.0
        self._rate, self._tick = 0, Fraction(1)
        self._shift = 0.0  # difference between the container's time and the clip's, in samples
        self._at = 0  # start of the newest frame in the container's time, in samples
        self._begin_seconds, self._has_begun = begin_seconds, begin_seconds == 0
        stream.codec_context.thread_count = 1

    def frames(self) -> Iterator[Any]:
        """Yield the frames; a frame's `pts` counts samples of its own rate from the clip's origin.

        Raises:
            TimesJumpError: if the times jump and no timeline was given.
            SoughtTooFarError: if there is no frame before the first wanted one.
            OSError: if the system cannot read the file.
            TimeoutError: if it takes ten minutes longer than the sound lasts.

        """
        end, held = 0, None
        for packet in self._packets():
            if packet is not None:
                end = packet.duration or 0
            for frame in self._decode(packet):
                if held is not None:
                    yield held
                held = frame if self._place(frame) and self._begins(frame) else None
        if held is not None and "mov" in self._container.format.name.split(","):
            held = self._cut_at_end(held, end)
        if held is not None:
            yield held

    def scan(self) -> None:
        """Read only the packets' times.

        Raises:
            TimesJumpError: if the times jump.
            OSError: if the system cannot read the file.

        """
        for _ in self._packets():
            pass

    def check_stopping(self) -> None:
        """Raise an InterruptedError if the work must stop; filled-in silence has no packets that check this."""
        if self._stopping is not None and self._stopping.is_set():
            raise InterruptedError(errno.EINTR, "the work was stopped", str(self._source))

    def note_bad(self, error: Exception) -> None:
        """Count an error of the file; raise an error of the system."""
        self.num_bad += 1
        self._note(error)

    def notes(self) -> list[str]:
        """Return a clause about the damage, if there is any."""
        if not self.num_bad and not self.first_error:
            return []
        detail = f" ({self.first_error})" if self.first_error else ""
        packets = format_count(self.num_packets, "packet")
        what = f"{self.num_bad} of {packets} could not be decoded" if self.num_bad else "it breaks off"
        return [f"the sound is damaged: {what}{detail}"]

    def _packets(self) -> Iterator[Any]:
        started, last = time.monotonic(), self._origin
        for packet in packets(self._container, self._stream, self._note, self._stopping):
            if packet is not None:
                self.num_packets += 1
                self.num_bad += packet.is_corrupt
                if packet.dts is not None:
                    last = self._check(packet, last)
                if self.num_packets % 64 == 0:
                    self._check_time(time.monotonic() - started)
            yield packet

    def _check(self, packet: Any, last: float) -> float:
        """Check a packet's times, correct them if there is a timeline, and return its time of decoding."""
        base = self._base
        seconds = packet.dts * base
        if self._timeline is not None:
            clip_seconds = self._timeline.clip_seconds(self._restarts.after(seconds), seconds)
            ticks = round(clip_seconds / base)
            self._last_ticks = ticks if self._last_ticks is None else max(self._last_ticks + 1, ticks)
            packet.dts = packet.pts = self._last_ticks  # for sound, both times are the same
        elif self._may_jump:
            goes_on = last - RESTART_SECONDS <= seconds <= last + LONGEST_GAP_SECONDS
            if self._restarts.after(seconds) or not goes_on:
                raise TimesJumpError
        start = packet.dts if packet.pts is None else packet.pts
        origin = 0.0 if self._timeline is not None else self._origin
        self.span_seconds = max(self.span_seconds, (start + (packet.duration or 0)) * base - origin)
        return seconds

    def _check_time(self, seconds: float) -> None:
        limit = time_limit(self.span_seconds)
        if seconds > limit:
            raise TimeoutError(
                f"the sound of {self._source} did not decode within {limit:.0f} s; does the disk answer?"
            )

    def _decode(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = self._stream.codec_context.decode(packet)
        except (av.FFmpegError, ValueError, OverflowError, MemoryError) as error:
            self.num_bad += packet is None or not packet.is_corrupt
            self._note(error)
            return []
        return frames

    def _note(self, error: Exception) -> None:
        """Count damage; raise an error of the system."""
        kind = (type(error), getattr(error, "errno", None))
        if kind not in self._seen_errors and is_of_system(error, self._source):  # this may read the whole file
            raise error
        self._seen_errors.add(kind)
        self.first_error = self.first_error or reason(error)

    def _place(self, frame: Any) -> bool:
        """Set a frame's time from the clip's origin; tell whether it holds sound."""
        rate = frame.sample_rate
        if not 0 < rate <= HIGHEST_RATE or frame.samples <= 0:
            self.num_bad += 1
            self.first_error = self.first_error or f"{frame.samples} samples of {rate} Hz"
            return False
        if rate != self._rate:
            self._rate, self._tick = rate, Fraction(1, rate)
            origin = 0.0 if self._timeline is not None else round(self._origin, 6)
            self._shift = origin / (1.0 / rate)
        if frame.pts is not None:
            base = frame.time_base
            above, below = 2 * frame.pts * base.numerator * rate, base.denominator
            self._at = (above + below) // (2 * below)  # rounded
            frame.pts = int(self._at - self._shift)
        else:
            frame.pts = round(self._next_seconds * rate)
            self._at = frame.pts + round(self._shift)
        frame.time_base = self._tick
        self._next_seconds = (frame.pts + frame.samples) / rate
        self.decoded_seconds += frame.samples / rate
        return True

    def _begins(self, frame: Any) -> bool:
        """Tell whether a frame is wanted."""
        if self._has_begun:
            return True
        seconds = frame.samples / frame.sample_rate
        self._has_begun = frame.pts >= self._begin_seconds * frame.sample_rate
        if self._has_begun:
            if self.decoded_seconds <= seconds:  # it is the very first frame
                raise SoughtTooFarError
            self.decoded_seconds = seconds
        return self._has_begun

    def _cut_at_end(self, frame: Any, last_packet_ticks: int) -> Any:
        """Remove the samples of an MP4 file's last packet that exceed the file's length.

        An encoder pads its last packet. ffmpeg removes the padding since version 9; PyAV has version 8. Neither removes
        it in a file of fragments, whose header lists no packets.
        """
        rate, over = frame.sample_rate, 0
        if not self._stream.frames:
            return frame
        if last_packet_ticks:
            over = frame.samples - round(last_packet_ticks * self._stream.time_base * rate)
        if self._stream.duration and self._timeline is None:
            listed = self._stream.duration * self._stream.time_base * rate
            over = max(over, round(self._at + frame.samples - listed))
        if not 0 < over <= frame.samples:  # more than a packet: the numbers have another meaning
            return frame
        return None if over == frame.samples else with_values(frame, frame_values(frame)[:, : frame.samples - over])

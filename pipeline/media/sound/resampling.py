"""Decoded sound of any formats to mono PCM-16 of one rate, by ffmpeg's own resampler (libswresample)."""

import struct
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type as SideDataType

from pipeline.media.sound.wav_files import check_length

# Decoders give formats by these names; a name that ends in p has one plane for each channel.
_FULL_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 9223372036854775808.0, "flt": 1.0, "dbl": 1.0}
_UNSIGNED = ("u8", "u8p")  # whose silence is 128
_DOWNMIX_INFO = struct.Struct("=i4xddddd")  # ffmpeg's AVDownmixInfo
_LTRT = (2, 3)  # its kinds that are matrix encoded: Lt/Rt and Dolby Pro Logic II
FRAMES_AT_ONCE = 16  # the work waits until so many are there: asking for each costs as much as the work
BLOCK_SAMPLES = 8192  # samples of a block of the result
_UNKNOWN_LAYOUT = " channels"  # ending of a layout's name that only counts channels
# libswresample allocates memory for all the silence that it fills in. It gets all but this of a longer one in blocks.
LONGEST_FILLED_SECONDS = 10.0
SILENT_SAMPLES = 1 << 15  # in a block


class MonoResampler:
    """Mixes, resamples and places decoded frames on the clip's time.

    Silence is added once before sound that starts late, and in gaps of more than 0.1 s. An overlap of more than 0.1 s
    is dropped. If the format changes midway, the sound continues at the same place: each format has its own resampler,
    which knows how many samples were written before.

    Attributes:
        num_samples: number of samples of the clip so far.
        num_formats: number of formats so far; a change back counts, too.
        equal_mixes: names of the layouts whose channels ffmpeg cannot mix by weights.
        num_of_channel: number of frames that had the requested channel.
        without_channel: start in seconds of the first frame without the requested channel, and its number of channels.

    Args:
        sample_rate: sample rate of the result, in Hz.
        channel: the channel to take, from 0. By default ffmpeg mixes all by the weights of their layout; channels
            without a known layout have equal weights.
        num_samples: number of earlier samples of the clip that are not wanted.
    """

    def __init__(self, sample_rate: int, channel: int | None = None, num_samples: int = 0) -> None:
        self.num_samples = num_samples
        self.num_formats = 0
        self.equal_mixes: set[str] = set()
        self.num_of_channel = 0
        self.without_channel: tuple[float, int] | None = None
        self._sample_rate = sample_rate
        self._channel = channel
        self._key: tuple[str, str, int, str] | None = None
        self._num_pushed = 0
        self._next = 0  # where the newest frame ends, in samples of its rate
        self._graph: Any = None  # its filters do not hold it
        self._source: Any = None
        self._sink: Any = None

    def push(self, frame: Any, values: np.ndarray) -> Iterator[np.ndarray]:
        """Take a decoded frame; yield what is ready, (n,) int16.

        Args:
            frame: its `pts` counts samples of its own rate from the clip's origin.
            values: its samples, (channels, n), in its own number format, all of them finite.

        Raises:
            av.FFmpegError: when ffmpeg cannot resample it.
            TooLongError: when it is so late that no WAV file holds the silence before it.
        """
        layout = frame.layout.name
        takes_channel = self._channel is not None and self._channel < len(values)
        if takes_channel:
            self.num_of_channel += 1
            frame = _mono_frame(frame, values[self._channel])
        elif layout in self.equal_mixes:
            frame = _equal_mix(frame, values)
        if self._channel is not None and not takes_channel and self.without_channel is None:
            self.without_channel = frame.pts / frame.sample_rate, len(values)
        key = (frame.format.name, layout, frame.sample_rate, _mixing_levels(frame))
        if key != self._key:
            if self._key is None or key[:3] != self._key[:3]:
                self.num_formats += 1
            yield from self.finish()
            if not takes_channel and layout not in self.equal_mixes and not self._can_mix(frame):
                self.equal_mixes.add(layout)
                frame = _equal_mix(frame, values)
                key = (frame.format.name, layout, frame.sample_rate, "")
            self._start(frame)
            self._key = key
        yield from self._fill(frame)
        self._source.push(frame)
        self._next = frame.pts + frame.samples
        self._num_pushed += 1
        if self._num_pushed % FRAMES_AT_ONCE == 0:
            yield from self._drain()

    def _fill(self, frame: Any) -> Iterator[np.ndarray]:
        """Push silence before a frame that comes late, up to the last seconds, which the resampler fills in itself.

        It is what the resampler would do: samples of the frame's own rate and format before they are resampled, so that
        the result is the same to the bit.
        """
        check_length(round(frame.pts * self._sample_rate / frame.sample_rate), self._sample_rate)
        most = round(LONGEST_FILLED_SECONDS * frame.sample_rate)
        while (missing := frame.pts - self._next - most) > 0:
            silent = _silent_frame(frame, min(missing, SILENT_SAMPLES), self._next)
            self._source.push(silent)
            self._next += silent.samples
            yield from self._drain()

    def finish(self) -> Iterator[np.ndarray]:
        """Yield what the resampler still holds."""
        if self._key is not None:
            self._source.push(None)
            yield from self._drain()
            self._key = None

    def _can_mix(self, frame: Any) -> bool:
        try:
            self._start(frame)
        except av.FFmpegError:
            return False
        return True

    def _start(self, frame: Any) -> None:
        rate, layout = frame.sample_rate, frame.layout.name
        if layout.endswith(_UNKNOWN_LAYOUT):
            layout = f"{frame.layout.nb_channels}c"  # the usual one of so many channels, as the program ffmpeg guesses
        # first_pts counts samples of the input. 0 corrects any difference at the start. Any other value corrects only
        # more than 0.1 s, so that the sound before and after a change of format stays together.
        written = self._next = round(self.num_samples * rate / self._sample_rate)
        self._graph = graph = Graph()
        self._source = graph.add(
            "abuffer", f"sample_rate={rate}:sample_fmt={frame.format.name}:channel_layout={layout}:time_base=1/{rate}"
        )
        resample = graph.add("aresample", f"{self._sample_rate}:async=1:first_pts={written}{_mixing_levels(frame)}")
        wanted = graph.add("aformat", f"sample_fmts=s16:sample_rates={self._sample_rate}:channel_layouts=mono")
        larger = graph.add("asetnsamples", f"n={BLOCK_SAMPLES}:p=0")
        self._sink = graph.add("abuffersink")
        self._source.link_to(resample)
        resample.link_to(wanted)
        wanted.link_to(larger)
        larger.link_to(self._sink)
        graph.configure()

    def _drain(self) -> Iterator[np.ndarray]:
        while True:
            try:
                block = self._sink.pull().to_ndarray()[0]
            except (av.BlockingIOError, av.EOFError):
                return
            self.num_samples += len(block)
            yield block


def _mixing_levels(frame: Any) -> str:
    """Return the levels at which a stream wants its channels mixed, as options; AC-3 says so in every packet."""
    if frame.layout.nb_channels <= 2:
        return ""
    for data in frame.side_data:
        if data.type == SideDataType.DOWNMIX_INFO and len(bytes(data)) >= _DOWNMIX_INFO.size:
            kind, centre, centre_ltrt, surround, surround_ltrt, low = _DOWNMIX_INFO.unpack_from(bytes(data))
            if kind in _LTRT:
                centre, surround = centre_ltrt, surround_ltrt
            if all(0 <= level <= 32 for level in (centre, surround, low)):
                return f":clev={centre!r}:slev={surround!r}:lfe_mix_level={low!r}"
    return ""


def frame_values(frame: Any) -> np.ndarray:
    """Return a decoded frame's samples, (channels, n), in its own number format."""
    audio = frame.format
    if not audio.is_planar or audio.bytes != 4:
        values: np.ndarray = frame.to_ndarray()
        return values if audio.is_planar else values.reshape(frame.samples, -1).T
    # Most sound is floating point by channels, of which NumPy makes one array faster than PyAV.
    kind = np.float32 if audio.name == "fltp" else np.int32
    return np.array([np.frombuffer(plane, kind, frame.samples) for plane in frame.planes])


def full_scale(format_name: str) -> float:
    """Return the number that is as loud as can be in a format: 32768 for s16, 1 for floating point."""
    return _FULL_SCALE[format_name.removesuffix("p")]


def with_values(frame: Any, values: np.ndarray) -> Any:
    """Return a frame of the same format, rate and start with other samples, (channels, n)."""
    array = values if frame.format.is_planar else values.T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), format=frame.format.name, layout=frame.layout.name)
    made.sample_rate, made.pts, made.time_base = frame.sample_rate, frame.pts, frame.time_base
    return made


def _mono_frame(frame: Any, values: np.ndarray) -> Any:
    name = frame.format.name.removesuffix("p")
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(values[None]), format=name, layout="mono")
    made.sample_rate, made.pts, made.time_base = frame.sample_rate, frame.pts, frame.time_base
    return made


def _silent_frame(frame: Any, count: int, start: int) -> Any:
    """Return a frame like another one, of silence; `start` counts samples."""
    made = av.AudioFrame(format=frame.format.name, layout=frame.layout, samples=count)
    rest = b"\x80" if frame.format.name in _UNSIGNED else b"\0"
    for plane in made.planes:
        plane.update(rest * plane.buffer_size)
    made.sample_rate, made.pts, made.time_base = frame.sample_rate, start, frame.time_base
    return made


def _equal_mix(frame: Any, values: np.ndarray) -> Any:
    scale = full_scale(frame.format.name)
    middle = scale if values.dtype.kind == "u" else 0.0
    mixed = ((values.mean(axis=0, dtype=np.float64) - middle) / scale).astype(np.float32)
    made = av.AudioFrame.from_ndarray(mixed[None], format="flt", layout="mono")
    made.sample_rate, made.pts, made.time_base = frame.sample_rate, frame.pts, frame.time_base
    return made

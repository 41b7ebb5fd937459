"""Which of a clip's sound streams counts."""

from typing import Any

from av.stream import Disposition

from pipeline.media.container import MediaError


def streams_to_try(container: Any, ordinal: int | None = None) -> list[int]:
    """Return the sound streams, counted from 0 among them, in the order in which they are worth a try.

    First the one that ffmpeg thinks best, then those that are marked as default, each only if ffmpeg has a decoder for
    it; or the one asked for alone.

    Raises:
        MediaError: no_stream when there is none, decode_error when no decoder knows the codec of any.

    """
    streams = container.streams.audio
    if not streams:
        raise MediaError("no_stream", "the file has no audio stream")
    if ordinal is not None and ordinal >= len(streams):
        raise MediaError("no_stream", f"audio stream {ordinal} was asked for; the file has {len(streams)}, from 0")
    wanted = range(len(streams)) if ordinal is None else [ordinal]
    decodable = [i for i in wanted if streams[i].codec_context is not None]
    if not decodable:
        names = ", ".join(describe_stream(container, i) for i in range(len(streams)))
        raise MediaError("decode_error", f"no decoder for the sound; the file has {names}")
    best = best_ordinal(container)
    return sorted(decodable, key=lambda i: (i != best, not streams[i].disposition & Disposition.default, i))


def best_ordinal(container: Any) -> int:
    """Return which of the sound streams, from 0, ffmpeg thinks best, whether it can decode it or not."""
    best = container.streams.best("audio")
    indices = [stream.index for stream in container.streams.audio]
    return indices.index(best.index) if best is not None else 0


def describe_stream(container: Any, ordinal: int) -> str:
    """Say in words which sound stream this is: "stream 0 (aac, 2 channels)"."""
    stream = container.streams.audio[ordinal]
    context = stream.codec_context
    if context is None:
        return f"stream {ordinal} (of a codec that no decoder knows)"
    return f"stream {ordinal} ({context.name}, {context.channels} channel{'s' * (context.channels != 1)})"

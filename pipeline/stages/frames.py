"""ExtractFrames: when each frame is shown, and its pixels if the settings ask for them (paper II-B)."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline import media
from pipeline.dataset.overrides import Override, parse_text
from pipeline.errors import TransientError
from pipeline.media.jpeg import decode_jpeg, encode_jpeg
from pipeline.media.pages import release_pages
from pipeline.runs.run import compute_file_digest
from pipeline.settings.config import Settings
from pipeline.stages.shard_job import GONE, ShardJob, UnreadableError
from store.records.plans import Member
from store.shard.reader import Shard
from store.shard.writer import UtteranceRows

#: Number of frames decoded ahead of the reader.
FRAMES_AHEAD = 8
# Bytes of kept pixels that are held in memory at once.
_BYTES_AT_ONCE = 16 << 20
#: A frame table (None if it could not be read), its status and its message.
_Scanned = tuple[media.FrameTable | None, str, str]


def extract_frames(job: ShardJob) -> None:
    """Read when each frame of the shard's clips is shown; keep their pixels too where the settings say so."""
    with contextlib.ExitStack() as stack:
        # Files are closed in the opposite order, so the pixels are complete when the frame table appears.
        writer = job.missing_writer(stack, "frames")
        settings = job.run.settings
        scan = _Scans(settings.frames.max_pixels)
        pixels = job.missing_writer(stack, "frames", beside="pixels") if settings.frames.store_pixels else None
        found = []
        for member in job.members:
            override = parse_text(member.override)
            digest, (table, status, message) = _look_at(job, member, override, scan)
            if writer is not None:
                with writer.utterance(member.name, source_sha256=digest) as rows:
                    rows.set_status(status, message)
                    _write_table(table, rows)
            if pixels is not None:
                with pixels.utterance(member.name, source_sha256=digest) as images:
                    images.set_status(status, message)
                    if table is not None:
                        with job.reading(member) as source:
                            _keep_pixels(source, table, images, override, job.run.settings)
            found.append((status, message))
            job.tick()
        job.check_any_is_read(found)


def _look_at(job: ShardJob, member: Member, override: Override, scan: "_Scans") -> tuple[str, _Scanned]:
    """Return a clip's digest and its frame table; "" and the reason if the clip cannot be read."""
    try:
        with job.reading(member) as source:
            return "" if source is None else compute_file_digest(source), scan(source, override)
    except UnreadableError as error:
        return "", (None, "missing_file", str(error))


class _Scans:
    """Scans clips. A recording with several parts, which follow each other, is scanned once."""

    def __init__(self, most_pixels: int) -> None:
        self._most_pixels = most_pixels
        self._key: tuple[Path, Override] | None = None
        self._whole: _Scanned = (None, "", "")

    def __call__(self, source: Path | None, override: Override) -> _Scanned:
        """Return the frame table of a clip, or of its part of a recording."""
        if source is None:
            return None, "missing_file", GONE
        if override.cut is None:
            return _scan(source, override, self._most_pixels)
        key = source, replace(override, cut=None)
        if key != self._key:
            self._whole, self._key = _scan(*key, self._most_pixels), key
        table, status, message = self._whole
        if table is None:
            return None, status, message
        try:
            table = media.cut_table(table, media.Cut(*override.cut))
        except media.MediaError as error:
            return None, error.status, str(error)
        return table, "ok", table.message


def _scan(source: Path, override: Override, most_pixels: int) -> _Scanned:
    try:
        table = media.scan_frames(
            source,
            stream=override.video_stream,
            most_pixels=most_pixels,
            turn_degrees=override.rotation or 0,
        )
    except media.MediaError as error:
        return None, error.status, str(error)
    return table, "ok", table.message


def _write_table(table: media.FrameTable | None, rows: UtteranceRows) -> None:
    if table is None:
        return
    rows.append(time=table.times_seconds)
    rows.facts = {
        "width": table.width,
        "height": table.height,
        "rotation": table.rotation_degrees,
        "sample_aspect_ratio": table.sample_aspect_ratio,
        "frame_rate": table.frame_rate,
        "num_frames_listed": table.num_frames_listed,
        "codec": table.codec,
    }


def read_table(frames: Shard, name: str) -> media.FrameTable:
    """Read an utterance's frame table back from the store."""
    return media.FrameTable(
        times_seconds=frames.rows(name, "time"),
        width=frames.fact(name, "width"),
        height=frames.fact(name, "height"),
        rotation_degrees=frames.fact(name, "rotation"),
        sample_aspect_ratio=frames.fact(name, "sample_aspect_ratio"),
        num_frames_listed=frames.fact(name, "num_frames_listed"),
        codec=frames.fact(name, "codec"),
        frame_rate=frames.fact(name, "frame_rate"),
        message=frames.fact(name, "message"),
    )


def _keep_pixels(
    source: Path | None, table: media.FrameTable, images: UtteranceRows, override: Override, settings: Settings
) -> None:
    """Keep one image per row of the frame table; a frame that cannot be decoded has no bytes."""
    if source is None:
        raise TransientError(f"{images.name}: {GONE}; run again")
    quality = settings.faces.jpeg_quality
    stopping = threading.Event()
    frames = open_frames(source, table, override, threads=settings.num_threads, stopping=stopping)
    try:
        for frame in media.prefetch(frames, FRAMES_AHEAD, stopping):
            missing = frame.index - images.length
            images.append_bytes([b""] * missing + [encode_jpeg(frame.image, quality=quality)])
    except media.MediaError as error:
        images.set_status(error.status, str(error))
    images.append_bytes([b""] * (len(table.times_seconds) - images.length))


def open_frames(
    source: Path,
    table: media.FrameTable,
    override: Override,
    *,
    threads: int,
    stopping: threading.Event | None = None,
) -> media.FrameReader:
    """Open the frames of a clip's table, with the user's overrides: which stream, how it is turned, which part."""
    return media.read_frames(
        source,
        table,
        threads=threads,
        stream=override.video_stream,
        turn_degrees=override.rotation or 0,
        start_seconds=override.cut[0] if override.cut else None,
        stopping=stopping,
    )


def read_kept_frames(pixels: Shard, name: str, table: media.FrameTable) -> Iterator[media.Frame]:
    """Read an utterance's frames from the kept pixels instead of the clip."""
    num_read = 0
    for index, data in enumerate(pixels.images(name)):
        if data:
            yield media.Frame(index, float(table.times_seconds[index]), decode_jpeg(data))
        num_read += len(data)
        if num_read >= _BYTES_AT_ONCE:
            release_pages(pixels.dataset("bytes"))
            num_read = 0

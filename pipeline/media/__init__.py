"""The only place that opens a video or runs ffmpeg."""

from pipeline.media.container import MediaError
from pipeline.media.picture import Frame, FrameReader, FrameTable, read_frames
from pipeline.media.prefetch import prefetch
from pipeline.media.scanning import MOST_PIXELS, scan_frames
from pipeline.media.sound import Sound, extract_wav, ffmpeg_binary
from pipeline.media.writing import write_clip

__all__ = [
    "MOST_PIXELS",
    "Frame",
    "FrameReader",
    "FrameTable",
    "MediaError",
    "Sound",
    "extract_wav",
    "ffmpeg_binary",
    "prefetch",
    "read_frames",
    "scan_frames",
    "write_clip",
]

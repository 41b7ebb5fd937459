"""The only place that opens a video or runs ffmpeg."""

from pipeline.media.container import MediaError
from pipeline.media.cutting import Cut, cut_table, cut_wav
from pipeline.media.picture import Frame, FrameReader, FrameTable, read_frames
from pipeline.media.prefetch import prefetch
from pipeline.media.scanning import MOST_PIXELS, scan_frames
from pipeline.media.sound.extraction import Sound, extract_wav
from pipeline.media.sound.ffmpeg import FfmpegError, ffmpeg_binary, sound_engine
from pipeline.media.writing import write_clip

__all__ = [
    "MOST_PIXELS",
    "Cut",
    "FfmpegError",
    "Frame",
    "FrameReader",
    "FrameTable",
    "MediaError",
    "Sound",
    "cut_table",
    "cut_wav",
    "extract_wav",
    "ffmpeg_binary",
    "prefetch",
    "read_frames",
    "scan_frames",
    "sound_engine",
    "write_clip",
]

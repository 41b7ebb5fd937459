"""The only place that opens a video or runs ffmpeg."""

from pipeline.media.writing import write_clip

__all__ = ["write_clip"]

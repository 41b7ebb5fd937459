"""What each stage does to a shard: the clips, each with its status, into one file of the store."""

from pipeline.stages.align_faces import align_faces
from pipeline.stages.embedding import cache_face_features
from pipeline.stages.frames import extract_frames
from pipeline.stages.shard_job import ShardJob
from pipeline.stages.sound import compute_stft, extract_wav

__all__ = [
    "ShardJob",
    "align_faces",
    "cache_face_features",
    "compute_stft",
    "extract_frames",
    "extract_wav",
]

"""What each stage does to a shard: the clips, each with its status, into one file of the store."""

from pipeline.stages.align_faces import align_faces
from pipeline.stages.embedding import cache_face_features
from pipeline.stages.features import compute_feature
from pipeline.stages.frames import extract_frames
from pipeline.stages.shard_job import ShardJob
from pipeline.stages.sound import compute_stft, extract_wav

__all__ = [
    "ShardJob",
    "align_faces",
    "cache_face_features",
    "compute_feature",
    "compute_stft",
    "extract_frames",
    "extract_wav",
    "work_on",
]

_FUNCTIONS = {
    "wav": extract_wav,
    "stft": compute_stft,
    "frames": extract_frames,
    "faces": align_faces,
    "embeddings": cache_face_features,
}


def work_on(stage: str, job: ShardJob) -> None:
    """Do a stage of the chain, or compute a declared feature."""
    if stage in job.run.features:
        compute_feature(job, stage)
    else:
        _FUNCTIONS[stage](job)

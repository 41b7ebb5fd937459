"""CacheFaceFeatures: SphereFace embeddings of the crops (paper III-B), and what is kept of the crops."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.paper import FEATURE_SIZE
from models.precision import computing_exactly
from models.sphereface import Precision, SphereFace20, build_sphereface, embed_crops, prepare_embedder
from pipeline import config
from pipeline.crops import remove_spare_crops
from pipeline.mapped import release_pages
from pipeline.stages.device import describe_device, find_device, find_precision, torch_threads
from pipeline.stages.frames import encode_jpeg
from pipeline.stages.job import ROWS_AT_ONCE, ShardJob, carry_on, in_parallel
from store.shard import Shard

# Faces per batch where the settings leave it open; 8 spread a single clip best over few cores (docs/decisions/004).
_BATCH_SIZES = {"cpu": 8, "cuda": 256}


def cache_face_features(job: ShardJob) -> None:
    """Embed the shard's crops, then keep the crops as the settings say."""
    crops = job.rows("crops")
    if not job.run.path("embeddings", job.shard).exists():
        _write_embeddings(job, crops)
    if config.faces().crops == "jpeg" and not job.run.path("crops_jpeg", job.shard).exists():
        _keep_jpeg_crops(job, crops)
    remove_spare_crops(job.run, job.shard)


def _write_embeddings(job: ShardJob, crops: Shard) -> None:
    blocks = embed_all(crops.dataset("crop"), job.run.weights["sphereface20"].path)
    left = np.empty((0, FEATURE_SIZE), np.float32)
    made_in = {"device": describe_device(find_device()), "arithmetic": find_precision(find_device())}
    with job.writer("embeddings", made_in=made_in) as writer:
        for name in crops.names:
            with writer.utterance(name, source_sha256=crops.fact(name, "source_sha256")) as rows:
                carry_on(crops, rows)
                while rows.length < crops.fact(name, "length"):
                    left = left if len(left) else next(blocks)
                    part, left = np.split(left, [min(len(left), crops.fact(name, "length") - rows.length)])
                    rows.append(embedding=part)
            job.tick()


def embed_all(crops: np.ndarray, weights: Path | None) -> Iterator[np.ndarray]:
    """Embed all crops of a shard end to end: batches are full however short the clips are.

    On a CPU one batch per core, each on one thread; on a GPU one after the other.

    Args:
        crops: (N, 112, 96, 3) uint8 BGR; may be memory-mapped.
        weights: SphereFace's file; None for random weights.

    Returns:
        Blocks of (at most one batch, 512) float32, in order.
    """
    settings = config.embeddings()
    device = find_device()
    precision = find_precision(device)
    batch_size = settings.batch_size or _BATCH_SIZES[device]
    network = load_embedder(weights, precision, device)

    def embed(start: int) -> np.ndarray:
        return embed_crops(
            network,
            crops[start : start + batch_size],
            channel_order=settings.channel_order,
            precision=precision,
            batch_size=batch_size,
            device=device,
        )

    workers = config.number_of_threads() if device == "cpu" else 1
    with computing_exactly(), torch_threads(1 if device == "cpu" else config.number_of_threads()):
        num_read = 0
        for block in in_parallel(embed, range(0, len(crops), batch_size), workers=workers):
            yield block
            num_read += len(block)
            if num_read >= ROWS_AT_ONCE:
                release_pages(crops)
                num_read = 0


def _keep_jpeg_crops(job: ShardJob, crops: Shard) -> None:
    made_in = {"jpeg_quality": str(config.faces().jpeg_quality)}
    with job.writer("faces", beside="crops_jpeg", made_in=made_in) as writer:
        for name in crops.names:
            with writer.utterance(name, source_sha256=crops.fact(name, "source_sha256")) as rows:
                carry_on(crops, rows)
                for crop in crops.rows(name, "crop"):
                    rows.append_bytes([encode_jpeg(crop)])


@functools.cache
def load_embedder(weights: Path | None, precision: Precision, device: str) -> SphereFace20:
    """Load SphereFace-20 once a process."""
    return prepare_embedder(build_sphereface(weights, seed=config.run().seed), precision=precision, device=device)

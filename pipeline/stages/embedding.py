"""CacheFaceFeatures: SphereFace embeddings of the crops (paper III-B), and what is kept of the crops."""

import functools
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from models.choices import FeaturePrecision
from models.networks.precision import computing_exactly
from models.paper import FEATURE_SIZE
from models.sphereface.embedder import Embedder, Engine, find_engine
from models.sphereface.native_engine import MOST_CROPS
from models.sphereface.network import build_sphereface
from models.weights.table import ResolvedWeights, WeightsError
from pipeline.errors import UserError
from pipeline.media.jpeg import encode_jpeg
from pipeline.media.pages import release_pages
from pipeline.runs.kept_crops import remove_passing_crops
from pipeline.settings.config import Settings
from pipeline.stages.device import describe_device, find_device, find_precision, torch_threads
from pipeline.stages.shard_job import ROWS_AT_ONCE, ShardJob, carry_on, in_parallel
from store.shard.reader import Shard

# PyTorch's batch size where the settings give none; 8 crops spread a clip best over few cores (docs/decisions/004).
_BATCH_SIZES = {"cpu": 8, "cuda": 256}


def cache_face_features(job: ShardJob) -> None:
    """Embed the shard's crops, then keep the crops as the settings say."""
    crops = job.rows("crops")
    to_make = job.run.find_work(job.shard).get("embeddings", ())
    if "embeddings" in to_make:
        _write_embeddings(job, crops)
    if "crops_jpeg" in to_make:
        # Each clip is counted once, even when both files are made.
        _keep_jpeg_crops(job, crops, tick=(lambda: None) if "embeddings" in to_make else job.tick)
    remove_passing_crops(job.run, job.shard)


def _write_embeddings(job: ShardJob, crops: Shard) -> None:
    settings = job.run.settings
    blocks = embed_all(crops.dataset("crop"), job.run.weights["sphereface20"].path, settings)
    left = np.empty((0, FEATURE_SIZE), np.float32)
    num_written = 0
    device = find_device(settings)
    precision = find_precision(settings, device)
    made_in = {
        "device": describe_device(device),
        "arithmetic": precision,
        "engine": find_engine(precision, device),
    }
    with job.writer("embeddings", made_in=made_in) as writer:
        for name in crops.names:
            with writer.utterance(name, source_sha256=crops.fact(name, "source_sha256")) as rows:
                carry_on(crops, rows)
                while rows.length < crops.fact(name, "length"):
                    left = left if len(left) else next(blocks)
                    part, left = np.split(left, [min(len(left), crops.fact(name, "length") - rows.length)])
                    rows.append(embedding=part)
                    num_written += len(part)
                    job.seen(num_written / len(crops.dataset("crop")))
            job.tick()


def embed_all(
    crops: np.ndarray, weights: Path | None, settings: Settings, engine: Engine | None = None
) -> Iterator[np.ndarray]:
    """Embed all crops of a shard as one sequence, so that batches are full even when clips are short.

    On a CPU each core works on a batch of its own with one thread. On a GPU one batch follows the other.

    Args:
        crops: (N, 112, 96, 3) uint8 BGR; may be memory-mapped.
        weights: SphereFace's file; None for random weights.
        settings: device, precision, batch size, colour order, threads, seed.
        engine: see `Embedder`.

    Returns:
        Blocks of (at most one batch, 512) float32, in order.
    """
    device, channel_order = find_device(settings), settings.embeddings.channel_order
    batch_size = settings.embeddings.batch_size or _BATCH_SIZES[device]
    embedder = load_embedder(weights, find_precision(settings, device), device, engine, seed=settings.run.seed)
    workers = settings.num_threads if device == "cpu" else 1
    if embedder.engine == "kernel" and not settings.embeddings.batch_size:
        batch_size = _divide(len(crops), workers)
    starts = range(0, len(crops), batch_size)

    def embed(start: int) -> np.ndarray:
        part = crops[start : start + batch_size]
        return embedder.embed(part, channel_order=channel_order, batch_size=batch_size)

    with computing_exactly(), torch_threads(1 if device == "cpu" else settings.num_threads):
        num_read = 0
        for block in in_parallel(embed, starts, workers=workers):
            yield block
            num_read += len(block)
            if num_read >= ROWS_AT_ONCE:
                release_pages(crops)
                num_read = 0


def check_weights(weights: ResolvedWeights, settings: Settings) -> None:
    """Refuse a file that does not hold SphereFace-20, before the first clip. The loaded network is kept for the work.

    Args:
        weights: What `[embeddings] weights` names. Weights with the published digest are not checked.
        settings: Device and precision.

    Raises:
        UserError: Says the setting, the file and what is wrong with it.
    """
    if weights.path is None or weights.verified:
        return
    device = find_device(settings)
    try:
        load_embedder(weights.path, find_precision(settings, device), device)
    except (WeightsError, ValueError, OSError) as error:
        raise UserError(f"[embeddings] weights: {error}") from error


def _divide(num_crops: int, workers: int) -> int:
    """Return the size of the kernel's parts: equally many for each worker, none larger than MOST_CROPS crops."""
    num_parts = workers * max(1, math.ceil(num_crops / (workers * MOST_CROPS)))
    return max(1, math.ceil(num_crops / num_parts))


def _keep_jpeg_crops(job: ShardJob, crops: Shard, *, tick: Callable[[], None]) -> None:
    quality = job.run.settings.faces.jpeg_quality
    made_in = {"jpeg_quality": str(quality)}
    with job.writer("faces", beside="crops_jpeg", made_in=made_in) as writer:
        for name in crops.names:
            with writer.utterance(name, source_sha256=crops.fact(name, "source_sha256")) as rows:
                carry_on(crops, rows)
                for crop in crops.rows(name, "crop"):
                    rows.append_bytes([encode_jpeg(crop, quality=quality)])
            tick()


def load_embedder(
    weights: Path | None, precision: FeaturePrecision, device: str, engine: Engine | None = None, *, seed: int = 0
) -> Embedder:
    """Load SphereFace-20 once a process; see `Embedder`. The seed is used for random weights only."""
    with _LOADING:
        return _load_embedder(weights, precision, device, engine, 0 if weights else seed)


# Several threads of a stage may load it at the same time.
_LOADING = threading.Lock()


@functools.cache
def _load_embedder(
    weights: Path | None, precision: FeaturePrecision, device: str, engine: Engine | None, seed: int
) -> Embedder:
    network = build_sphereface(weights, seed=seed)
    return Embedder(network, precision=precision, device=device, engine=engine)

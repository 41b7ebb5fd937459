"""What names a stage set: a digest of everything that changes its bytes, and of the stage before it."""

import functools
import hashlib
import json
from importlib import metadata
from typing import Any

from models import paper
from models.weights.table import ResolvedWeights, find_carried_weights
from pipeline.chain import STAGES
from pipeline.config import Settings

#: `[frames] max_pixels` as shipped.
_USUAL_MAX_PIXELS = 8192 * 4320

Provenance = dict[str, Any]


def compute_fingerprint(value: Any) -> str:
    """Digest plain data to 16 hexadecimal digits; the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def describe_stages(settings: Settings, sphereface: ResolvedWeights) -> dict[str, Provenance]:
    """Say what makes up each stage's bytes: version, settings, weights.

    Device, engine, threads, batch size and what is kept beside are left out: they change no value beyond rounding.
    """
    face_settings, embedding_settings = settings.faces, settings.embeddings
    networks = {name: find_carried_weights(name).sha256 for name in ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")}
    embedding_weights = sphereface.sha256
    if sphereface.is_random:
        embedding_weights = f"random:{settings.run.seed}"
    found: dict[str, Provenance] = {
        "wav": {"sample_rate": paper.SAMPLE_RATE},
        "stft": {},
        "frames": _describe_frames(settings.frames.max_pixels),
        "faces": {
            "smallest_face_px": face_settings.smallest_face_px,
            "detect_every": face_settings.detect_every,
            "weights": networks,
            # Tracks are joined by embeddings, for which random weights are no use.
            "joined_by": "looks" if sphereface.is_random else sphereface.sha256,
            **_describe_choice(face_settings.speaker, face_settings.still_faces),
        },
        "embeddings": {
            "channel_order": embedding_settings.channel_order,
            "precision": embedding_settings.precision,
            "weights": embedding_weights,
        },
    }
    return {stage: {"stage": stage, "version": STAGES[stage].version, "settings": own} for stage, own in found.items()}


def _describe_frames(limit: int) -> Provenance:
    """Name what is not as it always was: the limit came later, and the default changes no clip's frames."""
    return {} if limit == _USUAL_MAX_PIXELS else {"max_pixels": limit}


def _describe_choice(speaker: str, still_faces: str) -> Provenance:
    """Say how the speaker is chosen, where not as it always was: stores made before these settings are known again."""
    chosen = {} if speaker == "largest" else {"speaker": speaker}
    return chosen if still_faces == "count" else {**chosen, "still_faces": still_faces}


def compute_stage_fingerprints(stages: dict[str, Provenance]) -> dict[str, str]:
    """Chain the stages: each digest covers the one before it.

    What is kept beside a stage (`pixels`, `crops`, `crops_jpeg`) has its fingerprint.
    """
    found: dict[str, str] = {}
    for stage in STAGES.values():
        own = stages[stage.name]
        value = compute_fingerprint(own if stage.before is None else [own, found[stage.before]])
        found |= dict.fromkeys([stage.name, *stage.beside], value)
    # Crops are made by one stage and compressed by the next; they have the fingerprint of the first.
    return {**found, "crops_jpeg": found["crops"]}


def describe_packages(stage: str) -> dict[str, str]:
    """Give the versions of the packages whose code made a stage's values, for its provenance."""
    return {name: _find_version(name) for name in ("valar", *STAGES[stage].packages)}


# Each look takes 1 ms, and every shard of every stage asks.
_find_version = functools.cache(metadata.version)

"""The fingerprint that names a stage set: a digest of everything that changes its bytes, and of the stage before it."""

import functools
import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from models import paper
from models.features.entry_point import find_source
from models.features.network import ModelError
from models.features.speech import find_speech_network
from models.weights.digests import compute_sha256
from models.weights.table import ResolvedWeights, find_carried_weights
from pipeline.chain import STAGES, Stage
from pipeline.errors import UserError
from pipeline.settings.config import Settings
from pipeline.settings.features import FEATURE_VERSION, SECTION, Feature

#: The default of `[frames] max_pixels`, in pixels.
_USUAL_MAX_PIXELS = 8192 * 4320

Provenance = dict[str, Any]


def compute_fingerprint(value: Any) -> str:
    """Digest plain data to 16 hexadecimal digits; the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def describe_stages(settings: Settings, sphereface: ResolvedWeights) -> dict[str, Provenance]:
    """Give everything that determines the bytes of each stage and of each declared feature: version, settings, weights.

    Device, engine, threads, batch size and the files kept beside a stage are left out: they change values by rounding
    at most.
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
            # Tracks are joined by SphereFace embeddings; random weights would give meaningless ones, so then the mean
            # crops of the tracks are compared.
            "joined_by": "looks" if sphereface.is_random else sphereface.sha256,
            **_describe_choice(face_settings.speaker, face_settings.still_faces),
        },
        "embeddings": {
            "channel_order": embedding_settings.channel_order,
            "precision": embedding_settings.precision,
            "weights": embedding_weights,
        },
    }
    declared = {each.stage: {**each.describe(), **describe_model(each)} for each in settings.features}
    versions = {stage: STAGES[stage].version for stage in found} | dict.fromkeys(declared, FEATURE_VERSION)
    return {
        stage: {"stage": stage, "version": versions[stage], "settings": own}
        for stage, own in {**found, **declared}.items()
    }


def describe_model(feature: Feature) -> Provenance:
    """Identify the network of a declared feature: the digest of its file or of its code, and its packages' versions.

    A network that Valar brings has a fixed digest, so that an edited comment computes nothing again.

    Raises:
        UserError: A file or a package is missing, or the file does not have the sha256 that the settings give.
    """
    where = f"[{SECTION}{feature.name}]"
    versions = {name: _find_version_of(name, where) for name in feature.packages}
    made_with = {"packages": versions} if versions else {}
    if feature.kind == "code":
        try:
            source = find_source(feature.model)
        except ModelError as error:
            raise UserError(f"{where} model = {feature.model}: {error}") from error
        digest = feature.built_in.code if feature.built_in else read_digest(source)
        _check_digest(feature, digest, f"{where} model = {feature.model}, in {source},")
        return {"model": feature.model, "code": digest, **made_with}
    path = Path(feature.model)
    if not path.is_file():
        raise UserError(f"{where} model = {path} does not exist; correct the path, which is relative to this folder")
    digest = read_digest(path)
    _check_digest(feature, digest, f"{where} model = {path}")
    return {"weights": digest, **made_with}


def _check_digest(feature: Feature, digest: str, what: str) -> None:
    if feature.sha256 not in ("", digest):
        raise UserError(
            f"{what} has the sha256 {digest}, and sha256 = {feature.sha256} is expected; this is not "
            "the file that you trusted"
        )


def _find_version_of(name: str, where: str) -> str:
    try:
        return _find_version(name)
    except metadata.PackageNotFoundError as error:
        hint = {"silero-vad": "vad", "onnxruntime": "onnx", "opensmile": "opensmile"}.get(name)
        how = f"pip install -e '.[{hint}]'" if hint else f"pip install {name}"
        raise UserError(f"{where} needs the package {name}, which is not installed; {how}") from error


def _describe_frames(limit: int) -> Provenance:
    """Give the limit only where it is not the default.

    The setting is younger than many stores, and its default changes no clip's frames: those stores stay valid.
    """
    return {} if limit == _USUAL_MAX_PIXELS else {"max_pixels": limit}


def _describe_choice(speaker: str, still_faces: str) -> Provenance:
    """Say how the speaker is chosen, without defaults: stores that are older than these settings stay valid."""
    chosen = {} if speaker == "largest" else {"speaker": speaker}
    if speaker == "speech":
        chosen["speech"] = _find_speech_network()
    return chosen if still_faces == "count" else {**chosen, "still_faces": still_faces}


def _find_speech_network() -> str:
    """Give the digest of the network that detects speech.

    Raises:
        UserError: The network's package is not installed.
    """
    try:
        return read_digest(find_speech_network())
    except ModelError as error:
        raise UserError(f"[faces] speaker = speech: {error}") from error


def compute_stage_fingerprints(stages: Mapping[str, Provenance], chain: Mapping[str, Stage] = STAGES) -> dict[str, str]:
    """Give each stage's fingerprint; the fingerprint of the stage before it goes into it.

    Files that are kept beside a stage (`pixels`, `crops`, `crops_jpeg`) have that stage's fingerprint.
    """
    found: dict[str, str] = {}
    for stage in chain.values():
        own = stages[stage.name]
        value = compute_fingerprint(own if stage.before is None else [own, found[stage.before]])
        found |= dict.fromkeys([stage.name, *stage.beside], value)
    # `faces` makes the crops and `embeddings` compresses them: both kinds have the fingerprint of `faces`.
    return {**found, "crops_jpeg": found["crops"]}


def describe_packages(stage: Stage) -> dict[str, str]:
    """Give the versions of the packages whose code made a stage's values, for its provenance."""
    return {name: _find_version(name) for name in ("valar", *stage.packages)}


def read_digest(path: Path) -> str:
    """Give a file's sha256; it is computed again in this process only when the file's size or time has changed."""
    state = path.stat()
    return _compute_digest(path, state.st_size, state.st_mtime_ns)


@functools.cache
def _compute_digest(path: Path, size: int, mtime_ns: int) -> str:
    return compute_sha256(path)


# Looking up a version takes 1 ms, and every shard of every stage asks.
_find_version = functools.cache(metadata.version)

"""Small whole stores for the tests: two videos, three utterances in two shards, one run that lists them."""

import hashlib
import wave
from pathlib import Path

import numpy as np

from store.layout import shard_path, wav_path
from store.records.listings import Listing
from store.records.plans import Member, plan_of
from store.schema import SCHEMAS
from store.shard.writer import ShardWriter

FINGERPRINTS = {
    "wav": "0a",
    "stft": "b1",
    "frames": "c1",
    "faces": "d1",
    "crops": "e1",
    "embeddings": "e4bed0000001",
    "pixels": "0",
}
#: Utterance to its number of STFT frames and of faces.
SHARDS = {"one": {"v/a": (30, 5), "v/b": (20, 0)}, "two": {"w/a": (10, 3)}}


def member(name: str) -> Member:
    return Member(name, f"{name}.mp4", 1000 + sum(name.encode()), 10**18)


def digest(name: str) -> str:
    return name.encode().hex().rjust(64, "0")


def write_wav(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(samples.astype("<i2").tobytes())


def stage_rows(stage: str, length: int, seed: int) -> dict[str, np.ndarray]:
    """Make rows of a stage; the same for the same seed."""
    rng = np.random.default_rng(seed)
    if stage == "faces":
        frame = np.arange(length)
        corner = rng.uniform(50, 60, (length, 2))
        return {
            "frame_index": frame,
            "time": frame / 25,
            "box": np.hstack([corner, corner + 80]),
            "landmarks": corner[:, None] + rng.uniform(10, 70, (length, 5, 2)),
            "score": rng.uniform(0.9, 1, length),
        }
    if stage == "frames":
        return {"time": np.arange(length) / 25}
    return {
        c.name: rng.integers(0, 256, (length, *c.shape)) if c.dtype == "|u1" else rng.normal(0, 0.1, (length, *c.shape))
        for c in SCHEMAS[stage].rows
    }


def write_shard(root: Path, stage: str, shard: str, clips: dict[str, tuple[int, int]], fingerprint: str = "") -> Path:
    fingerprint = fingerprint or FINGERPRINTS[stage]
    path = shard_path(root, stage, fingerprint, shard)
    provenance = {"stage": stage, "version": 1, "settings": {"of": stage}, "packages": {"numpy": "2"}}
    with ShardWriter(path, stage=stage, shard=shard, fingerprint=fingerprint, provenance=provenance) as writer:
        for name, (num_stft, num_faces) in clips.items():
            seed = sum(name.encode())
            with writer.utterance(name, source_sha256=digest(name)) as rows:
                if stage == "wav":
                    wav = wav_path(root, fingerprint, shard, name)
                    write_wav(wav, np.random.default_rng(seed).normal(0, 1000, 160 * num_stft))
                    rows.length = 160 * num_stft
                    rows.facts = {"wav_sha256": hashlib.sha256(wav.read_bytes()).hexdigest()}
                    continue
                length = num_stft if stage in ("stft", "frames") else num_faces
                rows.append(**stage_rows(stage, length, seed))
                if stage in ("faces", "crops", "embeddings") and length == 0:
                    rows.set_status("no_face", f"no face of 40 pixels or more in {num_stft} frames")
                if stage == "frames":
                    rows.facts = {"width": 640, "height": 360, "frame_rate": 25.0, "codec": "h264"}
                if stage == "faces":
                    rows.facts = {"num_frames": num_stft, "num_faces": num_faces, "num_tracks": 1, "num_cuts": 0}
    return path


def make_store(
    root: Path, shards: dict[str, dict[str, tuple[int, int]]] | None = None, run: str = "runs-1"
) -> dict[str, str]:
    """Make a store; give each utterance's shard."""
    assigned = {}
    for clips in (shards or SHARDS).values():
        plan = plan_of(member(name) for name in clips)
        plan.write(root)
        for stage in FINGERPRINTS:
            if stage != "pixels":
                write_shard(root, stage, plan.shard, clips)
        assigned |= dict.fromkeys(clips, plan.shard)
    Listing(run, FINGERPRINTS, assigned, {name: member(name).stamp for name in assigned}).write(root)
    return assigned

"""Where things lie in a store (FORMAT.md, section 1)."""

from pathlib import Path


def stage_folder(root: Path, stage: str, fingerprint: str) -> Path:
    """Give the folder of a stage set: all shards of one stage under one fingerprint."""
    return root / stage / fingerprint


def shard_path(root: Path, stage: str, fingerprint: str, shard: str) -> Path:
    """Give the HDF5 file of one stage and shard."""
    return stage_folder(root, stage, fingerprint) / f"{shard}.h5"


def wav_path(root: Path, fingerprint: str, shard: str, name: str) -> Path:
    """Give the WAV file of an utterance, which lies beside its shard's file."""
    return stage_folder(root, "wav", fingerprint) / shard / f"{name}.wav"


def plans_folder(root: Path) -> Path:
    """Give the folder of the plan: one JSON file per shard."""
    return root / "shards"


def roots_folder(root: Path) -> Path:
    """Give the folder in which each run writes what it lists."""
    return root / "roots"

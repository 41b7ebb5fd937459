"""Digests of files. A sidecar beside a large file stores its digest, so that only a changed file is read again."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from models.whole_files import writing_whole

_SIDECAR_SUFFIX = ".digest.json"
_BLOCK_BYTES = 1 << 20


def compute_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compute_git_blob(path: Path) -> str:
    """Return the id that git gives a file's content: the SHA-1 of `blob <size>`, a zero byte and the bytes."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def find_sidecar(path: Path) -> Path:
    """Return the path of a file's sidecar."""
    return path.with_name(path.name + _SIDECAR_SUFFIX)


def record_digest(path: Path, *, target: Path | None = None, unpacked_from: str | None = None) -> str:
    """Compute a file's sha256 and write it to the sidecar, with size and modification time.

    Args:
        path: the file.
        target: the path to which the file will be renamed, if the sidecar must exist before that.
        unpacked_from: the digest of the archive that the file came from, if it was checked.

    Returns:
        The sha256.

    Raises:
        OSError: the file cannot be read or the sidecar not written.
    """
    state = path.stat()
    digest = compute_sha256(path)
    _write_sidecar(target or path, state, digest, unpacked_from)
    return digest


def read_digest(path: Path) -> tuple[str, str | None]:
    """Return a file's sha256, and the digest of the checked archive that it came from.

    Both are taken from the sidecar if the file's size and modification time are unchanged. Otherwise the file is read,
    and the archive's digest is kept only if the content is the same.

    Raises:
        OSError: the file cannot be read.
    """
    state = path.stat()
    kept = _read_sidecar(path)
    if (kept.get("size"), kept.get("mtime_ns")) == (state.st_size, state.st_mtime_ns):
        return kept["sha256"], kept["unpacked_from"]
    digest = compute_sha256(path)
    unpacked_from = kept.get("unpacked_from") if digest == kept.get("sha256") else None
    # If the folder cannot be written, the next call reads the file again; nothing else is lost.
    with contextlib.suppress(OSError):
        _write_sidecar(path, state, digest, unpacked_from)
    return digest, unpacked_from


def _read_sidecar(path: Path) -> dict[str, Any]:
    """Return the sidecar's content; empty if it is missing or incomplete."""
    try:
        kept = json.loads(find_sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    whole = isinstance(kept, dict) and {"sha256", "size", "mtime_ns", "unpacked_from"} <= kept.keys()
    return kept if whole and isinstance(kept["sha256"], str) and isinstance(kept["unpacked_from"], str | None) else {}


def _write_sidecar(path: Path, state: os.stat_result, digest: str, unpacked_from: str | None) -> None:
    record = {
        "sha256": digest,
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "unpacked_from": unpacked_from,
    }
    content = json.dumps(record, indent=2) + "\n"
    with writing_whole(find_sidecar(path), len(content)) as beside:
        beside.write_text(content, encoding="utf-8")

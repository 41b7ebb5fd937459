"""Digests of files, and a sidecar that keeps one so that a large file is read only when it has changed."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

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
    """Return where the digest of a file is kept."""
    return path.with_name(path.name + _SIDECAR_SUFFIX)


def record_digest(path: Path, *, target: Path | None = None, unpacked_from: str | None = None) -> str:
    """Take a file's sha256 and keep it in the sidecar, with size and modification time.

    Args:
        path: the file.
        target: where the file is about to be renamed to, when the sidecar has to be there first.
        unpacked_from: the digest of the archive that it came from, once that was found right.

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

    Both are the sidecar's where size and modification time are still those; otherwise the file is read, and the archive
    is kept only if the content is the same.

    Raises:
        OSError: the file cannot be read.
    """
    state = path.stat()
    kept = _read_sidecar(path)
    if (kept.get("size"), kept.get("mtime_ns")) == (state.st_size, state.st_mtime_ns):
        return kept["sha256"], kept["unpacked_from"]
    digest = compute_sha256(path)
    unpacked_from = kept.get("unpacked_from") if digest == kept.get("sha256") else None
    # A folder that cannot be written costs time on the next call, nothing else.
    with contextlib.suppress(OSError):
        _write_sidecar(path, state, digest, unpacked_from)
    return digest, unpacked_from


def _read_sidecar(path: Path) -> dict[str, Any]:
    """Return what the sidecar says; nothing when it is not there or not whole."""
    try:
        kept = json.loads(find_sidecar(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    whole = isinstance(kept, dict) and {"sha256", "size", "mtime_ns", "unpacked_from"} <= kept.keys()
    return kept if whole and isinstance(kept["sha256"], str) and isinstance(kept["unpacked_from"], str | None) else {}


def _write_sidecar(path: Path, state: os.stat_result, digest: str, unpacked_from: str | None) -> None:
    """Write beside the place, then rename, so that a reader never sees half a file."""
    record = {
        "sha256": digest,
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "unpacked_from": unpacked_from,
    }
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=2)
            file.write("\n")
        Path(name).replace(find_sidecar(path))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

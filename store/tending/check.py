"""Checking one shard: digests first, then structure, index and values; each fault says what is wrong and where."""

import hashlib
import wave
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from store.errors import LaterFormatError, ShardError, StoreError
from store.schema import STATUSES
from store.shard.reader import Shard
from store.shard.sidecar import Sidecar, read_sidecar, sidecar_path
from store.text import escape

#: Names in a message; the rest is counted.
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Args:
        path: The file, relative to the store's folder.
        kind: sidecar, size, digest, structure, version, index, value, wav, plan, root, erased, link, orphan or
            unreadable.
        message: What is wrong, in words.
        utterances: Those whose rows are affected, if that is known.
        first_byte: Where the damage begins, for the kind digest; -1 for other kinds.
        end_byte: Where it ends (exclusive); -1 for other kinds.

    """

    path: str
    kind: str
    message: str
    utterances: tuple[str, ...] = ()
    first_byte: int = -1
    end_byte: int = -1

    def __str__(self) -> str:
        shown = ", ".join(self.utterances[:_NAMES_SHOWN])
        more = f" and {len(self.utterances) - _NAMES_SHOWN} more" if len(self.utterances) > _NAMES_SHOWN else ""
        return escape(f"{self.path}: {self.kind}: {self.message}{f': {shown}{more}' if shown else ''}")

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "utterances": list(self.utterances)}


def check_shard(root: Path, path: Path) -> list[Fault]:
    """Check one shard's file against its sidecar, its path and itself; never lets libhdf5 see a damaged file.

    Args:
        root: The store's folder.
        path: `<root>/<stage>/<fingerprint>/<shard>.h5`.
    """
    name = str(path.relative_to(root))
    try:
        try:
            sidecar = read_sidecar(path)
        except ShardError as error:
            return [Fault(str(sidecar_path(path).relative_to(root)), "sidecar", str(error))]
        size = path.stat().st_size
        if size != sidecar.size:
            return [Fault(name, "size", f"it has {size} bytes, it was written with {sidecar.size}")]
        damage = list(sidecar.find_damage(path))
        if damage:
            return _place_damage(name, path, sidecar, damage)
        shard = Shard(path, mapped=False)
        faults = [*_check_identity(name, path, shard), *_check_index(name, shard)]
        # If the index is wrong, it is not known which rows belong to which utterance.
        return faults if any(fault.kind == "index" for fault in faults) else [*faults, *_check_values(name, shard)]
    except LaterFormatError as error:
        return [Fault(name, "version", str(error))]
    except StoreError as error:
        return [Fault(name, "structure", str(error))]
    except OSError as error:
        return [Fault(name, "unreadable", str(error))]


def _place_damage(name: str, path: Path, sidecar: Sidecar, damage: list[tuple[int, int]]) -> list[Fault]:
    structural = set(sidecar.structural_blocks)
    broken = [place for place in damage if place[0] // sidecar.block in structural]
    # libhdf5 may open the file, to find the utterances of these bytes, only if its structures are undamaged.
    shard = None if broken else Shard(path, mapped=False)
    faults = []
    for start, end in damage:
        names: list[str] = []
        what = "the file's structure or small datasets"
        if shard is not None:
            what = ", ".join(
                dataset for dataset, (first, length) in sidecar.places.items() if first < end and start < first + length
            )
            names = _owners(shard, sidecar, start, end)
        faults.append(
            Fault(
                name,
                "digest",
                f"bytes {start} to {end} ({what or 'structure'}) have changed since they were written",
                tuple(names),
                start,
                end,
            )
        )
    return faults


def _owners(shard: Shard, sidecar: Sidecar, start: int, end: int) -> list[str]:
    """Name the utterances with rows among these bytes."""
    if shard.schema.bytes_of:
        return _owners_of_images(shard, sidecar, start, end)
    offsets, lengths = shard.facts("offset"), shard.facts("length")
    hit = np.zeros(len(offsets), bool)
    total = int(lengths.sum())
    for first, nbytes in sidecar.places.values():
        row = nbytes // max(1, total)
        hit |= (first + offsets * row < end) & (start < first + (offsets + lengths) * row) & (lengths > 0)
    return [name for name, is_hit in zip(shard.names, hit, strict=True) if is_hit]


def _owners_of_images(shard: Shard, sidecar: Sidecar, start: int, end: int) -> list[str]:
    owners = []
    for name in shard.names:
        offset, length = shard.fact(name, "offset"), shard.fact(name, "length")
        spans = []
        for dataset, (first, _) in sidecar.places.items():
            if dataset == "bytes" and length:
                starts, sizes = shard.rows(name, "start"), shard.rows(name, "size")
                spans.append((first + int(starts[0]), first + int(starts[-1] + sizes[-1])))
            elif dataset != "bytes":
                spans.append((first + 8 * offset, first + 8 * (offset + length)))
        if any(first < end and start < last for first, last in spans):
            owners.append(name)
    return owners


def _check_identity(name: str, path: Path, shard: Shard) -> Iterator[Fault]:
    found = (shard.stage, shard.fingerprint, shard.shard)
    expected = (path.parent.parent.name, path.parent.name, path.stem)
    if found != expected:
        yield Fault(name, "structure", f"it says that it is {'/'.join(found)}, but it is at {'/'.join(expected)}")


def _check_index(name: str, shard: Shard) -> Iterator[Fault]:
    offsets, lengths = shard.facts("offset"), shard.facts("length")
    if len(set(shard.names)) != len(shard.names):
        twice = sorted(utterance for utterance, count in Counter(shard.names).items() if count > 1)
        yield Fault(name, "index", "utterances that are listed twice", tuple(twice))
    if (lengths < 0).any() or not np.array_equal(offsets, np.cumsum(lengths) - lengths):
        yield Fault(name, "index", "offset is not the running sum of length")
        return
    for column in shard.schema.rows:
        rows = shard.num_rows(column.name)
        if rows != lengths.sum():
            yield Fault(
                name, "index", f"{column.name} has {rows} rows, the utterances' lengths add up to {lengths.sum()}"
            )
    for utterance in shard.names:
        status = shard.fact(utterance, "status")
        if status not in STATUSES:
            yield Fault(name, "index", f"status is {status!r}, it must be one of {', '.join(STATUSES)}", (utterance,))
        if shard.schema.bytes_of:
            starts, sizes = shard.rows(utterance, "start"), shard.rows(utterance, "size")
            if (starts < 0).any() or (sizes < 0).any() or (starts + sizes > shard.num_rows("bytes")).any():
                yield Fault(name, "index", "images outside of the dataset bytes", (utterance,))


def _check_values(name: str, shard: Shard) -> Iterator[Fault]:
    for column in shard.schema.rows:
        if not (column.finite and np.dtype(column.dtype).kind == "f"):
            continue
        bad = []
        for utterance in shard.names:
            rows = shard.rows(utterance, column.name)
            if not np.isfinite(rows).all():
                bad.append(utterance)
        if bad:
            yield Fault(name, "value", f"{column.name} has NaN or infinite values", tuple(bad))


def check_wavs(root: Path, path: Path) -> list[Fault]:
    """Check the WAV files of a shard of the stage wav, which lie in the folder beside it."""
    try:
        shard = Shard(path, mapped=False)
        utterances = shard.names
    except StoreError:
        return []  # `check_shard` has reported it
    faults = []
    expected = {}
    for utterance in utterances:
        if shard.fact(utterance, "status") != "ok":
            continue
        wav = path.with_suffix("") / f"{utterance}.wav"
        expected[wav] = utterance
        message = _check_wav(wav, shard, utterance)
        if message:
            faults.append(Fault(str(wav.relative_to(root)), "wav", message, (utterance,)))
    for wav in sorted(path.with_suffix("").rglob("*")):
        if wav.is_file() and not wav.name.startswith(".") and wav not in expected:
            faults.append(Fault(str(wav.relative_to(root)), "orphan", f"no utterance of {path.name} has this sound"))
    return faults


def _check_wav(wav: Path, shard: Shard, utterance: str) -> str:
    try:
        with wav.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if "wav_sha256" in shard.fact_names:
            return "" if digest == shard.fact(utterance, "wav_sha256") else "it has changed since it was written"
        with wave.open(str(wav)) as sound:
            length = shard.fact(utterance, "length")
            return "" if sound.getnframes() == length else f"it has {sound.getnframes()} samples, {length} were written"
    except (OSError, EOFError, wave.Error) as error:
        return f"it cannot be read ({error})"

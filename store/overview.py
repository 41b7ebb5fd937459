"""What a store holds, stage set by stage set."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from store.errors import StoreError
from store.layout import StageSet, find_stage_sets
from store.listings import Listing, read_listings
from store.shard.reader import Shard
from store.shard.sidecar import sidecar_path
from store.text import escape, format_bytes, format_time, render_table


@dataclass(frozen=True)
class StageSetSummary:
    """One stage set in numbers.

    Args:
        stage: Name of the stage.
        fingerprint: Name of the set.
        shards: Number of its files.
        utterances: Number of utterances with a row in its tables.
        not_ok: How many of them have another status than ok.
        rows: Number of rows of all utterances.
        num_bytes: Bytes of its files, sidecars and WAV files included.
        made: When its newest file was made, UTC.
        runs: The runs whose listing reaches it; none: `gc` would remove it.
        unreadable: Files that could not be opened; `verify` says why.
        settings: What it was made with.

    """

    stage: str
    fingerprint: str
    shards: int
    utterances: int
    not_ok: int
    rows: int
    num_bytes: int
    made: str
    runs: tuple[str, ...]
    unreadable: int
    settings: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "runs": list(self.runs)}


def list_stage_sets(root: Path) -> list[StageSetSummary]:
    """Summarise every stage set, the newest first.

    Raises:
        StoreError: The folder holds no stage set.

    """
    found = [stage_set for stage_set in find_stage_sets(root) if stage_set.shards]
    if not found:
        raise StoreError(f"{root} holds no features; check the path, or run `valar features` first")
    listings = read_listings(root)
    dated = [(max(path.stat().st_mtime for path in s.shards.values()), _summarise(s, listings)) for s in found]
    return [summary for _, summary in sorted(dated, key=lambda pair: -pair[0])]


def _summarise(stage_set: StageSet, listings: Iterable[Listing]) -> StageSetSummary:
    utterances = not_ok = rows = unreadable = num_bytes = 0
    provenance: Mapping[str, Any] = {}
    for path in stage_set.shards.values():
        files = [path, sidecar_path(path), *path.with_suffix("").rglob("*.wav")]
        num_bytes += sum(file.stat().st_size for file in files if file.exists())
        try:
            shard = Shard(path)
        except StoreError:
            unreadable += 1
            continue
        provenance = shard.provenance
        utterances += len(shard.names)
        not_ok += int((shard.facts("status") != b"ok").sum())
        rows += int(shard.facts("length").sum())
    newest = max(path.stat().st_mtime for path in stage_set.shards.values())
    return StageSetSummary(
        stage_set.stage,
        stage_set.fingerprint,
        len(stage_set.shards),
        utterances,
        not_ok,
        rows,
        num_bytes,
        format_time(newest),
        tuple(sorted(r.run for r in listings if r.kept_fingerprints.get(stage_set.stage) == stage_set.fingerprint)),
        unreadable,
        provenance.get("settings", {}),
    )


def render_stage_sets(summaries: Iterable[StageSetSummary]) -> str:
    """Give the summaries as a table for a terminal."""
    titles = ("stage", "fingerprint", "shards", "utterances", "not ok", "rows", "size", "made (UTC)", "runs")
    table = []
    for s in summaries:
        size = format_bytes(s.num_bytes)
        numbers = [f"{n}" for n in (s.shards, s.utterances, s.not_ok, s.rows)]
        table.append((s.stage, s.fingerprint, *numbers, size, s.made, ", ".join(s.runs) or "none: gc removes it"))
    lines = render_table(titles, table, right=range(2, 7)).splitlines()
    notes = {k + 1: s for k, s in enumerate(summaries)}
    return "\n".join(line + _note(notes[k]) if k in notes else line for k, line in enumerate(lines))


def _note(summary: StageSetSummary) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in _flatten(summary.settings))
    unreadable = f"{summary.unreadable} shards cannot be read: see verify" if summary.unreadable else ""
    return "".join(f"\n    {escape(note)}" for note in (settings, unreadable) if note)


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{prefix}{name}.")
        else:
            text = str(value)
            # A digest says enough with its beginning.
            found.append((prefix + name, text[:12] if len(text) == 64 else text))
    return found

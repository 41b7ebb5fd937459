"""What a store holds, stage set by stage set."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from store.errors import StoreError
from store.layout import StageSet, check_is_readable, find_stage_sets
from store.records.listings import Listing, read_listings
from store.shard.reader import Shard
from store.tables import Counts, list_shards, read_counts, stamp_of
from store.text import escape, format_bytes, format_count, format_time, render_table


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
        runs: The runs whose listing needs it; if there are none, `gc` would remove it.
        unreadable: Files that could not be opened; `verify` says why.
        settings: The settings that it was made with.

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
        StoreError: The folder has no stage set.

    """
    check_is_readable(root)
    found = {
        stage_set: list_shards(root, stage_set.stage, stage_set.fingerprint) for stage_set in find_stage_sets(root)
    }
    found = {stage_set: shards for stage_set, shards in found.items() if shards}
    if not found:
        raise StoreError(f"{root} holds no features; check the path, or run `valar features` first")
    listings = read_listings(root)
    dated = [
        (max(status.st_mtime for status, _ in shards.values()), _summarise(root, stage_set, shards, listings))
        for stage_set, shards in found.items()
    ]
    return [summary for _, summary in sorted(dated, key=lambda pair: -pair[0])]


def _summarise(
    root: Path, stage_set: StageSet, shards: Mapping[str, tuple[os.stat_result, int]], listings: Iterable[Listing]
) -> StageSetSummary:
    """Add up the remembered counts of the shards; shards without counts, or changed since, are opened."""
    remembered = read_counts(root, stage_set.stage, stage_set.fingerprint)
    counts: list[Counts] = []
    settings: Mapping[str, Any] | None = None
    unreadable = 0
    for shard, (status, _) in shards.items():
        stamp, known = remembered.get(shard, (None, None))
        path = stage_set.folder / f"{shard}.h5"
        try:
            if known is None or stamp != stamp_of(status):
                known = Counts.of(Shard(path))
            if settings is None:
                settings = Shard(path).provenance.get("settings", {})
        except StoreError:
            unreadable += 1
            known = known or Counts.beside_only(path)
        counts.append(known)
    return StageSetSummary(
        stage=stage_set.stage,
        fingerprint=stage_set.fingerprint,
        shards=len(shards),
        utterances=sum(found.utterances for found in counts),
        not_ok=sum(found.not_ok for found in counts),
        rows=sum(found.rows for found in counts),
        num_bytes=sum(status.st_size + sidecar for status, sidecar in shards.values())
        + sum(found.beside for found in counts),
        made=format_time(max(status.st_mtime for status, _ in shards.values())),
        runs=tuple(
            sorted(r.run for r in listings if r.kept_fingerprints.get(stage_set.stage) == stage_set.fingerprint)
        ),
        unreadable=unreadable,
        settings=settings or {},
    )


def render_stage_sets(summaries: Sequence[StageSetSummary], *, verbose: bool = False) -> str:
    """Give the summaries as a table for a terminal of 80 columns; with `verbose`, all details in a wider table."""
    if not verbose:
        return _render_briefly(summaries)
    titles = ("stage", "fingerprint", "shards", "utterances", "not ok", "rows", "size", "made (UTC)", "runs")
    table = []
    for s in summaries:
        size = format_bytes(s.num_bytes)
        numbers = [f"{n}" for n in (s.shards, s.utterances, s.not_ok, s.rows)]
        table.append((s.stage, s.fingerprint, *numbers, size, s.made, ", ".join(s.runs) or "none: gc removes it"))
    lines = render_table(titles, table, right=range(2, 7)).splitlines()
    notes = {k + 1: s for k, s in enumerate(summaries)}
    return "\n".join(line + _note(notes[k]) if k in notes else line for k, line in enumerate(lines))


#: Characters of a stage's name in the brief table; the longest has 46.
_WIDEST_STAGE = 18


def _render_briefly(summaries: Sequence[StageSetSummary]) -> str:
    titles = ("stage", "set", "utterances", "not ok", "rows", "size", "made", "runs")
    table = [
        (
            s.stage if len(s.stage) <= _WIDEST_STAGE else f"{s.stage[: _WIDEST_STAGE - 1]}…",
            s.fingerprint[:6],
            *(f"{n}" for n in (s.utterances, s.not_ok, s.rows)),
            format_bytes(s.num_bytes),
            s.made[:10],
            f"{len(s.runs)}" if s.runs else "none",
        )
        for s in summaries
    ]
    lines = [render_table(titles, table, right=range(2, 6))]
    unreadable = sum(s.unreadable for s in summaries)
    if unreadable:
        lines.append(_tell_unreadable(unreadable))
    dead = sum(not s.runs for s in summaries)
    if dead:
        lines.append(
            f"no run needs {format_count(dead, 'set')}: `valar store gc` removes {'it' if dead == 1 else 'them'}"
        )
    return "\n".join([*lines, "-v shows settings, shards and runs of each set"])


def _note(summary: StageSetSummary) -> str:
    settings = ", ".join(describe_setting(name, value) for name, value in _flatten(summary.settings))
    unreadable = _tell_unreadable(summary.unreadable) if summary.unreadable else ""
    return "".join(f"\n    {escape(note)}" for note in (settings, unreadable) if note)


def _tell_unreadable(count: int) -> str:
    return f"{format_count(count, 'shard')} cannot be read: `valar store verify` says why"


def describe_setting(name: str, value: Any) -> str:
    """Describe one setting of a stage: by its name in the file, or by a clearer sentence for `joined_by`."""
    if (name, value) == ("joined_by", "looks"):
        return "tracks joined by what the faces look like (SphereFace is random)"
    return f"tracks joined by the embeddings of {value}" if name == "joined_by" else f"{name} {value}"


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{prefix}{name}.")
        else:
            text = str(value)
            # Of a digest, the beginning is enough.
            found.append((prefix + name, text[:12] if len(text) == 64 else text))
    return found

"""One utterance: its rows in every stage, and why rows are missing, bad or stale."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from store.catalog.feature_store import FeatureStore
from store.errors import StoreError
from store.features import order_stages
from store.layout import find_stage_sets, plans_folder, shard_path
from store.overview import describe_setting
from store.records.erased import read_erased
from store.records.listings import Listing
from store.records.plans import StoredPlan, plan_path
from store.schema import UTTERANCE_COLUMNS
from store.shard.reader import Shard
from store.tending.garbage import find_garbage
from store.text import escape, format_count, format_time, render_table

_COMMON = {column.name for column in UTTERANCE_COLUMNS}


@dataclass(frozen=True)
class RowsSummary:
    """Statistics of an utterance's rows in one dataset; None without rows."""

    dataset: str
    shape: tuple[int, ...]
    dtype: str
    unit: str
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None


def describe_utterance(store: FeatureStore, name: str) -> dict[str, Any]:
    """Give all that a store knows of an utterance, as plain data.

    Raises:
        UtteranceNotFoundError: No run lists it; the message has similar names.

    """
    clip = store[name]
    name = clip.name
    size, mtime = clip.listing.sources[name]
    stages = {}
    for stage in clip.stages:
        shard = clip.find_shard(stage)
        if shard is not None:
            stages[stage] = _describe_stage(shard, name)
    return {
        "utterance": name,
        "run": clip.listing.run,
        "shard": clip.shard,
        "source": {
            "sha256": clip.source_sha256,
            "bytes": size,
            "changed": format_time(mtime / 1e9),
            "gone": name in clip.listing.vanished,
        },
        "stages": stages,
    }


def _describe_stage(shard: Shard, name: str) -> dict[str, Any]:
    rows = [summarise_rows(shard, name, column.name) for column in shard.schema.rows]
    return {
        "status": shard.fact(name, "status"),
        "message": shard.fact(name, "message"),
        "file": str(shard.path),
        "length": shard.fact(name, "length"),
        "facts": {fact: shard.fact(name, fact) for fact in shard.fact_names if fact not in _COMMON},
        "rows": [vars(summary) | {"shape": list(summary.shape)} for summary in rows],
        "provenance": shard.provenance,
    }


def summarise_rows(shard: Shard, name: str, dataset: str) -> RowsSummary:
    """Give shape, type, unit and statistics of an utterance's rows."""
    rows = shard.rows(name, dataset)
    column = next(column for column in shard.schema.rows if column.name == dataset)
    numbers: tuple[float | None, ...] = (None,) * 4
    if rows.size:
        mean = float(rows.mean(dtype=np.float64))
        numbers = (float(rows.min()), float(rows.max()), mean, float(rows.std(dtype=np.float64)))
    return RowsSummary(dataset, rows.shape, str(rows.dtype), column.unit, *numbers)


def render_description(description: dict[str, Any], *, verbose: bool = False) -> str:
    """Give what `describe_utterance` found as text for a terminal of 80 columns.

    Args:
        description: What was found.
        verbose: Also show types and settings, in lines of any length.
    """
    source = description["source"]
    gone = "; the file is gone" if source["gone"] else ""
    lines = [
        f"{description['utterance']}  (run {description['run']}, shard {description['shard']})",
        f"source: {source['bytes']} bytes, changed {source['changed']} UTC{gone}",
        f"sha256: {source['sha256'] or 'unknown'}",
    ]
    for stage, found in description["stages"].items():
        lines.append("")
        lines.append(f"{stage}: {found['status']}{': ' + escape(found['message']) if found['message'] else ''}")
        facts = ", ".join(f"{name} {value}" for name, value in found["facts"].items() if value not in ("", -1))
        if facts:
            lines.append(f"  {escape(facts)}")
        table = [_row(summary) for summary in found["rows"]]
        if table:
            titles = ("dataset", "shape", "type", "unit", "min", "max", "mean", "std")
            shown = [k for k, title in enumerate(titles) if verbose or title != "type"]
            table = [tuple(row[k] for k in shown) for row in (titles, *table)]
            numbers = range(len(shown) - 4, len(shown))
            lines += [f"  {line}" for line in render_table(table[0], table[1:], right=numbers).splitlines()]
        settings = ", ".join(describe_setting(*pair) for pair in found["provenance"].get("settings", {}).items())
        if settings and verbose:
            lines.append(f"  settings: {escape(settings)}")
        lines.append(f"  {found['file']}")
    return "\n".join(lines)


def _row(summary: dict[str, Any]) -> tuple[str, ...]:
    shape = " x ".join(map(str, summary["shape"]))
    numbers = (summary[key] for key in ("minimum", "maximum", "mean", "std"))
    return (
        summary["dataset"],
        shape,
        summary["dtype"],
        summary["unit"],
        *("" if number is None else f"{number:.4g}" for number in numbers),
    )


def explain_utterance(root: Path, name: str) -> list[str]:
    """Say in sentences where an utterance's rows are, or why there are none.

    Args:
        root: The store's folder.
        name: video/utterance.

    """
    if name in read_erased(root):
        return [f"{name} was erased from this store; later runs refuse it (erased.json)"]
    store = FeatureStore(root)
    name = store.find_name(name)
    holders = [path.stem for path in sorted(plans_folder(root).glob("*.json")) if _is_member(path, name)]
    garbage = _Garbage(root, store.listings)
    listing = store.find_listing(name)
    if listing is None:
        runs = f"the run {store.listing.run} does not list" if len(store.listings) == 1 else "no run lists"
        sentences = [f"{runs} {name}, or has found no file of that name"]
        if near := store.describe_nearest(name):
            sentences.append(near)
        return sentences + [f"an earlier run has planned it: {garbage.explain(holder)}" for holder in holders]
    shard = listing.shards[name]
    sentences = [f"{name} is in the shard {shard} of the run {listing.run}"]
    if name in listing.vanished:
        sentences.append("its file is gone; its features are kept (source_missing)")
    for stage in order_stages(listing.fingerprints):
        sentences += _explain_stage(store, stage, listing, name, garbage)
    for other in [other for other in store.listings if other is not listing and name in other.shards]:
        if other.shards[name] != shard or other.kept_fingerprints != listing.kept_fingerprints:
            sentences.append(f"the run {other.run} lists it too, in the shard {other.shards[name]}")
    used = {other.shards.get(name) for other in store.listings}
    sentences += [
        f"older rows of it are not used: {garbage.explain(holder)}" for holder in holders if holder not in used
    ]
    return sentences


class _Garbage:
    """What `gc` would remove, found at the first use.

    Args:
        root: The store's folder.
        listings: The listings of all runs.
    """

    def __init__(self, root: Path, listings: list[Listing]) -> None:
        self._root = root
        self._listings = listings

    @cached_property
    def _paths(self) -> set[Path]:
        return {self._root / item.path for item in find_garbage(self._root)}

    def explain(self, shard: str) -> str:
        """Say what `gc` does with a shard whose rows of the utterance are not used."""
        files = [path for found in find_stage_sets(self._root) for s, path in found.shards.items() if s == shard]
        files.append(plan_path(self._root, shard))
        dead = sum(path in self._paths for path in files)
        if dead == len(files):
            return f"gc removes the shard {shard}"
        runs = ", ".join(sorted(each.run for each in self._listings if shard in each.shards.values()))
        what = f"{dead} of its {format_count(len(files), 'file')}" if dead else "nothing of it"
        return f"the shard {shard} has other clips of {runs}; gc removes {what}"

    def explain_set(self, path: Path) -> str:
        """Say whether `gc` removes one file."""
        return "gc removes it" if path in self._paths else "a run keeps it"


def _explain_stage(store: FeatureStore, stage: str, listing: Listing, name: str, garbage: _Garbage) -> list[str]:
    shard, fingerprint = listing.shards[name], listing.fingerprints[stage]
    try:
        rows = store.shard(stage, shard, listing)
        is_in = rows is not None and name in rows
    except StoreError as error:
        return [f"{stage}: cannot be read: {error}"]
    if rows is None:
        if stage in ("pixels", "crops", "crops_jpeg"):
            return []  # kept only where the settings say so
        others = [
            f"{stage_set.fingerprint}: {garbage.explain_set(stage_set.shards[shard])}"
            for stage_set in find_stage_sets(store.folder)
            if stage_set.stage == stage and shard in stage_set.shards
        ]
        stale = f"; made under other settings ({'; '.join(others)})" if others else ""
        path = shard_path(store.folder, stage, fingerprint, shard)
        return [f"{stage}: not made yet: {path} is missing; the next run makes it{stale}"]
    if not is_in:
        return [f"{stage}: {rows.path} has no such utterance; run verify"]
    status, message, length, offset = (rows.fact(name, fact) for fact in ("status", "message", "length", "offset"))
    return [
        escape(
            f"{stage}: {status}{f' ({message})' if message else ''}, {format_count(length, 'row')} from row {offset}"
        )
    ]


def _is_member(path: Path, name: str) -> bool:
    try:
        return name in StoredPlan.read(path).names
    except StoreError:
        return False

"""What differs between two stores, by stage, utterance and value."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from store.catalog.feature_store import FeatureStore
from store.features import order_stages
from store.shard.reader import Shard
from store.text import escape, format_count


@dataclass(frozen=True)
class Difference:
    """One difference.

    Args:
        stage: "" where the whole utterance is in one store only.
        utterance: Its name.
        what: missing, status, length, or the dataset whose values differ.
        first: What the first store has, in words.
        second: What the second has.

    """

    stage: str
    utterance: str
    what: str
    first: str
    second: str

    def __str__(self) -> str:
        stage = f"{self.stage}: " if self.stage else ""
        return escape(f"{stage}{self.utterance}: {self.what}: {self.first} / {self.second}")

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)


def compare_stores(first: FeatureStore, second: FeatureStore) -> list[Difference]:
    """Compare what two stores' runs list, stage by stage; rows are compared bit for bit."""
    names = sorted({*first, *second})
    found = [_missing("", name, name in first) for name in names if (name in first) != (name in second)]
    common = [name for name in names if name in first and name in second]
    for stage in order_stages([*first.stages, *second.stages]):
        for name in common:
            one, two = first[name].find_shard(stage), second[name].find_shard(stage)
            if one is not None and two is not None:
                found += _compare_rows(stage, name, one, two)
            elif one is not None or two is not None:
                found.append(_missing(stage, name, one is not None))
    return found


def _missing(stage: str, name: str, in_first: bool) -> Difference:
    words = ("it is there", "it is missing")
    return Difference(stage, name, "missing", *(words if in_first else words[::-1]))


def _compare_rows(stage: str, name: str, one: Shard, two: Shard) -> list[Difference]:
    for fact in ("status", "length"):
        if one.fact(name, fact) != two.fact(name, fact):
            return [Difference(stage, name, fact, f"{one.fact(name, fact)}", f"{two.fact(name, fact)}")]
    if one.schema.bytes_of:
        images = one.images(name)
        differing = sum(a != b for a, b in zip(images, two.images(name), strict=True))
        same = f"{differing} of {format_count(len(images), 'image')}"
        return [Difference(stage, name, "bytes", same, "differ")] if differing else []
    found = []
    for column in one.schema.rows:
        a, b = one.rows(name, column.name), two.rows(name, column.name)
        if a.shape != b.shape:
            found.append(Difference(stage, name, column.name, f"rows of {a.shape[1:]}", f"of {b.shape[1:]}"))
            continue
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            differing = int((a != b).reshape(len(a), -1).any(axis=1).sum())
            largest = np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)))
            counts = f"{differing} of {format_count(len(a), 'row')}"
            found.append(Difference(stage, name, column.name, counts, f"by at most {largest:.3g} {column.unit}"))
    return found


def render_differences(found: list[Difference], num_common: int) -> str:
    """Give the differences as lines, counted per stage at the end."""
    lines = [str(difference) for difference in found]
    stages = list(dict.fromkeys(difference.stage for difference in found))
    counts = [f"{sum(d.stage == stage for d in found)} in {stage or 'the listing'}" for stage in stages]
    summary = f"{format_count(len(found), 'difference')} ({', '.join(counts)})" if found else "no difference"
    return "\n".join([*lines, f"{summary}; {format_count(num_common, 'utterance')} in both"])

"""How two reports differ: in settings, in the making of the features, and in clips."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.chain import STAGES
from pipeline.runs.changes.clip_changes import ClipFacts, describe_clip_changes
from pipeline.runs.changes.feature_changes import compare_features, format_value
from pipeline.runs.outcome.ledger import parse_ledger
from pipeline.runs.outcome.report_json import REPORT_JSON, read_report_json
from pipeline.settings.config import find_default, is_result


@dataclass(frozen=True)
class Basis:
    """What a report depends on, as far as its folder says.

    Attributes:
        settings: "[section] option" to its value.
        features: stage to what determined its bytes; empty where an earlier release wrote the report.
        clips: the facts of its clips, by name; None where it has no readable ledger.
    """

    settings: Mapping[str, Any]
    features: Mapping[str, Any]
    clips: Mapping[str, ClipFacts] | None

    @classmethod
    def of(cls, content: Mapping[str, Any], ledger: str | None) -> "Basis":
        """Make it from the content of report.json and the text of ledger.csv, which may be None."""
        provenance = _as_mapping(_as_mapping(content).get("provenance"))
        try:
            rows = {} if ledger is None else parse_ledger(ledger)
        except (ValueError, TypeError, KeyError, csv.Error):
            rows = {}
        settings = dict(_flatten(_as_mapping(provenance.get("settings"))))
        clips = {name: ClipFacts.of_ledger(row) for name, row in rows.items()}
        return cls(settings, _as_mapping(provenance.get("features")), clips or None)

    @classmethod
    def read(cls, folder: Path) -> "Basis":
        """Make it from a report's folder.

        Raises:
            OSError, ValueError: report.json cannot be read.
        """
        return cls.of(read_report_json(folder / REPORT_JSON), read_text(folder / "ledger.csv"))


def read_text(path: Path) -> str | None:
    """Read a file's text; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def find_settings(one: Basis, other: Basis) -> dict[str, list[Any]]:
    """Give each setting that differs, with its two values.

    A setting that is missing in a report of an earlier release counts as today's default, because a new setting's
    default keeps the earlier behaviour. Its value is None where there is no such setting today.
    """
    names = sorted(one.settings.keys() | other.settings.keys())
    pairs = {name: [basis.settings.get(name, find_default(name)) for basis in (one, other)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def find_data(one: Basis, other: Basis) -> list[str]:
    """Say in phrases how clips and labels differ, and the making of the features where no setting shows it."""
    if one.clips is None or other.clips is None:
        found = ["it is not known which clips differ, because a report has no readable ledger.csv"]
    else:
        found = describe_clip_changes(one.clips, other.clips)
    if one.features and other.features:
        told = find_settings(one, other)
        changes = compare_features(one.features, other.features, STAGES)
        found += [change.describe() for change in changes if f"[{change.stage}] {change.key}" not in told]
    return found


def describe_changes(one: Basis, other: Basis) -> list[str]:
    """Say in phrases what differs; settings that do not change results, such as paths, are left out."""
    settings = find_settings(one, other).items()
    told = [f"{name} {format_value(pair[0])} to {format_value(pair[1])}" for name, pair in settings if is_result(name)]
    return [*told, *find_data(one, other)]


def _flatten(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, values in settings.items():
        for name, value in _as_mapping(values).items():
            yield f"[{section}] {name}", value


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

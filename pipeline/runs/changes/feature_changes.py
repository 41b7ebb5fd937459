"""What differs between two ways of making the features, setting by setting."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.chain import STAGE_TITLES

#: The values of settings that a stage's description leaves out: the way before the setting existed. They are left out
#: so that stores from before the setting stay valid.
_BEFORE = {"speaker": "largest", "still_faces": "count"}
#: The number of digits that are shown of a digest.
_SHOWN = 8


@dataclass(frozen=True)
class FeatureChange:
    """One part of a stage's provenance that determines its bytes, and that has changed.

    Attributes:
        stage: the stage's name.
        key: "version", or the name of a setting.
        before: its value in the earlier run.
        now: its value now.
    """

    stage: str
    key: str
    before: Any
    now: Any

    def describe(self) -> str:
        """Describe the change in a phrase.

        >>> FeatureChange("faces", "detect_every", 25, 5).describe(), FeatureChange("faces", "version", 4, 5).describe()
        ('[faces] detect_every 25 to 5', 'find faces: version 4 to 5')
        """
        if self.key == "version":
            return f"{STAGE_TITLES.get(self.stage, self.stage)}: version {self.before} to {self.now}"
        if self.key == "joined_by":
            ways = [_name_way(value) for value in (self.before, self.now)]
            return f"{STAGE_TITLES['faces']}: tracks joined by {ways[0]}, now by {ways[1]}"
        return f"[{self.stage}] {self.key} {format_value(self.before)} to {format_value(self.now)}"


def _name_way(joined_by: Any) -> str:
    """Say how tracks were joined to persons: by embeddings of trained weights, or without trained weights."""
    return "what the faces look like" if joined_by == "looks" else f"embeddings of {format_value(joined_by)}"


def compare_features(
    before: Mapping[str, Any], now: Mapping[str, Any], stages: Iterable[str]
) -> Iterator[FeatureChange]:
    """Find what has changed in the making of features.

    Args:
        before: stage to what determined its bytes (see `fingerprints.describe_stages`).
        now: the same for today's settings.
        stages: the stages to compare.
    """
    for stage in stages:
        one, other = (dict(_flatten(made.get(stage, {}))) for made in (before, now))
        for key in sorted(one.keys() | other.keys()):
            found = [made.get(key, _BEFORE.get(key)) for made in (one, other)]
            if found[0] != found[1]:
                yield FeatureChange(stage, key, *found)


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = key if key == "settings" and not prefix else f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from _flatten(inner, "" if name == "settings" else f"{name} ")
        else:
            yield name, inner


def format_value(value: Any) -> str:
    """Write a setting's value for people; a digest is shortened.

    >>> format_value([30, 60]), format_value(None), format_value("0" * 64)
    ('30,60', 'none', '00000000')
    """
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    is_digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return "none" if value is None or not text else text[:_SHOWN] if is_digest else text

"""Settings that do not fit together, reported before hours of features are computed and not after."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from models.training.settings import STFT, TRAININGS, JointSettings
from pipeline.settings.sections import JPEG_QUALITY


def find_contradictions(
    sections: Mapping[str, Mapping[str, Any]], label_range: tuple[float, float] | None = None
) -> Iterator[str]:
    """Give a sentence for each contradiction between settings; the rules are those of models/training/settings/.

    Args:
        sections: section name to option to value, at least "anet", "vnet" and "joint".
        label_range: `[dataset] label_range`, None where labels are not mapped.
    """
    yield from _find_idle_quality(sections)
    for name in TRAININGS:
        if label_range is not None and sections[name]["arousal_output"] == "sigmoid":
            low, high = label_range
            yield (
                f"[{name}] arousal_output = sigmoid gives only 0 to 1, but [dataset] label_range = {low:g} {high:g} "
                "maps arousal to -1 to 1; set it to tanh"
            )
    for name, kind in TRAININGS.items():
        known = {each.name for each in fields(kind)}
        try:
            made = kind(**{option: value for option, value in sections[name].items() if option in known})
            if isinstance(made, JointSettings):
                made.check_backbone(sections["vnet"]["backbone"])
                made.check_sound("stft" if sections["anet"]["features"] == STFT else "rows")
        except ValueError as error:
            yield f"[{name}] {error}"


def _find_idle_quality(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Report a `[faces] jpeg_quality` that has no effect."""
    faces, frames = sections.get("faces", {}), sections.get("frames", {})
    quality = faces.get("jpeg_quality", JPEG_QUALITY)
    if quality != JPEG_QUALITY and faces["crops"] != "jpeg" and not frames["store_pixels"]:
        yield (
            f"[faces] jpeg_quality = {quality} needs [faces] crops = jpeg or [frames] store_pixels = true: nothing is "
            f"kept as JPEG with crops = {faces['crops']}"
        )

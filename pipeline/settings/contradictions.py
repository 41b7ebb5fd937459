"""Settings of training that do not go together, told before hours of features and not after."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from models.training.settings import STFT, TRAININGS, JointSettings


def find_contradictions(
    sections: Mapping[str, Mapping[str, Any]], label_range: tuple[float, float] | None = None
) -> Iterator[str]:
    """Give a sentence for each; the rules are those of models/training/settings/.

    Args:
        sections: "anet", "vnet" and "joint" -> the values of tasks.cfg.
        label_range: `[dataset] label_range`, None where labels are not mapped.
    """
    for name in TRAININGS:
        if label_range is not None and sections[name]["arousal_output"] == "sigmoid":
            low, high = label_range
            yield (
                f"[{name}] arousal_output = sigmoid reaches 0 to 1 alone, and [dataset] label_range = {low:g} {high:g} "
                "maps arousal to -1 to 1; take tanh"
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

"""Settings of training that do not go together, told before hours of features and not after."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from models.training.settings import TRAININGS, JointSettings


def find_contradictions(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give a sentence for each; the rules are those of models/training/settings.py.

    Args:
        sections: "anet", "vnet" and "joint" -> the values of tasks.cfg.
    """
    for name, kind in TRAININGS.items():
        known = {each.name for each in fields(kind)}
        try:
            made = kind(**{option: value for option, value in sections[name].items() if option in known})
            if isinstance(made, JointSettings):
                made.check_backbone(sections["vnet"]["backbone"])
        except ValueError as error:
            yield f"[{name}] {error}"

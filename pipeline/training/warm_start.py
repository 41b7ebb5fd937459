"""`[run] warm_start`: which earlier training a new training continues.

The choice is part of the new training's fingerprint, and is written to a file when the training begins. So the same
question has the same answer later.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.settings.config import Settings, find_default
from pipeline.training.data import SELECTION
from pipeline.training.records.record import DONE, find_records
from store import files
from store.json_files import check_text, read_object

#: The file in a checkpoint's folder that says which training it continues.
DECISION = "start.json"
BEST = "best.pt"
_FINGERPRINT = re.compile("[0-9a-f]{1,64}")
#: The settings that determine a network's layers, by section.
_LAYERS: dict[str, dict[str, tuple[str, ...]]] = {
    "anet": {"anet": ("channel_scale", "arousal_output", "input", "normalise", "pooling")},
    "vnet": {"vnet": ("backbone", "arousal_output", "standardise")},
    "joint": {
        "anet": ("channel_scale", "input", "normalise", "pooling"),
        "vnet": ("backbone", "standardise"),
        "joint": ("arousal_output", "fusion"),
    },
}


@dataclass(frozen=True)
class Start:
    """An earlier training that a new one continues.

    Attributes:
        fingerprint: the fingerprint of its checkpoints.
        folder: the folder of its checkpoints.
    """

    fingerprint: str
    folder: Path


def describe_architecture(network: str, settings: Settings) -> dict[str, Any]:
    """Give the settings that determine a network's layers."""
    return {
        f"[{section}] {name}": settings.values(section)[name]
        for section, names in _LAYERS[network].items()
        for name in names
    }


def find_start(
    checkpoints: Path, made_of: Mapping[str, Any], architecture: Mapping[str, Any], scored: frozenset[str]
) -> Start | None:
    """Find the earlier training that a new one continues; None where the new one begins without it.

    It is the newest training of the same network, seed, layers and features that meets two conditions. All of its
    training clips are trained on now, too, with unchanged content. And its epoch was not chosen on a clip that is only
    scored now. So the new training never builds on clips that are validated or tested on now, or that were removed.

    Args:
        checkpoints: the folder of all checkpoints.
        made_of: what determines the new training's result if it continues no other.
        architecture: the settings that determine the network's layers.
        scored: names of the clips that are neither trained on nor choose the epoch: those of the test split, and with
            `[run] select_on = train` those of the validation split.
    """
    network, begun = made_of["network"], compute_fingerprint(made_of)
    for path in checkpoints.glob(f"{network}-*/{DECISION}"):
        decided = _read_decision(path)
        if decided.get("begun_as") == begun:
            start = decided["start"]
            folder = checkpoints / f"{network}-{start}"
            if (path.parent / DONE).exists() or (folder / BEST).exists():
                return Start(start, folder)
    if (checkpoints / f"{network}-{begun}" / DONE).exists():
        return None  # trained already
    for record in find_records(checkpoints, network):
        fits = _has_layers(record.architecture, architecture) and _may_go_on(record.made_of, made_of, scored)
        if fits and (record.folder / BEST).exists():
            return Start(record.fingerprint, record.folder)
    return None


def _has_layers(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a network had the same layers; a setting that did not exist then counts as its default."""
    if not before or not now:  # a record from before these settings were recorded
        return dict(before) == dict(now)
    return {**{name: find_default(name) for name in now}, **before} == dict(now)


def write_decision(folder: Path, made_of: Mapping[str, Any]) -> None:
    """Write which training a new one continues, when the new one begins."""
    if "warm_start" in made_of:
        begun = {name: value for name, value in made_of.items() if name != "warm_start"}
        decision = {"begun_as": compute_fingerprint(begun), "start": made_of["warm_start"]}
        files.write_json(folder / DECISION, decision)


def _read_decision(path: Path) -> dict[str, str]:
    """Read the fingerprint that a training would have without warm start, and which training it continues.

    Returns:
        "begun_as" and "start"; empty where the file cannot be read.
    """
    try:
        value = read_object(path)
        found = {name: check_text(value[name], name) for name in ("begun_as", "start")}
        # The fingerprint becomes part of a path, so it is checked.
        return found if _FINGERPRINT.fullmatch(found["start"]) else {}
    except (OSError, ValueError, KeyError):
        return {}


def _may_go_on(before: Mapping[str, Any], now: Mapping[str, Any], scored: frozenset[str]) -> bool:
    """Tell whether a training may continue an earlier one, by the rule in `find_start`."""
    try:
        if any(before[name] != now[name] for name in ("seed", "stages")):
            return False
        learnt = set(_list_clips(before, "train"))
        chosen_on = {name for part in ("validation", SELECTION) for name, _ in _list_clips(before, part)}
        return learnt <= set(_list_clips(now, "train")) and not chosen_on & scored
    except (KeyError, TypeError, ValueError, IndexError):
        return False


def _list_clips(made_of: Mapping[str, Any], part: str) -> Iterator[tuple[str, str]]:
    return ((member[0], member[1]) for member in made_of["members"] if member[4] == part)

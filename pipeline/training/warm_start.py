"""`[run] warm_start`: which earlier training another one goes on from.

What is chosen is written down when the training begins and is part of its fingerprint: asked again, before and after,
the answer is the same.
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

#: In a folder of checkpoints: what was decided when the training began.
DECISION = "start.json"
BEST = "best.pt"
_FINGERPRINT = re.compile("[0-9a-f]{1,64}")
#: The settings that make a network's layers, by section.
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
    """An earlier training that one goes on from.

    Attributes:
        fingerprint: of its checkpoints.
        folder: of its checkpoints.
    """

    fingerprint: str
    folder: Path


def describe_architecture(network: str, settings: Settings) -> dict[str, Any]:
    """Give the settings that make a network's layers."""
    return {
        f"[{section}] {name}": settings.values(section)[name]
        for section, names in _LAYERS[network].items()
        for name in names
    }


def find_start(
    checkpoints: Path, made_of: Mapping[str, Any], architecture: Mapping[str, Any], scored: frozenset[str]
) -> Start | None:
    """Find what a training goes on from; None where it begins from the start.

    It is the last one of the network and seed with the same layers and the same features, all of whose training clips
    are trained on now, unchanged, and that was not chosen on a clip which is only scored now. So nothing is gone on
    with that has learnt from what is validated or tested on now, or from a clip that has been taken out.

    Args:
        checkpoints: the folder of all checkpoints.
        made_of: what the training is made of, begun from the start.
        architecture: the settings that make the network's layers.
        scored: names of the clips that are neither trained on nor choose the epoch: the test split's, and with
            `[run] select_on = train` the validation split's.
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
    """Tell whether a network was made of the same layers; a setting that came later was then at its default."""
    if not before or not now:  # a record of before there were any
        return dict(before) == dict(now)
    return {**{name: find_default(name) for name in now}, **before} == dict(now)


def write_decision(folder: Path, made_of: Mapping[str, Any]) -> None:
    """Write down what a training goes on from, when it begins."""
    if "warm_start" in made_of:
        begun = {name: value for name, value in made_of.items() if name != "warm_start"}
        decision = {"begun_as": compute_fingerprint(begun), "start": made_of["warm_start"]}
        files.write_json(folder / DECISION, decision)


def _read_decision(path: Path) -> dict[str, str]:
    """Read as what a training was begun and what it goes on from; nothing where that cannot be told."""
    try:
        value = read_object(path)
        found = {name: check_text(value[name], name) for name in ("begun_as", "start")}
        # It becomes part of a path.
        return found if _FINGERPRINT.fullmatch(found["start"]) else {}
    except (OSError, ValueError, KeyError):
        return {}


def _may_go_on(before: Mapping[str, Any], now: Mapping[str, Any], scored: frozenset[str]) -> bool:
    """Tell whether a training may go on from one that was made of something else."""
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

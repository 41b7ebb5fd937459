"""What a checkpoint records of its making. It is checked before use, because anyone may have written the file."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.tensor_files import make_printable
from models.training.settings import SPHEREFACE, STFT, split_names
from pipeline.errors import UserError
from store.features import NAME

#: The next step where a checkpoint cannot be used.
TRAIN_AGAIN = "remove its folder and run FullRun, which trains it again"
#: Each network's own input, which is not the name of a declared feature.
_OWN = {"anet": STFT, "vnet": SPHEREFACE}


def read_provenance(
    provenance: Mapping[str, Any], path: Path
) -> tuple[Mapping[str, Mapping[str, Any]], np.ndarray, dict[str, str]]:
    """Read on which features a checkpoint was trained, and the mean of its training labels.

    Args:
        provenance: plain data from the checkpoint's file.
        path: path of the checkpoint, for the error.

    Returns:
        Stage to what determined its bytes; the mean arousal and valence of the training split, (2,); and "anet" and
        "vnet" to the features that they use (`[anet] features` and `[vnet] features`).

    Raises:
        UserError: An entry is missing, or has a type that no run writes.
    """
    for key in ("features", "training_mean"):
        if key not in provenance:
            raise UserError(
                f"--checkpoint {path} does not record its {key}: it was not written by a run of this release; "
                f"{TRAIN_AGAIN}"
            )
    try:
        mean = provenance["training_mean"]
        if not _are_numbers(mean):
            raise _wrong("training_mean", mean, "two numbers")
        return _read_stages(provenance["features"]), np.array(mean, np.float64), _read_names(provenance)
    except _WrongError as error:
        raise UserError(f"--checkpoint {path} {error}; no run wrote it so; {TRAIN_AGAIN}") from error


class _WrongError(ValueError):
    """A record is of the wrong type; the message is the reason."""


def _wrong(name: str, value: object, wanted: str) -> _WrongError:
    return _WrongError(f"records {name} as {make_printable(f'{value!r:.60}')}: it must be {wanted}")


def _are_numbers(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(type(each) in (int, float) and math.isfinite(each) for each in value)


def _read_stages(features: object) -> Mapping[str, Mapping[str, Any]]:
    made = _read_mapping("features", features)
    for stage, found in made.items():
        settings = _read_mapping(f"features.{stage}", found).get("settings", {})
        weights = _read_mapping(f"features.{stage}.settings", settings).get("weights", "")
        if stage == "embeddings" and not isinstance(weights, str):
            raise _wrong("features.embeddings.settings.weights", weights, "a text")
    return made


def _read_names(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Read which features the networks use; checkpoints from before these settings existed do not record it."""
    settings, found = _read_mapping("settings", provenance.get("settings", {})), {}
    for network, own in _OWN.items():
        names = _read_mapping(f"settings.{network}", settings.get(network, {})).get("features", own)
        parts = split_names(names) if isinstance(names, str) else ()
        if not parts or not all(part == own or NAME.fullmatch(part) for part in parts):
            raise _wrong(f"settings.{network}.features", names, f"{own}, or names of features")
        found[network] = names
    return found


def _read_mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(name, value, "a table of names")
    return value

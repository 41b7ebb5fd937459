"""The record of a finished training (`training.json`), and why today's settings and data need another training."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.chain import NETWORK_TITLES, find_chain
from pipeline.runs.changes.clip_changes import ClipFacts, describe_clip_changes
from pipeline.runs.changes.feature_changes import compare_features, format_value
from pipeline.settings.config import find_default
from pipeline.training.data import SELECTION
from store import files
from store.json_files import read_object

#: The record's name in a folder of checkpoints; it appears when the training is finished.
DONE = "training.json"
#: The stages on which a network's features depend.
RESTS_ON = {"anet": find_chain("stft"), "vnet": find_chain("embeddings")}
RESTS_ON["joint"] = (*RESTS_ON["anet"], *RESTS_ON["vnet"])
#: The number of newest records that are read; older ones are ignored.
_MOST_READ = 50


@dataclass(frozen=True)
class TrainingRecord:
    """A finished training.

    Attributes:
        network: anet, vnet or joint.
        fingerprint: the fingerprint of its checkpoints.
        made_of: the data of which the fingerprint is a digest; empty in records of releases that did not keep it.
        features: stage to what determined its bytes, for the stages on which the network depends.
        is_fold: whether it is only a part of a cross-validation.
        folder: the folder of its checkpoints.
        architecture: the settings that determine the network's layers.
    """

    network: str
    fingerprint: str
    made_of: Mapping[str, Any]
    features: Mapping[str, Any]
    is_fold: bool = False
    folder: Path = Path()
    architecture: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the record. A fold's record leaves out what it was made of: nothing is ever compared with a fold."""
        value: dict[str, Any] = {
            "network": self.network,
            "fingerprint": self.fingerprint,
            "finished": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            "is_fold": self.is_fold,
        }
        if not self.is_fold:
            value |= {"made_of": self.made_of, "features": self.features, "architecture": self.architecture}
        files.write_json(path, value)

    @classmethod
    def read(cls, path: Path) -> "TrainingRecord":
        """Read a record; parts that an earlier release did not write, or that are damaged, stay empty."""
        try:
            value = read_object(path)
        except (OSError, ValueError):
            value = {}
        parts = {name: value.get(name) for name in ("made_of", "features", "architecture")}
        return cls(
            network=str(value.get("network", "")),
            fingerprint=str(value.get("fingerprint", "")),
            is_fold=value.get("is_fold") is True,
            folder=path.parent,
            **{name: part if isinstance(part, dict) else {} for name, part in parts.items()},
        )


def find_records(checkpoints: Path, network: str) -> Iterator[TrainingRecord]:
    """Read the records of a network's finished trainings, the newest first, folds left out."""
    paths = sorted(checkpoints.glob(f"{network}-*/{DONE}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return (record for record in map(TrainingRecord.read, paths[:_MOST_READ]) if not record.is_fold)


def find_last(checkpoints: Path, network: str, seed: int) -> TrainingRecord | None:
    """Find the last finished training of a network, with this seed if possible; None where there is none.

    Args:
        checkpoints: the folder of all checkpoints.
        network: anet, vnet or joint.
        seed: the seed of the training that is to be explained.
    """
    last = None
    for record in find_records(checkpoints, network):
        if record.made_of.get("seed", seed) == seed:
            return record
        last = last or record
    return last


def explain(last: TrainingRecord, now: TrainingRecord, gone_to: Mapping[str, str]) -> list[str]:
    """Say how a training would differ from the last one, in one phrase for each kind of difference.

    Args:
        last: a record with `made_of`.
        now: the record that the training would have.
        gone_to: what is known of clips that are not trained on now, by name (see `describe_clip_changes`).
    """
    # Both are compared as JSON data. The members, which may be 100 000, are lists of plain values already.
    others = {name: value for name, value in now.made_of.items() if name != "members"}
    before, after = last.made_of, {**json.loads(json.dumps(others)), "members": now.made_of["members"]}
    try:
        if before.get("select_on") != after.get("select_on"):
            before, after = _leave_the_choice_aside(before), _leave_the_choice_aside(after)
        data = _find_data(last, now, before, after, gone_to)
        return [*data, *_find_differences(last.network, before, after)]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return ["the record of the last training cannot be read"]


def _leave_the_choice_aside(made_of: Mapping[str, Any]) -> dict[str, Any]:
    """Keep only the members of the training split, and count the held-out ones as trained on."""
    members = [
        [*member[:4], "train", *member[5:]] for member in made_of["members"] if member[4] in ("train", SELECTION)
    ]
    return {**made_of, "members": members}


def _find_data(
    last: TrainingRecord,
    now: TrainingRecord,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    gone_to: Mapping[str, str],
) -> Iterator[str]:
    pair = [{member[0]: member for member in made["members"]} for made in (before, after)]
    same = {name for name, member in pair[0].items() if pair[1].get(name) == member}
    one, other = (_read_members(member for name, member in members.items() if name not in same) for members in pair)
    clips = describe_clip_changes(one, other, gone_to)
    yield from clips
    if not clips and before["members"] != after["members"]:
        is_order_same = list(pair[0]) == list(pair[1])
        yield (
            "the crops are kept in another form" if is_order_same else "the rows of the CSV files are in another order"
        )
    # Added or removed features are reported with the settings, not here.
    changes = list(
        compare_features(last.features, now.features, [each for each in now.features if each in last.features])
    )
    yield from (change.describe() for change in changes)
    stages = before["stages"].keys() & after["stages"].keys()
    if not changes and any(before["stages"][stage] != after["stages"][stage] for stage in stages):
        yield "the features are made differently"


def _find_differences(network: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    one, other = before["settings"], after["settings"]
    for name in sorted(one.keys() | other.keys()):
        # A setting that is younger than the record is missing there, and counts as today's default.
        pair = [made.get(name, find_default(f"[{network}] {name}")) for made in (one, other)]
        if pair[0] != pair[1]:
            yield f"[{network}] {name} {format_value(pair[0])} to {format_value(pair[1])}"
    choices = [made.get("select_on", find_default("[run] select_on")) for made in (before, after)]
    if choices[0] != choices[1]:
        yield f"[run] select_on {choices[0]} to {choices[1]}"
    for name in ("seed", "precision", "processes"):
        if before[name] != after[name]:
            yield f"[run] {name} {before[name]} to {after[name]}"
    if before["version"] != after["version"]:
        yield f"the training's code: version {before['version']} to {after['version']}"
    weights = before["weights"].keys() | after["weights"].keys()
    changed = {name for name in weights if before["weights"].get(name) != after["weights"].get(name)}
    yield from (f"the weights {name} are different" for name in sorted(changed - {"parents"}))
    if before.get("warm_start") != after.get("warm_start"):
        start = after.get("warm_start")
        yield "it begins from the start" if start is None else f"it continues {network}-{start}"
    if "parents" in changed:
        pairs = zip(("anet", "vnet"), before["weights"]["parents"], after["weights"]["parents"], strict=True)
        others = [NETWORK_TITLES[parent].rpartition(" ")[2] for parent, a, b in pairs if a != b]
        yield f"it starts from another {' and '.join(others)}"


def _read_members(members: Iterable[list[Any]]) -> dict[str, ClipFacts]:
    """Read the clips of a training's members; a value after the split says how the crops are kept, and is ignored."""
    found = {}
    for name, content, arousal, valence, split, *_ in members:
        found[str(name)] = ClipFacts(str(split), arousal, valence, str(content))
    return found

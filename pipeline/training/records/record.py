"""What a finished training keeps of its own making (`training.json`), and why another one would be made today."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.chain import NETWORK_TITLES
from pipeline.runs.changes.clip_changes import ClipFacts, describe_clip_changes
from pipeline.runs.changes.feature_changes import compare_features, format_value
from pipeline.settings.config import find_default
from pipeline.training.data import SELECTION
from store import files
from store.json_files import read_object

#: Its name in a folder of checkpoints; it appears when the training is over.
DONE = "training.json"
#: The stages whose making a network's features rest on.
RESTS_ON = {"anet": ("wav", "stft"), "vnet": ("frames", "faces", "embeddings")}
RESTS_ON["joint"] = (*RESTS_ON["anet"], *RESTS_ON["vnet"])
#: Records looked at for the last one of a seed, the newest first; an older one than that is compared with nothing.
_MOST_READ = 50


@dataclass(frozen=True)
class TrainingRecord:
    """A finished training.

    Attributes:
        network: anet, vnet or joint.
        fingerprint: of its checkpoints.
        made_of: what the fingerprint is a digest of; empty where a release wrote it that did not keep that.
        features: stage to what made up its bytes, of the stages that it rests on.
        is_fold: whether it is a part of a cross-validation, and no result by itself.
        folder: of its checkpoints.
        architecture: the settings that make the network's layers.
    """

    network: str
    fingerprint: str
    made_of: Mapping[str, Any]
    features: Mapping[str, Any]
    is_fold: bool = False
    folder: Path = Path()
    architecture: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write it; a fold's without what it was made of, which nothing is ever compared with."""
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
        """Read it as far as it goes: one of an earlier release, or a damaged one, says nothing of its making."""
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
    """Find the last finished training of a network, one with this seed where there is any; None before the first.

    Args:
        checkpoints: the folder of all checkpoints.
        network: its name.
        seed: of the training that is to be explained.
    """
    last = None
    for record in find_records(checkpoints, network):
        if record.made_of.get("seed", seed) == seed:
            return record
        last = last or record
    return last


def explain(last: TrainingRecord, now: TrainingRecord, gone_to: Mapping[str, str]) -> list[str]:
    """Say in which a training would differ from the last one, a phrase for each kind of difference.

    Args:
        last: with what it was made of.
        now: the training as it would be.
        gone_to: of clips that are not trained on now what is known of them (see `describe_clip_changes`).
    """
    # Both as JSON has them; the clips, of which there may be 100 000, are lists of plain values in either.
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
    """Give what a training is made of with the training split alone, as if all of it were trained on."""
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
    # Which features there are is a setting, and told with those.
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
        # A setting that came later is not among those of before, and has today's default.
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
    """Read what a fingerprint says of its clips; what comes behind the split is how their crops are kept."""
    found = {}
    for name, content, arousal, valence, split, *_ in members:
        found[str(name)] = ClipFacts(str(split), arousal, valence, str(content))
    return found

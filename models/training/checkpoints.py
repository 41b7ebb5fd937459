"""Checkpoints: one file of tensors and plain data, from which a network can be rebuilt without any other file."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.choices import ARITHMETICS
from models.inputs.plan import InputPlan
from models.loading import check_state
from models.networks.anet import ANet
from models.networks.joint import Joint
from models.networks.vnet import VNet
from models.tensor_files import TensorFileError, check_plain, make_printable, read_tensors, write_tensors
from models.weights.digests import compute_sha256

FORMAT = "valar-checkpoint/1"
BEST, LAST = "best.pt", "last.pt"
NETWORKS: Mapping[str, type[nn.Module]] = {"anet": ANet, "vnet": VNet, "joint": Joint}


class CheckpointError(ValueError):
    """A file is not a checkpoint of Valar, or holds another network than the one asked for."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        kind: "anet", "vnet" or "joint".
        architecture: arguments of the network's constructor.
        inputs: what the network looks at in evaluation.
        settings: of its training.
        epoch: after which it was written, counted from 0.
        scores: `EpochMetrics` of that epoch as plain data, and `selected_by`.
        weights: what its layers started from, for example {"vgg16": "random"}.
        provenance: what the caller wants to record; plain data.
        state: the network's tensors.
        identity: of the training: a digest of everything that decides its result; empty where it is not known.
    """

    kind: str
    architecture: dict[str, Any]
    inputs: InputPlan
    settings: dict[str, Any]
    epoch: int
    scores: dict[str, Any]
    weights: dict[str, str]
    provenance: dict[str, Any]
    state: dict[str, torch.Tensor]
    identity: str = ""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole: beside its place, flushed to the disk, then renamed.

    Args:
        path: replaced where it exists; its folder must exist.
        checkpoint: its tensors may be on any device.

    Raises:
        TypeError: something in it is neither a tensor nor plain data, which `weights_only` could not load.
    """
    content = {"format": FORMAT, **{name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}}
    content["inputs"] = checkpoint.inputs.describe()
    content["state"] = {key: value.detach().cpu() for key, value in checkpoint.state.items()}
    for name, value in content.items():
        if name != "state":
            check_plain(value, where=name)
    write_tensors(path, content)


def read_content(file: Path, *, format_name: str) -> dict[str, Any]:
    """Read the content of a file of this package; only tensors and plain data are unpickled, tensors to the CPU.

    Args:
        file: must exist.
        format_name: the format that the file must name.

    Raises:
        CheckpointError: the file cannot be read, or has another format.
    """
    try:
        content = read_tensors(file)
    except TensorFileError as error:
        raise CheckpointError(f"{file} cannot be read as a checkpoint of tensors and plain data: {error}") from error
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != format_name:
        said = make_printable(repr(found))
        raise CheckpointError(f"{file} has format {said}: it must be {format_name!r}; train again with this version")
    return dict(content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; only tensors and plain data are unpickled.

    Args:
        path: the file, or its folder, where the best one is taken.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is not a checkpoint, has another format, or holds what no training writes.
    """
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no checkpoint at {file}: a training writes {BEST} and {LAST} into its folder")
    content = read_content(file, format_name=FORMAT)
    try:
        _check_content(content)
        content["inputs"] = InputPlan(**content["inputs"])
        return Checkpoint(**content)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{file} is damaged, or was written by another version: {error}") from error


def load_network(path: Path, *, kind: str | None = None) -> tuple[nn.Module, Checkpoint]:
    """Rebuild the network of a checkpoint.

    Args:
        path: the file, or its folder, where the best one is taken.
        kind: the network that it must hold; None for any.

    Returns:
        The network on the CPU in evaluation mode, and the checkpoint it came from.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: see `load_checkpoint`; or the checkpoint holds another kind of network, or its weights do not
            fit the network or are not finite.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.kind not in NETWORKS or kind not in (None, checkpoint.kind):
        wanted = kind or " or ".join(NETWORKS)
        raise CheckpointError(f"{path} holds {make_printable(repr(checkpoint.kind))}: it must be {wanted}")
    try:
        _check_plan(checkpoint)
        # The meta device takes no memory and no random numbers for weights that are replaced at once.
        with torch.device("meta"):
            network = NETWORKS[checkpoint.kind](**checkpoint.architecture)
        check_state(network, checkpoint.state, source=f"the state of {path}", hint="train again")
    except (TypeError, ValueError) as error:
        reason = make_printable(str(error))
        raise CheckpointError(f"{path} holds no {checkpoint.kind} that can be rebuilt: {reason}") from error
    network.load_state_dict({key: value.float() for key, value in checkpoint.state.items()}, assign=True)
    return network.eval(), checkpoint


def describe_weights(path: Path | None) -> str:
    """Name the source of weights: "random", or the file's name and sha256."""
    return "random" if path is None else f"{path.name} sha256:{compute_sha256(path)}"


def _check_content(content: dict[str, Any]) -> None:
    """Refuse content whose names or types no training writes.

    Raises:
        TypeError, ValueError: say what is wrong.
    """
    fields = {field.name: field for field in dataclasses.fields(Checkpoint)}
    missing = [name for name, field in fields.items() if name not in content and field.default is dataclasses.MISSING]
    unknown = [make_printable(str(name)) for name in content if name not in fields]
    if missing or unknown:
        raise ValueError(f"it lacks {missing} and has the unknown {unknown[:5]}")
    for name, value in content.items():
        wanted = {"kind": str, "identity": str, "epoch": int}.get(name, dict)
        if type(value) is not wanted and not (wanted is dict and isinstance(value, dict)):
            raise ValueError(f"{name} is {type(value).__name__}: it must be {wanted.__name__}")
        if name != "state":
            check_plain(value, where=name)
    if content["epoch"] < 0:
        raise ValueError(f"epoch ({content['epoch']}) must be at least 0")
    precision = content["settings"].get("precision", ARITHMETICS[0])
    if precision not in ARITHMETICS:
        raise ValueError(f"settings.precision ({make_printable(repr(precision))}) must be one of {ARITHMETICS}")
    if not isinstance(content["scores"].get("selected_by", ""), str):
        raise ValueError("scores.selected_by must be a text")
    others = [name for name, source in content["weights"].items() if not isinstance(source, str)]
    if others:
        raise ValueError(f"weights must be texts, but those of {make_printable(str(others))} are not")


def _check_plan(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose inputs do not fit its network.

    Raises:
        ValueError: says what the inputs are and what the network needs.
    """
    plan, kind = checkpoint.inputs, checkpoint.kind
    looked_at = [("sound", plan.num_maps, kind != "vnet"), ("faces", plan.num_frames, kind != "anet")]
    for what, count, is_needed in looked_at:
        if bool(count) != is_needed:
            raise ValueError(f"{kind} {'needs' if is_needed else 'takes no'} {what}, and its inputs have {count} of it")
    heard = "rows" if checkpoint.architecture.get("row_size") else checkpoint.architecture.get("input", "stft")
    if kind != "vnet" and plan.sound != heard:
        raise ValueError(f"its inputs are {plan.sound}, and its layers are made for {make_printable(repr(heard))}")
    crops = checkpoint.architecture.get("backbone", "frozen") == "finetune"
    if kind != "anet" and crops != (plan.faces == "crops"):
        raise ValueError(f"its inputs are {plan.faces}, which do not go with its backbone")

"""Checkpoints: one file of tensors and plain data from which a network is rebuilt with nothing else at hand."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.inputs.batches import InputPlan
from models.networks.anet import ANet
from models.networks.joint import Joint
from models.networks.vnet import VNet
from models.weights.digests import compute_sha256

FORMAT = "valar-checkpoint/1"
BEST, LAST = "best.pt", "last.pt"
UNFINISHED = ".tmp"
NETWORKS: Mapping[str, type[nn.Module]] = {"anet": ANet, "vnet": VNet, "joint": Joint}
PLAIN = (str, int, float, bool, type(None))


class CheckpointError(ValueError):
    """A file is no checkpoint of ours, or not of the network asked for."""


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
        provenance: whatever the caller wants to know later; plain data.
        state: the network's tensors.
        identity: of the training: a digest of all that decides on its outcome; empty where it is not known.
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
    content["inputs"] = asdict(checkpoint.inputs)
    content["state"] = {key: value.detach().cpu() for key, value in checkpoint.state.items()}
    for name, value in content.items():
        if name != "state":
            _check_plain(value, where=name)
    write_tensors(path, content)


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain data to a file whole: beside its place, flushed to the disk, then renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with beside.open("wb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read_tensors(file: Path, *, format_name: str) -> dict[str, Any]:
    """Read such a file; only tensors and plain data are unpickled, and the tensors are on the CPU.

    Args:
        file: must exist.
        format_name: what it must say of itself.

    Raises:
        CheckpointError: it cannot be read, or is of another format.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{file} cannot be read as a checkpoint of tensors and plain data: {reason}") from error
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != format_name:
        raise CheckpointError(f"{file} has format {found!r}: it must be {format_name!r}; train again with this version")
    return dict(content)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for path in folder.glob(f".*.pt.*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; only tensors and plain data are unpickled.

    Args:
        path: the file, or its folder, where the best one is taken.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is no checkpoint, or one of another format version.
    """
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no checkpoint at {file}: a training writes {BEST} and {LAST} into its folder")
    content = read_tensors(file, format_name=FORMAT)
    content["inputs"] = InputPlan(**content["inputs"])
    return Checkpoint(**content)


def load_network(path: Path, *, kind: str | None = None) -> tuple[nn.Module, Checkpoint]:
    """Rebuild the network of a checkpoint.

    Args:
        path: the file, or its folder, where the best one is taken.
        kind: what it must be; None for any.

    Returns:
        The network on the CPU in evaluation mode, and the checkpoint it came from.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: see `load_checkpoint`; or it holds another kind of network.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.kind not in NETWORKS or kind not in (None, checkpoint.kind):
        wanted = kind or " or ".join(NETWORKS)
        raise CheckpointError(f"{path} holds {checkpoint.kind!r}: it must be {wanted}")
    # No memory and no random numbers for weights that are replaced at once.
    with torch.device("meta"):
        network = NETWORKS[checkpoint.kind](**checkpoint.architecture)
    network.load_state_dict(checkpoint.state, assign=True)
    return network.eval(), checkpoint


def describe_weights(path: Path | None) -> str:
    """Name where weights came from: "random", or the file's name and sha256."""
    return "random" if path is None else f"{path.name} sha256:{compute_sha256(path)}"


def _check_plain(value: object, *, where: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_plain(key, where=where)
            _check_plain(inner, where=f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            _check_plain(inner, where=f"{where}[{position}]")
    elif type(value) not in PLAIN:
        raise TypeError(
            f"{where} ({value!r}) is {type(value).__name__}: a checkpoint holds tensors and plain data only"
        )


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

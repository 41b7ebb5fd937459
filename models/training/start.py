"""Training of ANet, VNet and Joint: how each starts and what it looks at. Their common loop is loop.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.inputs.clips import Clips, measure_embeddings
from models.inputs.spread import measure_frequencies, measure_rows
from models.networks.anet import ANet, build_anet
from models.networks.joint import build_joint
from models.networks.sequence import SequenceFeature
from models.networks.vnet import VNet, build_vnet
from models.paper import FEATURE_SIZE, MAP_FRAMES, STFT_HOP_SECONDS
from models.training.checkpoints import Checkpoint, CheckpointError, describe_weights, load_network
from models.training.inference import predict
from models.training.loop import EpochMetrics, Job, RunOptions, TrainingError, fit
from models.training.settings import ANetSettings, JointSettings, TrainingSettings, VNetSettings

__all__ = [
    "ANetSettings",
    "Clips",
    "EpochMetrics",
    "JointSettings",
    "RunOptions",
    "TrainingError",
    "TrainingSettings",
    "VNetSettings",
    "predict",
    "train_anet",
    "train_joint",
    "train_vnet",
]


def train_anet(
    train: Clips,
    validation: Clips,
    settings: ANetSettings,
    options: RunOptions,
    *,
    weights: Path | None,
    provenance: Mapping[str, Any] | None = None,
    start: Path | None = None,
) -> None:
    """Train ANet (III-A); see `loop.fit` for the files that it writes and the errors that it raises.

    Args:
        train: training split; utterances without STFT (or the feature of sound in its place) are left out.
        validation: validation split.
        settings: see `ANetSettings`.
        options: where, on what and with which seed.
        weights: VGG-16's file; None is an explicit choice of random weights. Not used with another feature than the
            transform.
        provenance: plain data to record in the checkpoints.
        start: checkpoint of an earlier training, file or folder (its best one), with whose weights this one starts.
    """
    architecture: dict[str, Any] = {"channel_scale": settings.channel_scale, "arousal_output": settings.arousal_output}
    # Defaults are left out, so that earlier trainings keep their identity.
    if settings.input != "stft":
        architecture["input"] = settings.input
    if settings.normalise != "map":
        architecture["normalise"] = settings.normalise
    rows = settings.sound == "rows"
    if rows:
        weights = None
        architecture |= {"row_size": train.shape_of("stft")[0], "pooling": settings.pooling}
    map_rows = max(1, round(MAP_FRAMES * STFT_HOP_SECONDS / train.hop_seconds))
    plans = [settings.plan_inputs(evaluation=evaluation, map_rows=map_rows) for evaluation in (False, True)]
    network = build_anet(weights, **architecture, initialisation=settings.initialisation, seed=options.seed)
    if isinstance(network.feature, SequenceFeature):
        network.feature.set_standardisation(*measure_rows(train))
    elif settings.normalise == "frequency":
        network.feature.set_frequencies(*measure_frequencies(train, plans[1]))
    job = Job(
        kind="anet",
        network=network,
        architecture=architecture,
        settings=settings,
        train_plan=plans[0],
        evaluation_plan=plans[1],
        weights={} if rows else {"vgg16": describe_weights(weights)},
        parents=_go_on(network, start, "anet", architecture),
        provenance=provenance or {},
    )
    fit(job, train, validation, options)


def train_vnet(
    train: Clips,
    validation: Clips,
    settings: VNetSettings,
    options: RunOptions,
    *,
    weights: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
    start: Path | None = None,
) -> None:
    """Train VNet (III-B); see `loop.fit` for the files that it writes and the errors that it raises.

    Args:
        train: training split; utterances without embeddings (with `finetune`: crops) are left out.
        validation: validation split.
        settings: see `VNetSettings`.
        options: where, on what and with which seed.
        weights: SphereFace's file, used with `finetune` only; None is an explicit choice of random weights. With
            `frozen`, the caller records in `provenance` what made the embeddings.
        provenance: plain data to record in the checkpoints.
        start: checkpoint of an earlier training, file or folder (its best one), with whose weights this one starts.
    """
    plan = settings.plan_inputs(evaluation=False)
    architecture: dict[str, Any] = {"backbone": settings.backbone, "arousal_output": settings.arousal_output}
    if train.face_size != FEATURE_SIZE:  # left out otherwise, so that earlier trainings keep their identity
        architecture["face_size"] = train.face_size
    network = build_vnet(weights, **architecture, initialisation=settings.initialisation, seed=options.seed)
    if settings.standardise:
        mean, scale = measure_embeddings(train.embeddings)
        network.feature.set_standardisation(torch.from_numpy(mean), scale)
    job = Job(
        kind="vnet",
        network=network,
        architecture=architecture,
        settings=settings,
        train_plan=plan,
        evaluation_plan=plan,
        weights={"sphereface": describe_weights(weights)} if settings.backbone == "finetune" else {},
        parents=_go_on(network, start, "vnet", architecture),
        provenance=provenance or {},
    )
    fit(job, train, validation, options)


def train_joint(
    train: Clips,
    validation: Clips,
    settings: JointSettings,
    options: RunOptions,
    *,
    anet: Path,
    vnet: Path,
    provenance: Mapping[str, Any] | None = None,
    start: Path | None = None,
) -> None:
    """Train Joint (III-C) from a trained ANet and VNet; see `loop.fit` for the files that it writes and its errors.

    Args:
        train: training split; utterances without sound or without a face are left out.
        validation: validation split.
        settings: see `JointSettings`; ANet's width and VNet's backbone and channel order are those of the checkpoints.
        options: where, on what and with which seed.
        anet: ANet's checkpoint, file or folder (its best one).
        vnet: VNet's checkpoint, file or folder (its best one).
        provenance: plain data to record in the checkpoints.
        start: checkpoint of an earlier training, file or folder (its best one), with whose weights this one starts.

    Raises:
        CheckpointError: a checkpoint holds another network.
    """
    anet_network, anet_checkpoint = load_network(anet, kind="anet")
    vnet_network, vnet_checkpoint = load_network(vnet, kind="vnet")
    assert isinstance(anet_network, ANet), "load_network has checked the kind"
    assert isinstance(vnet_network, VNet), "load_network has checked the kind"
    architecture = {**anet_checkpoint.architecture, **vnet_checkpoint.architecture}
    architecture["arousal_output"] = settings.arousal_output
    if settings.fusion != "concat":  # left out otherwise, so that earlier trainings keep their identity
        architecture["fusion"] = settings.fusion
    plan = settings.plan_inputs(
        backbone=architecture["backbone"],
        channel_order=vnet_checkpoint.inputs.channel_order,
        sound=anet_checkpoint.inputs.sound,
        map_rows=anet_checkpoint.inputs.map_rows,
    )
    network = build_joint(
        anet_network, vnet_network, **architecture, initialisation=settings.initialisation, seed=options.seed
    )
    job = Job(
        kind="joint",
        network=network,
        architecture=architecture,
        settings=settings,
        train_plan=plan,
        evaluation_plan=plan,
        weights={**anet_checkpoint.weights, **vnet_checkpoint.weights},
        parents=(
            *(_identify(checkpoint) for checkpoint in (anet_checkpoint, vnet_checkpoint)),
            *_go_on(network, start, "joint", architecture),
        ),
        provenance=provenance or {},
    )
    fit(job, train, validation, options)


def _go_on(network: nn.Module, start: Path | None, kind: str, architecture: Mapping[str, Any]) -> tuple[str, ...]:
    """Load the weights of an earlier training into a network, if `start` names one; return what identifies it.

    Raises:
        CheckpointError: the checkpoint holds another network, or one with other layers.
    """
    if start is None:
        return ()
    other, checkpoint = load_network(start, kind=kind)
    if checkpoint.architecture != dict(architecture):
        raise CheckpointError(
            f"{start} has the layers {checkpoint.architecture}: to go on from it they must be {dict(architecture)}"
        )
    network.load_state_dict(other.state_dict())
    return (f"goes on from {_identify(checkpoint)}",)


def _identify(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.identity} {checkpoint.epoch} {checkpoint.scores['selected_by']}"

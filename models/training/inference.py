"""Predictions of a network for the utterances that have its input."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.choices import Arithmetic
from models.inputs.batches import draw_rows, prepare_inputs
from models.inputs.clips import Clips
from models.inputs.feeding import Feed, HostRows, Source
from models.inputs.plan import InputPlan
from models.inputs.sampling import split_batches
from models.loading import place_network
from models.networks.precision import computing_in
from models.paper import NUM_DIMENSIONS
from models.training.checkpoints import load_network

#: Utterances per batch; the paper's Joint has 4 maps and 16 faces of each.
BATCH_SIZE = 16


def predict(
    checkpoint: Path | Sequence[Path],
    clips: Clips,
    *,
    device: str = "cpu",
    batch_size: int = BATCH_SIZE,
    tick: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Predict arousal and valence with a trained network, or with the mean of several.

    Sampling is that of evaluation (each segment's centre, evenly spread maps), so nothing is random. The arithmetic is
    that of the training.

    Args:
        checkpoint: file, or folder, whose best checkpoint is taken; for several, the mean of their predictions.
        clips: the split; its labels are not used.
        device: where the network runs.
        batch_size: utterances per batch.
        tick: called with the number of utterances after each batch.

    Returns:
        (U, 2) float32 in [-1, 1]. A row is NaN where the network's input is missing (sound for ANet, faces for VNet,
        one of the two for Joint).

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: the file is not a checkpoint of Valar.
        ValueError: no checkpoint is named.
    """
    paths = [checkpoint] if isinstance(checkpoint, Path) else list(checkpoint)
    if not paths:
        raise ValueError("no checkpoint to predict with: name at least one")
    predictions = np.stack([_predict_one(path, clips, device, batch_size, tick) for path in paths])  # (networks, U, 2)
    return np.asarray(predictions.mean(axis=0))


def _predict_one(path: Path, clips: Clips, device: str, batch_size: int, tick: Callable[[int], None]) -> np.ndarray:
    network, loaded = load_network(path)
    place_network(network, device=device)
    members = np.flatnonzero(loaded.inputs.find_visible(clips))
    result = np.full((len(clips), NUM_DIMENSIONS), np.nan, dtype=np.float32)
    result[members] = predict_members(
        network,
        clips,
        HostRows(clips),
        members,
        loaded.inputs,
        device=device,
        batch_size=batch_size,
        precision=loaded.settings.get("precision", "float32"),
        tick=tick,
    ).numpy()
    return result


def predict_members(
    network: nn.Module,
    clips: Clips,
    source: Source,
    members: np.ndarray,
    plan: InputPlan,
    *,
    device: str,
    batch_size: int,
    precision: Arithmetic,
    tick: Callable[[int], None] = lambda count: None,
) -> torch.Tensor:
    """Predict some utterances as `predict` does, with a network that is on the device; evaluation mode stays on.

    Args:
        network: on the device.
        clips: the split.
        source: of its rows.
        members: (M,) positions of utterances that have what the plan needs.
        plan: what the network looks at.
        device: where the network is.
        batch_size: utterances per batch.
        precision: of the arithmetic.
        tick: called with the number of utterances after each batch.

    Returns:
        (M, 2) float32 on the CPU.
    """
    draw = draw_rows(clips, members, plan, None)
    batches = [draw.take(rows) for rows in split_batches(len(members), batch_size, None)]
    network.eval()
    parts = [torch.zeros((0, NUM_DIMENSIONS))]
    with torch.inference_mode(), computing_in(precision, device):
        for gathered in Feed(source, plan, device).iterate(batches):
            parts.append(network(*prepare_inputs(gathered, plan, device)).float())
            tick(len(parts[-1]))
        return torch.cat([part.cpu() for part in parts])

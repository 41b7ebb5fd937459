"""What a network says of the utterances it can see."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.batches import InputPlan, draw_rows, gather_rows, prepare_inputs
from models.checkpoints import load_network
from models.clips import Clips
from models.loading import place_network
from models.paper import NUM_DIMENSIONS
from models.sampling import split_batches


def predict(checkpoint: Path, clips: Clips, *, device: str = "cpu", batch_size: int = 16) -> np.ndarray:
    """Predict arousal and valence with a trained network.

    Sampling is evaluation's: each segment's centre, evenly spread maps; so the result depends on nothing random.

    Args:
        checkpoint: file, or folder, where the best one is taken.
        clips: the split; its labels are not looked at.
        device: where the network runs.
        batch_size: utterances at once; the paper's Joint holds 4 maps and 16 faces of each.

    Returns:
        (U, 2) float32 in [-1, 1], rows of NaN where the network can see nothing (no sound for ANet, no face for VNet,
        one of the two for Joint).

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: the file is no checkpoint of ours.
    """
    network, loaded = load_network(checkpoint)
    place_network(network, device=device)
    return predict_clips(network, clips, loaded.inputs, device=device, batch_size=batch_size)


def predict_clips(network: nn.Module, clips: Clips, plan: InputPlan, *, device: str, batch_size: int) -> np.ndarray:
    """Predict as `predict` does, with a network in memory that is on the device; it is left in evaluation mode."""
    result = np.full((len(clips), NUM_DIMENSIONS), np.nan, dtype=np.float32)
    visible = np.flatnonzero(plan.find_visible(clips))
    network.eval()
    with torch.inference_mode():
        for positions in split_batches(len(visible), batch_size, None):
            members = visible[positions]
            gathered = gather_rows(clips, draw_rows(clips, members, plan, None), plan)
            result[members] = network(*prepare_inputs(gathered, plan, device)).cpu().numpy()
    return result

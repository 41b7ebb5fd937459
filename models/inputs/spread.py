"""Mean and deviation of ANet's input over a split, by which ANet may normalise it."""

import numpy as np
import torch

from models.inputs.batches import draw_rows, gather_rows, release_pages
from models.inputs.clips import Clips
from models.inputs.plan import InputPlan
from models.inputs.sampling import split_batches
from models.networks.maps import count_channels, normalise_maps
from models.paper import NUM_FREQUENCIES

#: Utterances whose maps are measured together.
_BATCH_SIZE = 16
#: Share of the mean deviation. A frequency with a smaller deviation, such as one above a telephone's range, is not
#: amplified to the size of the others.
_SMALLEST_SHARE = 0.01


def measure_frequencies(clips: Clips, plan: InputPlan) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure each frequency over all real frames of the maps that evaluation would use.

    Args:
        clips: the training split; utterances without both labels or without sound are left out.
        plan: of evaluation.

    Returns:
        Mean (C, 257) of the maps, each normalised by its own values (see `normalise_maps`), and 1 over their deviation;
        both float32. Without maps, 0 and 1.
    """
    assert plan.sound != "rows", "rows have no frequencies"
    members = np.flatnonzero(clips.find_labelled() & plan.find_visible(clips))
    draw = draw_rows(clips, members, plan, None)
    shape = (count_channels(plan.sound), NUM_FREQUENCIES)
    count, total, squares = 0, torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    for rows in split_batches(len(members), _BATCH_SIZE, None):
        gathered = gather_rows(clips, draw.take(rows), plan)
        maps = normalise_maps(gathered.maps, gathered.map_lengths, plan.sound).double()  # (M, C, 257, 300)
        # Padding is 0, and adds nothing.
        count += int(gathered.map_lengths.sum())
        total, squares = total + maps.sum((0, 3)), squares + maps.square().sum((0, 3))
    if not count:
        return torch.zeros(shape), torch.ones(shape)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    smallest = _SMALLEST_SHARE * deviation.mean()
    scale = 1 / deviation.clamp(min=smallest) if smallest > 0 else torch.ones(shape)
    return mean.float(), scale.float()


def measure_rows(clips: Clips) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure each number of a feature of sound over all rows of the utterances with both labels.

    Args:
        clips: the training split; its `stft` are (R, D).

    Returns:
        Mean (D,) and 1 over the deviation (1 where a number never varies), both float32. Without rows, 0 and 1.
    """
    size = clips.shape_of("stft")[0]
    count, total, squares = 0, np.zeros(size), np.zeros(size)
    for array, is_labelled in zip(clips.stft, clips.find_labelled(), strict=True):
        if array is not None and is_labelled:
            rows = array[:].astype(np.float64)  # the slice of a mapped array checks its file's size
            release_pages([array], np.zeros(1, np.int64))
            count, total, squares = count + len(rows), total + rows.sum(0), squares + (rows**2).sum(0)
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
    # Rounding can make a deviation of 0 slightly larger.
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 1)
    return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()

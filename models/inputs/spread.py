"""How the frequencies of a split's maps are spread: what ANet may normalise them by."""

import numpy as np
import torch

from models.inputs.batches import draw_rows, gather_rows
from models.inputs.clips import Clips
from models.inputs.plan import InputPlan
from models.inputs.sampling import split_batches
from models.networks.anet import count_channels, normalise_maps
from models.paper import NUM_FREQUENCIES

#: Utterances whose maps are looked at together.
_BATCH_SIZE = 16
#: Of the mean deviation: a frequency that varies less than this, such as one above what a telephone passes, is not
#: blown up to the others' size.
_SMALLEST_SHARE = 0.01


def measure_frequencies(clips: Clips, plan: InputPlan) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure each frequency over all real frames of the maps that evaluation would look at.

    Args:
        clips: the training split; utterances without both labels or without sound are left out.
        plan: of evaluation.

    Returns:
        Mean (C, 257) of the maps, each normalised by itself (see `normalise_maps`), and 1 over their deviation; both
        float32. Of no maps, 0 and 1.
    """
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

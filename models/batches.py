"""From utterances to a network's input: first integers are drawn, then rows gathered, then moved and normalised.

The three steps are apart so that each can be tested alone, and the gathering can move to the device.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.anet import normalise_maps
from models.clips import Clips, count_rows
from models.paper import MAP_FRAMES, NUM_FREQUENCIES, NUM_PARTS
from models.sampling import draw_frames, draw_map_starts
from models.sphereface import ChannelOrder, normalise_crops

FaceInput = Literal["embeddings", "crops"]


@dataclass(frozen=True)
class InputPlan:
    """What a network looks at in an utterance.

    Attributes:
        num_maps: STFT maps per utterance; 0 for a network without sound.
        num_frames: faces per utterance; 0 for a network without picture.
        faces: which of the two the faces are.
        channel_order: of crops.
    """

    num_maps: int
    num_frames: int
    faces: FaceInput = "embeddings"
    channel_order: ChannelOrder = "bgr"

    def find_visible(self, clips: Clips) -> np.ndarray:
        """Tell which utterances have all that the network looks at: (U,) bool."""
        visible = np.ones(len(clips), dtype=bool)
        if self.num_maps:
            visible &= count_rows(clips.stft) > 0
        if self.num_frames:
            visible &= count_rows(getattr(clips, self.faces)) > 0
        return visible


@dataclass(frozen=True)
class Draw:
    """Which rows of which utterances make up a batch; integers only.

    Attributes:
        members: (B,) positions in the split.
        map_owners: (M,) the member each map belongs to; equal maps of an utterance are there once.
        map_starts: (M,) the map's first STFT frame.
        map_index: (B, N_A) each utterance's maps among the M.
        frames: (B, N_V) rows of the faces.
    """

    members: np.ndarray
    map_owners: np.ndarray
    map_starts: np.ndarray
    map_index: np.ndarray
    frames: np.ndarray


@dataclass(frozen=True)
class Gathered:
    """The rows themselves, as stored.

    Attributes:
        maps: (M, 300, 257, 2) float32, zeros behind each map's end.
        map_lengths: (M,) int64 real frames of each.
        map_index: as in `Draw`.
        faces: (B, N_V, 512) float32 or (B, N_V, 112, 96, 3) uint8.
    """

    maps: torch.Tensor
    map_lengths: torch.Tensor
    map_index: torch.Tensor
    faces: torch.Tensor


def draw_rows(clips: Clips, members: np.ndarray, plan: InputPlan, rng: np.random.Generator | None) -> Draw:
    """Draw the rows of a batch.

    Args:
        clips: the split.
        members: (B,) positions of utterances that the plan can see.
        plan: what the network looks at.
        rng: random sampling; None for evaluation's.
    """
    owners: list[int] = []
    starts: list[int] = []
    index = np.zeros((len(members), plan.num_maps), dtype=np.int64)
    frames = np.zeros((len(members), plan.num_frames), dtype=np.int64)
    for row, member in enumerate(members):
        if plan.num_maps:
            drawn = draw_map_starts(len(_rows(clips.stft[member])), plan.num_maps, rng)
            distinct, inverse = np.unique(drawn, return_inverse=True)
            index[row] = len(owners) + inverse
            owners += [int(member)] * len(distinct)
            starts += distinct.tolist()
        if plan.num_frames:
            faces = _rows(getattr(clips, plan.faces)[member])
            frames[row] = draw_frames(len(faces), plan.num_frames, rng)
    return Draw(members, np.array(owners, dtype=np.int64), np.array(starts, dtype=np.int64), index, frames)


def gather_rows(clips: Clips, draw: Draw, plan: InputPlan) -> Gathered:
    """Copy the drawn rows out of the split's arrays; the only place where they are read."""
    maps = torch.zeros((len(draw.map_owners), MAP_FRAMES, NUM_FREQUENCIES, NUM_PARTS))
    lengths = np.zeros(len(draw.map_owners), dtype=np.int64)
    for row, (owner, start) in enumerate(zip(draw.map_owners, draw.map_starts, strict=True)):
        part = _rows(clips.stft[owner])[start : start + MAP_FRAMES]
        maps[row, : len(part)] = torch.from_numpy(np.array(part))
        lengths[row] = len(part)
    if plan.num_frames:
        arrays = getattr(clips, plan.faces)
        faces = np.stack([_rows(arrays[m])[rows] for m, rows in zip(draw.members, draw.frames, strict=True)])
    else:
        faces = np.zeros((len(draw.members), 0), dtype=np.float32)
    return Gathered(maps, torch.from_numpy(lengths), torch.from_numpy(draw.map_index), torch.from_numpy(faces))


def prepare_inputs(gathered: Gathered, plan: InputPlan, device: str) -> tuple[torch.Tensor, ...]:
    """Move a batch to the device and normalise it there.

    Returns:
        The arguments of the network's forward: maps and index for a plan with sound, faces for one with picture.
    """
    inputs: tuple[torch.Tensor, ...] = ()
    if plan.num_maps:
        maps = normalise_maps(gathered.maps.to(device), gathered.map_lengths.to(device))
        inputs += (maps.contiguous(memory_format=torch.channels_last), gathered.map_index.to(device))
    if plan.num_frames:
        faces = gathered.faces.to(device)
        if plan.faces == "crops":
            faces = normalise_crops(faces, channel_order=plan.channel_order)
        inputs += (faces,)
    return inputs


def _rows(array: np.ndarray | None) -> np.ndarray:
    assert array is not None, "only utterances that the plan can see are drawn"
    return array

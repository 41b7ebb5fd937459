"""From utterances to a network's input, in three steps: draw integers, gather rows, prepare (move and normalise) them.

The steps are separate, so that each can be tested alone. Drawing is cheap, and is done for a whole epoch at once.
Gathering happens ahead of time on the host, or from tensors on the device (models/inputs/feeding.py). Preparing happens
on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from models.inputs.clips import Clips, count_rows
from models.inputs.plan import InputPlan
from models.inputs.sampling import draw_frames, draw_map_starts
from models.networks.maps import normalise_maps
from models.networks.sequence import mark_rows
from models.paper import MAP_FRAMES, NUM_FREQUENCIES
from models.sphereface.network import normalise_crops


@dataclass(frozen=True)
class Draw:
    """Which rows of which utterances the network gets, and how they are altered; integers only.

    Attributes:
        members: (B,) positions in the split.
        map_starts: (B, N_A) the maps' first STFT frames.
        frames: (B, N_V) rows of the faces.
        mirrored: (B,) bool, True if the utterance's crops are mirrored.
        masks: (B, N_A, 4) first frequency, number of frequencies, first frame, number of frames set to zero.
    """

    members: np.ndarray
    map_starts: np.ndarray
    frames: np.ndarray
    mirrored: np.ndarray
    masks: np.ndarray

    def take(self, rows: np.ndarray) -> "Draw":
        """Return the draw of some of these utterances."""
        return Draw(*(getattr(self, name)[rows] for name in Draw.__dataclass_fields__))


@dataclass(frozen=True)
class Gathered:
    """The rows themselves, as stored.

    Attributes:
        maps: (M, 300, 257, 2) float32, or (M, R, D) of another feature, with zeros after each map's end. Equal maps of
            an utterance are held once.
        map_lengths: (M,) int64 real frames of each.
        map_index: (B, N_A) int64, each utterance's maps among the M.
        masks: (M, 4) int64, as in `Draw`; empty where the plan masks nothing.
        faces: (B, N_V, 512) float32 or (B, N_V, 112, 96, 3) uint8.
        mirrored: (B,) bool; empty where the plan mirrors nothing.
    """

    maps: torch.Tensor
    map_lengths: torch.Tensor
    map_index: torch.Tensor
    masks: torch.Tensor
    faces: torch.Tensor
    mirrored: torch.Tensor

    def pin(self) -> "Gathered":
        """Copy into pinned memory, from which a GPU can read while the processor continues."""
        return replace(self, **{name: getattr(self, name).pin_memory() for name in Gathered.__dataclass_fields__})


@dataclass(frozen=True)
class Maps:
    """The distinct maps of a draw.

    Attributes:
        owners: (M,) the member that each belongs to.
        starts: (M,) first STFT frames.
        index: (B, N_A) each utterance's maps among the M.
        masks: (M, 4), or (0, 4) where the plan masks nothing; a map that is held once has one mask.
    """

    owners: np.ndarray
    starts: np.ndarray
    index: np.ndarray
    masks: np.ndarray


def draw_rows(clips: Clips, members: np.ndarray, plan: InputPlan, rng: np.random.Generator | None) -> Draw:
    """Draw the rows of a batch's utterances, or of a whole epoch's (`Draw.take` then gives each batch).

    Args:
        clips: the split.
        members: (B,) positions of utterances that have what the plan needs.
        plan: what the network looks at.
        rng: for random sampling and alterations; None for evaluation, whose sampling is fixed and alters nothing.
    """
    starts = np.zeros((len(members), plan.num_maps), dtype=np.int64)
    frames = np.zeros((len(members), plan.num_frames), dtype=np.int64)
    masks = np.zeros((*starts.shape, 4), dtype=np.int64)
    mirrored = np.zeros(len(members), dtype=bool)
    if plan.num_maps:
        lengths = count_rows(clips.stft)[members]
        starts = draw_map_starts(
            lengths,
            plan.num_maps,
            rng if plan.random_starts else None,
            map_frames=plan.map_rows,
            ordered=plan.ordered_starts,
        )
    if plan.num_frames:
        frames = draw_frames(count_rows(getattr(clips, plan.faces))[members], plan.num_frames, rng)
    if rng is not None and plan.mirror:
        mirrored = rng.random(len(members)) < 0.5
    if rng is not None and plan.num_maps:
        for column, widest, size in ((0, plan.mask_frequencies, NUM_FREQUENCIES), (2, plan.mask_frames, MAP_FRAMES)):
            if widest:
                masks[..., column + 1] = rng.integers(min(widest, size) + 1, size=starts.shape)
                masks[..., column] = rng.integers(size - masks[..., column + 1] + 1)
    return Draw(members, starts, frames, mirrored, masks)


def merge_maps(draw: Draw, plan: InputPlan) -> Maps:
    """Find the distinct maps of a draw: the maps of a short utterance are all equal, and are computed once."""
    rows = np.repeat(np.arange(len(draw.members)), plan.num_maps)
    starts = draw.map_starts.ravel()
    # Utterance and start in one number: an utterance has fewer than 2**32 STFT frames (more than a year).
    _, first, inverse = np.unique(rows << 32 | starts, return_index=True, return_inverse=True)
    masked = plan.mask_frequencies or plan.mask_frames
    return Maps(
        owners=draw.members[rows[first]],
        starts=starts[first],
        index=inverse.reshape(draw.map_starts.shape).astype(np.int64),
        masks=draw.masks.reshape(-1, 4)[first if masked else slice(0)],
    )


def gather_rows(clips: Clips, draw: Draw, plan: InputPlan) -> Gathered:
    """Copy the drawn rows out of the split's arrays."""
    maps = merge_maps(draw, plan)
    values = torch.zeros((len(maps.owners), plan.map_rows, *clips.shape_of("stft")))
    lengths = np.zeros(len(maps.owners), dtype=np.int64)
    for row, (owner, start) in enumerate(zip(maps.owners, maps.starts, strict=True)):
        part = _rows(clips.stft[owner])[start : start + plan.map_rows]
        values.numpy()[row, : len(part)] = part
        lengths[row] = len(part)
    release_pages(clips.stft, maps.owners)
    if plan.num_frames:
        arrays = getattr(clips, plan.faces)
        faces = np.stack([_rows(arrays[m])[rows] for m, rows in zip(draw.members, draw.frames, strict=True)])
        release_pages(arrays, draw.members)
    else:
        faces = np.zeros((len(draw.members), 0), dtype=np.float32)
    return Gathered(
        maps=values,
        map_lengths=torch.from_numpy(lengths),
        map_index=torch.from_numpy(maps.index),
        masks=torch.from_numpy(maps.masks),
        faces=torch.from_numpy(faces),
        mirrored=torch.from_numpy(draw.mirrored if plan.mirror else draw.mirrored[:0]),
    )


def release_pages(arrays: Sequence[Any], members: np.ndarray) -> None:
    """Free the memory of the mapped pages that were read: they are copied, and a split may be larger than memory."""
    for member in np.unique(members).tolist():
        release = getattr(arrays[member], "release_pages", None)
        if release is not None:
            release()


def prepare_inputs(gathered: Gathered, plan: InputPlan, device: str) -> tuple[torch.Tensor, ...]:
    """Move a batch to the device; normalise and alter it there.

    Returns:
        The arguments of the network's forward: maps and index for a plan with sound, faces for one with picture.
    """
    moved = {name: getattr(gathered, name).to(device, non_blocking=True) for name in Gathered.__dataclass_fields__}
    inputs: tuple[torch.Tensor, ...] = ()
    if plan.num_maps and plan.sound == "rows":
        inputs += (mark_rows(moved["maps"], moved["map_lengths"]), moved["map_index"])
    elif plan.num_maps and plan.sound != "rows":
        maps = normalise_maps(moved["maps"], moved["map_lengths"], plan.sound)
        if len(moved["masks"]):
            maps = mask_maps(maps, moved["masks"])
        inputs += (maps.contiguous(memory_format=torch.channels_last), moved["map_index"])
    if plan.num_frames:
        faces = moved["faces"]
        if plan.faces == "crops":
            faces = normalise_crops(faces, channel_order=plan.channel_order)
            if len(moved["mirrored"]):
                faces = torch.where(moved["mirrored"][:, None, None, None, None], faces.flip(-1), faces)
        inputs += (faces,)
    return inputs


def mask_maps(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Set one band of frequencies and one of frames to zero in each map (SpecAugment, Park et al. 2019).

    A normalised map has mean 0, so this is the variant of Park et al. that fills in the mean. Differences from it: maps
    of the STFT are masked instead of a log mel spectrogram, nothing is warped, and there is one mask of each kind.

    Args:
        maps: (M, C, 257, 300), normalised.
        masks: (M, 4) first frequency, number of frequencies, first frame, number of frames.
    """
    kept = []
    for start, width, size in ((masks[:, 0], masks[:, 1], maps.shape[2]), (masks[:, 2], masks[:, 3], maps.shape[3])):
        positions = torch.arange(size, device=maps.device)
        kept.append((positions < start[:, None]) | (positions >= (start + width)[:, None]))  # (M, size)
    return maps * kept[0][:, None, :, None] * kept[1][:, None, None, :]


def _rows(array: np.ndarray | None) -> np.ndarray:
    assert array is not None, "only utterances that have what the plan needs are drawn"
    return array

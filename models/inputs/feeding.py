"""Reading of a network's rows: from memory-mapped arrays ahead of their use, or from tensors on the device."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from models.inputs.batches import Draw, Gathered, gather_rows, merge_maps
from models.inputs.clips import FEATURES, Clips, count_rows
from models.inputs.plan import InputPlan

#: Batches gathered ahead of the one in use.
DEPTH = 3
#: Share of a GPU's free memory that a split may take; the rest is for the network.
LARGEST_SHARE = 0.4


class Source(Protocol):
    """Where the rows of a split are."""

    def gather(self, draw: Draw, plan: InputPlan) -> Gathered:
        """Give the drawn rows."""


class HostRows:
    """Gives rows of a split from its arrays on the disk or in memory.

    Args:
        clips: the split.
    """

    def __init__(self, clips: Clips) -> None:
        self._clips = clips

    def gather(self, draw: Draw, plan: InputPlan) -> Gathered:
        """Copy the drawn rows; see `gather_rows`."""
        return gather_rows(self._clips, draw, plan)


class DeviceRows:
    """Gives rows of a split that was copied to the device, one tensor for each kind; a batch takes microseconds.

    Args:
        clips: the split.
        plan: only the kinds that it looks at are copied.
        device: to copy to.
    """

    def __init__(self, clips: Clips, plan: InputPlan, device: str) -> None:
        self._device = device
        names = (["stft"] if plan.num_maps else []) + ([plan.faces] if plan.num_frames else [])
        self._rows: dict[str, torch.Tensor] = {}
        self._offsets: dict[str, np.ndarray] = {}
        self._stft_lengths = count_rows(clips.stft)
        for name in names:
            arrays = getattr(clips, name)
            ends = np.cumsum(count_rows(arrays))
            dtype = FEATURES[name][1]
            rows = torch.empty(
                (int(ends[-1]), *clips.shape_of(name)), dtype=getattr(torch, np.dtype(dtype).name), device=device
            )
            for array, end in zip(arrays, ends, strict=True):
                if array is not None and len(array):
                    # Copied: torch warns of memory-mapped arrays, which cannot be written to.
                    rows[end - len(array) : end] = torch.from_numpy(np.array(array))
            self._rows[name], self._offsets[name] = rows, ends - count_rows(arrays)

    def gather(self, draw: Draw, plan: InputPlan) -> Gathered:
        """Return the drawn rows: the same bits as from `HostRows`."""
        maps = merge_maps(draw, plan)
        empty = torch.zeros((0, plan.map_rows, *FEATURES["stft"][0]), device=self._device)
        lengths = np.minimum(self._stft_lengths[maps.owners] - maps.starts, plan.map_rows)
        values = self._take_maps(maps.owners, maps.starts, lengths, plan.map_rows) if plan.num_maps else empty
        faces = torch.zeros((len(draw.members), 0), device=self._device)
        if plan.num_frames:
            faces = self._rows[plan.faces][self._send(self._offsets[plan.faces][draw.members, None] + draw.frames)]
        return Gathered(
            maps=values,
            map_lengths=self._send(lengths),
            map_index=self._send(maps.index),
            masks=self._send(maps.masks),
            faces=faces,
            mirrored=self._send(draw.mirrored if plan.mirror else draw.mirrored[:0]),
        )

    def _take_maps(self, owners: np.ndarray, starts: np.ndarray, lengths: np.ndarray, longest: int) -> torch.Tensor:
        first = self._send(self._offsets["stft"][owners] + starts)[:, None]  # (M, 1)
        frames = torch.arange(longest, device=self._device)
        is_real = frames < self._send(lengths)[:, None]  # (M, 300)
        # After a map's end, its first frame is read again and multiplied by zero.
        rows = self._rows["stft"][first + frames * is_real]  # (M, 300, 257, 2)
        return rows * is_real.reshape(*is_real.shape, *[1] * (rows.dim() - 2))

    def _send(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device, non_blocking=True)


def choose_source(clips: Clips, plan: InputPlan, device: str) -> Source:
    """Copy a split to a GPU if it fits into `LARGEST_SHARE` of the free memory; otherwise leave it where it is."""
    if torch.device(device).type != "cuda":
        return HostRows(clips)
    names = (["stft"] if plan.num_maps else []) + ([plan.faces] if plan.num_frames else [])
    arrays = [array for name in names for array in getattr(clips, name) if array is not None]
    # Only arrays of NumPy are copied: crops stored as JPEG would all be decoded at once.
    fits = sum(getattr(array, "nbytes", 0) for array in arrays) <= LARGEST_SHARE * torch.cuda.mem_get_info(device)[0]
    if arrays and fits and all(isinstance(array, np.ndarray) for array in arrays):
        return DeviceRows(clips, plan, device)
    return HostRows(clips)


class Feed:
    """Gathers batches ahead of their use.

    Args:
        source: of the split.
        plan: what the network looks at.
        device: that will use the batches.

    Attributes:
        wait_seconds: time that the caller has waited for batches so far.
    """

    def __init__(self, source: Source, plan: InputPlan, device: str) -> None:
        self._source, self._plan = source, plan
        self._pins = torch.device(device).type == "cuda"
        self.wait_seconds = 0.0

    def iterate(self, draws: Iterable[Draw]) -> Iterator[Gathered]:
        """Yield the rows of each draw, in order."""
        if isinstance(self._source, DeviceRows):
            for draw in draws:
                yield self._source.gather(draw, self._plan)
            return
        pool = ThreadPoolExecutor(max_workers=2 if self._pins else 1, thread_name_prefix="gather")
        waiting: deque[Future[Gathered]] = deque()
        try:
            for draw in draws:
                waiting.append(pool.submit(self._gather, draw))
                if len(waiting) > DEPTH:
                    yield self._wait(waiting.popleft())
            while waiting:
                yield self._wait(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _gather(self, draw: Draw) -> Gathered:
        gathered = self._source.gather(draw, self._plan)
        return gathered.pin() if self._pins else gathered

    def _wait(self, future: "Future[Gathered]") -> Gathered:
        start = time.perf_counter()
        gathered = future.result()
        self.wait_seconds += time.perf_counter() - start
        return gathered

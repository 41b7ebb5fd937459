"""Which frames and which STFT maps a network sees of an utterance: integers only, no data.

They are random in training, and each segment's centre in evaluation. (The published notebooks draw at random in
evaluation too, so their validation scores vary from run to run.)
"""

import numpy as np

from models.paper import MAP_FRAMES


def draw_frames(num_frames: int | np.ndarray, num_segments: int, rng: np.random.Generator | None) -> np.ndarray:
    """Choose one frame from each of `num_segments` segments of a clip, or of many (TSN sampling, III-B).

    With more frames than segments, segment i is [i * L, (i + 1) * L) with L = floor(num_frames / num_segments). The
    frames that remain at the clip's end are never taken (as in the notebooks). With at most as many frames as segments,
    frame floor(n / (2 N) + i n / N) is taken, random or not.

    Args:
        num_frames: n, how many faces the clip has, >= 1; or (B,) of them.
        num_segments: N, >= 1.
        rng: draws within each segment; None takes its centre, i * L + floor(L / 2).

    Returns:
        (N,) or (B, N) int64, ascending, in [0, num_frames).

    Raises:
        ValueError: a count is below 1.

    >>> draw_frames(48, 4, None)
    array([ 6, 18, 30, 42])
    >>> draw_frames(np.array([2, 48]), 4, None)
    array([[ 0,  0,  1,  1],
           [ 6, 18, 30, 42]])
    """
    _check_counts(num_frames=num_frames, num_segments=num_segments)
    counts = np.asarray(num_frames, dtype=np.int64)[..., None]  # (..., 1)
    segments = np.arange(num_segments, dtype=np.int64)
    # A clip with fewer frames than segments would have length 0; `spread` is its formula.
    lengths = np.broadcast_to(np.maximum(counts // num_segments, 1), (*counts.shape[:-1], num_segments))
    offsets = lengths // 2 if rng is None else rng.integers(lengths)
    spread = (2 * segments + 1) * counts // (2 * num_segments)
    return np.where(counts <= num_segments, spread, segments * lengths + offsets)


def draw_map_starts(
    num_stft_frames: int | np.ndarray,
    num_maps: int,
    rng: np.random.Generator | None,
    *,
    map_frames: int = MAP_FRAMES,
    ordered: bool = False,
) -> np.ndarray:
    """Choose where the STFT maps of an utterance, or of many, start (N_A maps per utterance, III-C).

    A map is [start, start + map_frames) of the utterance's STFT frames; an utterance no longer than one map has every
    start at 0 and is padded by the caller.

    Args:
        num_stft_frames: T, >= 1; or (B,) of them.
        num_maps: N_A, >= 1.
        rng: draws starts independently and uniformly from 0..T - map_frames, both included; None spreads them
            evenly: the centres of N_A equal parts of that range.
        map_frames: length of a map.
        ordered: draw one start from each of N_A segments of 0..T - map_frames, as `draw_frames` draws frames (the
            notebooks' way for Joint); without effect where rng is None.

    Returns:
        (N_A,) or (B, N_A) int64 in [0, max(T - map_frames, 0)]; ascending where rng is None.

    Raises:
        ValueError: a count is below 1.

    >>> draw_map_starts(1100, 4, None)
    array([100, 300, 500, 700])
    """
    _check_counts(num_stft_frames=num_stft_frames, num_maps=num_maps, map_frames=map_frames)
    counts = np.asarray(num_stft_frames, dtype=np.int64)[..., None]  # (..., 1)
    last_starts = np.broadcast_to(np.maximum(counts - map_frames, 0), (*counts.shape[:-1], num_maps))
    if rng is not None and ordered:
        return draw_frames(last_starts[..., 0] + 1, num_maps, rng)
    if rng is not None:
        return rng.integers(last_starts + 1)
    return (2 * np.arange(num_maps, dtype=np.int64) + 1) * last_starts // (2 * num_maps)


def split_batches(num_members: int, batch_size: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Split 0..num_members-1 into batches whose sizes differ by at most one.

    The sizes are even, so there is no small last batch: a CCC over one utterance is undefined, and over two it is
    mostly noise. OMG's 2442 utterances make 407 batches of 6 either way.

    Args:
        num_members: how many utterances.
        batch_size: the largest size, >= 1.
        rng: shuffles; None keeps the order.

    Returns:
        ceil(num_members / batch_size) arrays of int64 that hold every number once; none for no members.

    Raises:
        ValueError: batch_size is below 1.
    """
    _check_counts(batch_size=batch_size)
    order = np.arange(num_members) if rng is None else rng.permutation(num_members)
    num_batches = -(-num_members // batch_size)
    return np.array_split(order, num_batches) if num_batches else []


def _check_counts(**counts: int | np.ndarray) -> None:
    for name, values in counts.items():
        value = np.min(values, initial=1)
        if value < 1:
            raise ValueError(f"{name} ({value}) must be at least 1: leave out utterances with nothing to sample from")

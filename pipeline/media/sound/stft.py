"""Waveform to short-time Fourier transform; pure, and the only definition of it.

The paper (Section II-A): every 10 ms a Hamming window of 25 ms, 512-point FFT; at 16 kHz these are 160 and 400 samples.
With x zero outside the clip, w the periodic Hamming window, t < floor(samples / 160) and f <= 256:

    X[t, f] = sum over n = 0..399 of w[n] x[160 t - 200 + n] exp(-2 pi i f n / 512)

A frame is centred on its time; phases count from the window's first sample. Three choices are ours, because the paper
does not say: the centring, the padding of the window to 512 at its end, and no frame after the last whole hop, so that
3 s give exactly 300.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import scipy.fft

from models.paper import NUM_FREQUENCIES, SAMPLE_RATE, STFT_HOP_SECONDS, STFT_SIZE, STFT_WINDOW_SECONDS

WINDOW_SAMPLES = round(STFT_WINDOW_SECONDS * SAMPLE_RATE)
HOP_SAMPLES = round(STFT_HOP_SECONDS * SAMPLE_RATE)
FFT_SAMPLES = STFT_SIZE
NUM_BINS = NUM_FREQUENCIES
HALF_WINDOW = WINDOW_SAMPLES // 2
BLOCK_FRAMES = 4096  # 41 s of sound: about 30 MB while a block is transformed


def count_frames(num_samples: int) -> int:
    """Return T, how many frames a clip of so many samples has.

    >>> count_frames(48000), count_frames(159)
    (300, 0)
    """
    return num_samples // HOP_SAMPLES


def hamming_window() -> np.ndarray:
    """Return the periodic Hamming window, (400,) float64: 0.54 - 0.46 cos(2 pi n / 400)."""
    return 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)


def compute_stft(samples: np.ndarray, *, workers: int = 1) -> np.ndarray:
    """Compute the transform of a whole clip (Section II-A).

    Args:
        samples: (N,) mono at 16 kHz, floating point in [-1, 1] or int16, which is divided by 32768.
        workers: threads of the FFT.

    Returns:
        (T, 257, 2) float32: real and imaginary part; T = floor(N / 160), which is 0 for less than 10 ms.

    Raises:
        ValueError: for samples that are not one-dimensional, of another dtype, or not finite.

    """
    stft = np.empty((count_frames(len(samples)), NUM_BINS, 2), dtype=np.float32)
    start = 0
    for block in iter_stft([samples], workers=workers):
        stft[start : start + len(block)] = block
        start += len(block)
    return stft


def iter_stft(blocks: Iterable[np.ndarray], *, workers: int = 1) -> Iterator[np.ndarray]:
    """Compute the transform of a clip that comes in pieces, in memory that does not grow with its length.

    Args:
        blocks: the clip's samples in order, each (n,) as `compute_stft` takes them, of any lengths.
        workers: threads of the FFT.

    Yields:
        (at most 4096, 257, 2) float32; end to end they equal `compute_stft` of the blocks put together.

    Raises:
        ValueError: as `compute_stft`.

    """
    # `held` starts 200 samples before the centre of frame `done`: those samples are zero before the clip.
    held = np.zeros(HALF_WINDOW)
    total = done = 0
    for block in blocks:
        values = _as_float(block)
        total += len(values)
        held = np.concatenate([held, values])
        ready = min(max(0, len(held) - WINDOW_SAMPLES + HOP_SAMPLES) // HOP_SAMPLES, count_frames(total) - done)
        yield from _transform(held, ready, workers)
        held, done = held[ready * HOP_SAMPLES :], done + ready
    left = count_frames(total) - done
    yield from _transform(np.concatenate([held, np.zeros(WINDOW_SAMPLES)]), left, workers)


def _transform(samples: np.ndarray, num_frames: int, workers: int) -> Iterator[np.ndarray]:
    """Yield the first `num_frames` frames of samples that start at the first frame's window."""
    window = hamming_window()
    for start in range(0, num_frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, num_frames)
        piece = samples[start * HOP_SAMPLES : (stop - 1) * HOP_SAMPLES + WINDOW_SAMPLES]
        frames = np.lib.stride_tricks.sliding_window_view(piece, WINDOW_SAMPLES)[::HOP_SAMPLES]  # (t, 400), no copy
        spectrum = scipy.fft.rfft(frames * window, n=FFT_SAMPLES, axis=1, workers=workers)  # (t, 257) complex128
        yield spectrum.view(np.float64).reshape(stop - start, NUM_BINS, 2).astype(np.float32)


def _as_float(samples: np.ndarray) -> np.ndarray:
    """Return (n,) float64 in [-1, 1]; refuse what is no waveform."""
    if samples.ndim != 1:
        raise ValueError(f"samples have shape {samples.shape}; expected one channel, (N,)")
    if samples.dtype == np.int16:
        return samples / 32768.0
    if samples.dtype.kind != "f":
        raise ValueError(f"samples have dtype {samples.dtype}; expected floating point in [-1, 1] or int16")
    values = samples.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {len(values)} samples are not finite")
    return values

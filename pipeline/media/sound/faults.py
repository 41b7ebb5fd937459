"""Faults that a listener would hear in a clip's sound: clipping, samples that are not numbers, an offset, silence."""

from typing import Any

import numpy as np

from pipeline.media.sound.resampling import frame_values, full_scale
from store.text import format_count

CLIPPED_SHARE = 0.001  # of the samples of a channel; loud but sound recordings have a few in a million
FINEST_STEP = 1 / 32768  # of full scale; PCM-16 has no number for a louder sample than full scale less one step
OFFSET_SHARE = 0.02  # of full scale; microphones and converters stay below 0.5 %
BLOCK_SAMPLES = 1 << 15  # of each channel, examined at once


class SoundMeter:
    """Listens to a clip's sound, before and after it is mixed."""

    def __init__(self) -> None:
        self.num_frames = 0
        self.num_not_finite = 0
        self._layout: Any = None
        self._layouts: set[str] = set()
        self._num_samples = 0
        self._squares = np.zeros(0)
        self._clipped = np.zeros(0, np.int64)
        self._held: list[np.ndarray] = []
        self._num_held = 0
        self._key: tuple[str, str] | None = None
        self.num_mixed = 0
        self._sum = 0
        self._sum_squares = 0.0
        self._is_silent = True

    def take_frame(self, frame: Any) -> tuple[np.ndarray, bool]:
        """Count a decoded frame; return its samples, (channels, n), all finite, and whether some were replaced."""
        values = frame_values(frame)
        is_mended = values.dtype.kind == "f" and not np.isfinite(values).all()
        if is_mended:
            self.num_not_finite += int(np.count_nonzero(~np.isfinite(values).all(axis=0)))
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        key = (frame.format.name, frame.layout.name)
        if key != self._key or self._num_held >= BLOCK_SAMPLES:
            self._look()
            if key != self._key:
                self._start(frame, key)
        self._held.append(values)
        self._num_held += frame.samples
        self.num_frames += 1
        return values, is_mended

    def take_mixed(self, samples: np.ndarray) -> None:
        """Count mixed samples, (n,) int16."""
        values = samples.astype(np.float64)
        self.num_mixed += len(samples)
        self._sum += int(samples.sum(dtype=np.int64))
        self._sum_squares += float(np.dot(values, values))
        self._is_silent = self._is_silent and not samples.any()

    @property
    def mixed_power(self) -> float:
        """Mean square of the mixed samples, full scale being 1."""
        return self._sum_squares / max(1, self.num_mixed) / 32768.0**2

    def channel_powers(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Return the channels' names, as ffmpeg calls them ("FL", "LFE"), and the mean square of each (1: full scale).

        Both are empty if the channels change midway.
        """
        self._look()
        if len(self._layouts) != 1 or self._num_samples == 0:
            return (), ()
        names = tuple(channel.name for channel in self._layout.channels)
        return names, tuple((self._squares / self._num_samples).tolist())

    def notes(self) -> list[str]:
        """Return a clause for each fault."""
        self._look()
        notes = []
        if self._is_silent and self.num_mixed:
            notes.append("the sound is digital silence: every sample is 0")
        clipped = self._clipped.max(initial=0) / max(1, self._num_samples)
        if clipped > CLIPPED_SHARE:
            notes.append(f"{100 * clipped:.2g} % of the samples are clipped: it was recorded too loud")
        if self.num_not_finite:
            bad = format_count(self.num_not_finite, "sample is no number", "samples are no numbers")
            notes.append(f"{bad} (NaN or infinite): taken as silence")
        offset = self._sum / max(1, self.num_mixed) / 32768
        if abs(offset) > OFFSET_SHARE:
            notes.append(f"the sound has a constant offset (DC) of {100 * offset:.2g} % of full scale")
        return notes

    def _start(self, frame: Any, key: tuple[str, str]) -> None:
        self._key, self._layout = key, frame.layout
        if frame.layout.name not in self._layouts:
            self._layouts.add(frame.layout.name)
            more = frame.layout.nb_channels - len(self._squares)
            self._squares = np.pad(self._squares, (0, max(0, more)))
            self._clipped = np.pad(self._clipped, (0, max(0, more)))

    def _look(self) -> None:
        """Measure the collected frames, all of one format."""
        if not self._held or self._key is None:
            return
        values = np.concatenate(self._held, axis=1)
        scale = full_scale(self._key[0])
        unit = values.astype(np.float32) / np.float32(scale)
        if values.dtype.kind == "u":
            unit -= 1
        self._squares[: len(unit)] += np.einsum("cn,cn->c", unit, unit)
        loud = np.abs(unit, out=unit) >= 1 - max(FINEST_STEP, 1 / scale if scale > 1 else 0)
        self._clipped[: len(unit)] += np.count_nonzero(loud, axis=1)
        self._num_samples += unit.shape[1]
        self._held, self._num_held = [], 0

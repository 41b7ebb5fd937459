"""How good one utterance's sound and picture are, in numbers that need no model: what to look at first."""

import functools
import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.catalog.clip import Clip
from store.layout import wav_path

#: A sample this close to full scale counts as clipped.
_CLIPPED = 32700
#: Sound quieter than this is silence, dB relative to full scale.
SILENCE_DB = -55.0
#: Positions of the waveform's outline.
_OUTLINE = 400


@dataclass(frozen=True)
class Sound:
    """A WAV file in numbers.

    Args:
        folder: Of the shard's sound; the file's name is the utterance's.
        seconds: Its length.
        level_db: Root mean square relative to full scale, dB; -inf for zeros.
        clipped: Share of its samples at full scale.
        outline: (400, 2) lowest and highest sample of each stretch, in [-1, 1].

    """

    folder: str
    seconds: float
    level_db: float
    clipped: float
    outline: np.ndarray


@dataclass(frozen=True)
class Quality:
    """What the index shows of one utterance; a number that is not known is NaN.

    Args:
        utterance: Its name.
        split: train, validation or test, "" where no ledger says so.
        sound: Status of its sound; "" if no stage has run yet.
        picture: Status of its picture.
        seconds: Length of its sound.
        coverage: Share of its frames with a face of the speaker.
        score: Mean probability of a face.
        level_db: Level of its sound (root mean square), dB relative to full scale.
        clipped: Share of its samples at full scale.
        notes: What is wrong, in words.
        badness: How bad the clip is; 0 where no fault was found. The worst come first.

    """

    utterance: str
    split: str
    sound: str
    picture: str
    seconds: float
    coverage: float
    score: float
    level_db: float
    clipped: float
    notes: tuple[str, ...]
    badness: float


def read_sound(store: Path, clip: Clip) -> Sound | None:
    """Read an utterance's WAV file in the folder of a store; None if it is missing, unreadable or empty."""
    if "wav" not in clip.listing.fingerprints:
        return None
    folder = _find_folder(store, clip.listing.fingerprints["wav"], clip.shard)
    try:
        samples, rate = _read_samples(f"{folder}/{clip.name}.wav")
    except (OSError, EOFError, wave.Error):
        return None
    if not len(samples):
        return None
    starts = _place_stretches(len(samples))
    outline = np.empty((len(starts), 2))
    outline[:, 0], outline[:, 1] = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    outline /= 32768
    values = samples.astype(np.float64)
    # Not by BLAS, whose threads would wait for each other.
    level = math.sqrt(float(np.einsum("i,i->", values, values)) / len(values)) / 32768
    clipped = 0.0
    if max(-outline.min(), outline.max()) * 32768 >= _CLIPPED:
        clipped = float((np.abs(values) >= _CLIPPED).mean())
    return Sound(folder, len(samples) / rate, 20 * math.log10(level) if level else -np.inf, clipped, outline)


@functools.lru_cache(maxsize=64)
def _find_folder(store: Path, fingerprint: str, shard: str) -> str:
    return str(wav_path(store, fingerprint, shard, "any").parent)


@functools.lru_cache(maxsize=64)
def _place_stretches(length: int) -> np.ndarray:
    """Give the first sample of each stretch of the outline."""
    count = min(_OUTLINE, length)
    return np.arange(count) * length // count


def _read_samples(path: str) -> tuple[np.ndarray, int]:
    """Read the samples of a WAV file, and their number in a second."""
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def rate_clip(clip: Clip, sound: Sound | None, split: str = "") -> Quality:
    """Judge an utterance by its statuses, its face track and its sound."""
    status = clip.status
    sound_status = status.get("stft", status.get("wav", ""))
    picture_status = next((status[s] for s in ("embeddings", "faces", "frames") if s in status), "")
    coverage, score = _rate_track(clip)
    said = clip.messages
    notes = [said.get("stft") or said.get("wav") or sound_status] if sound_status not in ("ok", "") else []
    if picture_status not in ("ok", ""):
        notes.append(said.get("embeddings") or said.get("faces") or said.get("frames") or picture_status)
    badness = 2.0 * len(notes)
    if coverage < 0.9:
        notes.append(f"a face in {coverage:.0%} of the frames")
    if score < 0.95:
        notes.append(f"low score ({score:.2f})")
    badness += sum(1 - value for value in (coverage, score) if np.isfinite(value))
    if sound is not None and sound.clipped > 1e-4:
        notes.append(f"clipping ({sound.clipped:.2%})")
        badness += min(1.0, 0.2 + 20 * sound.clipped)
    if sound is not None and sound.level_db < SILENCE_DB:
        notes.append("silence")
        badness += 1
    return Quality(
        clip.name,
        split,
        sound_status,
        picture_status,
        np.nan if sound is None else sound.seconds,
        coverage,
        score,
        np.nan if sound is None else sound.level_db,
        np.nan if sound is None else sound.clipped,
        tuple(notes),
        badness,
    )


def _rate_track(clip: Clip) -> tuple[float, float]:
    faces = clip.shards.get("faces")
    if faces is None or faces.fact(clip.name, "length") == 0:
        return np.nan, np.nan
    decoded = faces.fact(clip.name, "num_frames")
    coverage = faces.fact(clip.name, "length") / decoded if decoded > 0 else np.nan
    return coverage, float(np.asarray(faces.rows(clip.name, "score")).mean())

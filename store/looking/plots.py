"""One utterance as a picture: spectrogram, faces, and the quality of their track over time."""

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.clip import Clip
from store.errors import StoreError
from store.text import escape

#: What a picture's file may end in.
PICTURE_ENDINGS = (".png", ".jpg", ".svg", ".pdf")
#: STFT frames a second.
STFT_RATE = 100
_SHEET_FACES = 12
#: Quietest level shown, below the loudest.
_RANGE_DB = 80


def compute_decibels(stft: np.ndarray) -> np.ndarray:
    """Turn an STFT (T, 257, 2) into levels (257, T) in dB below its loudest bin, cut at -80."""
    power = np.square(stft.astype(np.float64)).sum(axis=-1).T
    loudest = power.max(initial=0)
    if loudest == 0:
        return np.full(power.shape, -float(_RANGE_DB))
    floor = 10 ** (-_RANGE_DB / 10)
    return np.asarray(10 * np.log10(np.maximum(power / loudest, floor)))


@functools.lru_cache(maxsize=1024)
def pick_rows(length: int, count: int = _SHEET_FACES) -> np.ndarray:
    """Pick at most `count` rows of `length`, evenly, the first and the last among them."""
    rows = np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)) if length else np.zeros(0, int)
    rows.flags.writeable = False
    return rows


def read_faces(clip: Clip, count: int = _SHEET_FACES) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pick faces evenly over a clip: their rows, and their pictures (112, 96, 3) uint8, red, green, blue.

    Both are empty where the store keeps no crops of it.
    """
    raw, jpeg = clip.find_shard("crops"), clip.find_shard("crops_jpeg")
    found = raw or jpeg
    length = 0 if found is None else found.fact(clip.name, "length")
    rows = pick_rows(length, count)
    if raw is not None:
        return rows, [raw.rows(clip.name, "crop")[row][..., ::-1] for row in rows]
    if jpeg is None:
        return rows, []
    images = jpeg.images(clip.name)
    return rows, [decode_jpeg(images[row]) for row in rows]


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decode a JPEG image to (H, W, 3) uint8, red, green, blue."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def plot_utterance(clip: Clip, path: Path) -> None:
    """Draw an utterance: the spectrogram with its time axis, a contact sheet, the track's score over time.

    Args:
        clip: From `FeatureStore`.
        path: The picture; its ending gives its format.

    Raises:
        StoreError: The store has no rows of it to draw, or there is no such format.

    """
    from matplotlib.figure import Figure

    if path.suffix.lower() not in PICTURE_ENDINGS:
        raise StoreError(f"{path} ends in {path.suffix!r}; a picture must end in one of {', '.join(PICTURE_ENDINGS)}")

    if not {"stft", "faces"} & set(clip.status):
        raise StoreError(f"{clip.name} has neither sound nor faces in this store; see `why`")
    rows, faces = read_faces(clip)
    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle(escape(clip.name), parse_math=False)  # a $ in a name begins no formula
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(3, 1.2, 1.4))
    _plot_spectrogram(clip, figure, top)
    _plot_sheet(clip, faces, rows, middle)
    _plot_track(clip, bottom)
    with files.replacing(path) as partial:
        figure.savefig(partial, dpi=100, format=path.suffix.lstrip(".").lower() or "png")


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, escape(text), ha="center", transform=axes.transAxes, parse_math=False)


def _plot_spectrogram(clip: Clip, figure: Any, axes: Any) -> None:
    axes.set_title("sound", loc="left", fontsize=9)
    shard = clip.find_shard("stft")
    if shard is None or shard.fact(clip.name, "length") == 0:
        _say(axes, clip.messages.get("stft", "no sound"))
        axes.set_axis_off()
        return
    levels = compute_decibels(clip.stft)
    extent = (0, levels.shape[1] / STFT_RATE, 0, 8)
    image = axes.imshow(levels, origin="lower", aspect="auto", extent=extent, cmap="magma")
    axes.set(xlabel="time (s)", ylabel="frequency (kHz)")
    figure.colorbar(image, ax=axes, label="level (dB below loudest)")


def _plot_sheet(clip: Clip, faces: list[np.ndarray], rows: np.ndarray, axes: Any) -> None:
    axes.set_axis_off()
    axes.set_title("faces", loc="left", fontsize=9)
    if not faces:
        _say(axes, clip.messages.get("faces", "no crops are kept"))
        return
    axes.imshow(np.hstack(faces))
    for number, time in enumerate(clip.face_times[rows]):
        axes.text(96 * number + 48, 122, f"{time:.2f} s", ha="center", va="top", fontsize=7)


def _plot_track(clip: Clip, axes: Any) -> None:
    axes.set_title("track", loc="left", fontsize=9)
    shard = clip.find_shard("faces")
    if shard is None or shard.fact(clip.name, "length") == 0:
        axes.set_axis_off()
        return
    axes.plot(clip.face_times, shard.rows(clip.name, "score"), ".", markersize=3)
    axes.set(xlabel="time (s)", ylabel="score", ylim=(0, 1.05), xlim=(0, None))

"""The pictures in a clip's page: the spectrogram, the faces, and the sound's outline as numbers."""

import base64
import functools
import io
import zlib

import numpy as np

#: Most columns of a spectrogram's picture, as many as a page is wide. It is shown 160 pixels high, so rows are halved.
#: Of those that share a pixel the loudest shows.
MOST_COLUMNS = 1000
#: Of the waveform's drawing, in its own units.
WAVEFORM_HEIGHT = 100
#: Quietest level shown, below the loudest.
_RANGE_DB = 80
#: Colours from quiet to loud.
_COLOURS = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (252, 255, 164)]
)


def draw_spectrogram(stft: np.ndarray) -> bytes:
    """Give an STFT (T, 257, 2) as a PNG picture of 129 rows and at most `MOST_COLUMNS` columns.

    Levels are in dB below the loudest bin, cut at -80. What is not shown is left out before the logarithm is taken.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        parts = np.square(stft.reshape(len(stft), -1), dtype=np.float32)
        power = parts[:, 0::2] + parts[:, 1::2]  # (T, 257)
    rows = np.empty((len(power), 129), np.float32)
    np.maximum(power[:, 0:256:2], power[:, 1:256:2], out=rows[:, :128])
    rows[:, 128] = power[:, 256]
    step = -(-len(rows) // MOST_COLUMNS)
    if step > 1:
        rows = np.maximum.reduceat(rows, np.arange(0, len(rows), step), axis=0)
    if not np.isfinite(loudest := rows.max()):
        rows = np.nan_to_num(rows)
        loudest = rows.max()
    if loudest > 0:
        rows /= loudest
    floor = np.float32(10 ** (-_RANGE_DB / 10))
    levels = np.log(np.maximum(rows, floor, out=rows), out=rows)  # from log(floor) to 0
    levels *= np.float32(-255 / np.log(floor))
    levels += np.float32(255)
    return encode_png(levels.astype(np.uint8).T[::-1])


def encode_png(places: np.ndarray) -> bytes:
    """Give (H, W) uint8 places in the palette as a PNG picture."""
    from PIL import Image

    height, width = places.shape
    picture = Image.frombytes("P", (width, height), places.tobytes())
    picture.putpalette(_make_palette())
    data = io.BytesIO()
    # Looking for equal neighbours alone makes the smallest picture of a spectrogram, in half of the time.
    picture.save(data, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return data.getvalue()


@functools.cache
def _make_palette() -> bytes:
    stops = np.linspace(0, len(_COLOURS) - 1, 256)
    colours = [np.interp(stops, np.arange(len(_COLOURS)), _COLOURS[:, channel]) for channel in range(3)]
    return np.stack(colours, axis=-1).astype(np.uint8).tobytes()


def encode_faces(crops: np.ndarray) -> bytes:
    """Give faces (N, 112, 96, 3) uint8, blue, green, red, side by side as one JPEG image: one takes less than N do.

    A face is a whole number of JPEG's blocks wide, so another one colours only the last pixel at its edge.
    """
    from PIL import Image

    count, height, width, _ = crops.shape
    beside = np.ascontiguousarray(crops.transpose(1, 0, 2, 3))  # (112, N, 96, 3)
    # Pillow turns the order of the colours faster than NumPy does.
    picture = Image.frombuffer("RGB", (count * width, height), beside, "raw", "BGR", 0, 1)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=85)
    return data.getvalue()


def describe_waveform(outline: np.ndarray) -> str:
    """Give an outline (P, 2), lowest and highest in [-1, 1], as base64: heights from 0 at the top, a byte each."""
    heights = np.rint((1 - outline) * (WAVEFORM_HEIGHT / 2)).astype(np.uint8)
    return base64.b64encode(heights.tobytes()).decode()

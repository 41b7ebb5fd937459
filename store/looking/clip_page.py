"""The page of one clip: video and sound beside waveform, spectrogram, faces and their track, on one axis of time."""

import base64
import functools
import html
import io
import itertools
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.looking.plots import compute_decibels, pick_rows
from store.looking.quality import Quality, Sound, rate_clip, read_sound
from store.schema import StageSchema
from store.text import format_time

TEMPLATES = Path(__file__).parent / "templates"
#: Raised when a page's form changes: all pages are then written anew.
PAGE_VERSION = 1
#: Height of the waveform's drawing, in its own units; its width is one for each of the outline's positions.
_HEIGHT = 100
#: Most columns of a spectrogram's picture, as many as a page is wide, and frequencies in a row of it, since it is shown
#: 160 pixels high. Of those that share a pixel the loudest shows.
_MOST_COLUMNS = 1000
_FREQUENCIES_A_ROW = 2
#: Most faces whose place is in a page: two minutes at 25 frames a second. Of more, as many are taken evenly.
_MOST_FACES = 3000
#: Colours from quiet to loud.
_COLOURS = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (252, 255, 164)]
)


def render_clip(store: FeatureStore, name: str, number: str, folder: Path) -> tuple[str, bytes | None, Quality]:
    """Compose the page of a clip.

    Args:
        store: The features.
        name: The clip.
        number: Name of its page and its row in `data.js`.
        folder: Where the page will lie, for the way to its sound.

    Returns:
        The page, a JPEG image of one face where crops are kept, and how good the clip is.
    """
    clip = store[name]
    sound = read_sound(store, clip)
    quality = rate_clip(clip, sound)
    track = _describe_track(clip)
    frames = clip.shards.get("frames")
    # Rows are copied once: each touch of a mapped row looks at its file's size first.
    times = frames.rows(name, "time")[-1:].copy() if frames is not None else np.zeros(0)
    seconds = max(sound.seconds if sound else 0.0, float(times[0]) if len(times) else 0.0, 1e-3)
    rows, faces = _pick_faces(clip)
    moments = clip.face_times[rows].tolist() if faces else []
    size, changed = clip.listing.sources[name]
    page = _load_template().render(
        data=_as_script({"number": number, "seconds": seconds, **track}),
        quality=quality,
        shard=clip.shard,
        source=f"{size} bytes, changed {format_time(changed / 1e9)} UTC",
        gone=name in clip.listing.vanished,
        audio=f"{_find_way(folder, sound.path.parents[1])}/{quote(name)}.wav" if sound else "",
        waveform=_draw_waveform(sound) if sound else "",
        waveform_width=len(sound.outline) if sound else 0,
        sound_share=100 * sound.seconds / seconds if sound else 0.0,
        spectrogram=_draw_spectrogram(clip),
        faces=[(_as_uri(face, "jpeg"), f"{moment:.2f}") for moment, face in zip(moments, faces, strict=True)],
        height=_HEIGHT,
        seconds=seconds,
        frame=track["frame"],
        stages=_describe_stages(clip),
    )
    return page, faces[len(faces) // 2] if faces else None, quality


@functools.lru_cache(maxsize=16)
def _find_way(start: Path, target: Path) -> str:
    """Give the way from one folder to another as part of an address."""
    return quote(os.path.relpath(target, start))


def _pick_faces(clip: Clip) -> tuple[np.ndarray, list[bytes]]:
    """Pick faces evenly over a clip: their rows and their JPEG images; none where the store keeps no crops of it."""
    raw, kept = clip.shards.get("crops"), clip.shards.get("crops_jpeg")
    found = kept or raw
    rows = pick_rows(0 if found is None else found.fact(clip.name, "length"))
    if kept is not None:
        images = kept.images(clip.name)
        return rows, [images[row] for row in rows]
    return rows, [] if raw is None else [_encode(raw.rows(clip.name, "crop")[row][..., ::-1]) for row in rows]


def _encode(picture: np.ndarray) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(data, "JPEG", quality=85)
    return data.getvalue()


@functools.cache
def _load_template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("clip.html")


def _as_script(value: Any) -> Any:
    """Give a value as JSON that cannot end the script it stands in, whatever a clip is called."""
    from markupsafe import Markup

    return Markup(as_json(value))


def as_json(value: Any) -> str:
    """Give a value as JSON without `<`, so that it may stand in a script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _draw_waveform(sound: Sound) -> str:
    """Give the waveform's outline as points of a polygon, one unit wide for each position."""
    heights = np.rint((1 - sound.outline) * (_HEIGHT / 2)).astype(int)  # (P, 2) lowest, highest
    texts = _make_number_texts(max(len(heights), _HEIGHT + 1))
    lowest, highest = heights.T.tolist()
    upper = zip(texts, map(texts.__getitem__, highest), strict=False)
    lower = zip(texts[len(heights) - 1 :: -1], map(texts.__getitem__, reversed(lowest)), strict=True)
    return " ".join(itertools.chain.from_iterable([*upper, *lower]))


@functools.cache
def _make_number_texts(count: int) -> list[str]:
    """Give the numbers from 0 on as text: a waveform has 1600 of them."""
    return [str(number) for number in range(count)]


@functools.cache
def _make_palette() -> bytes:
    stops = np.linspace(0, len(_COLOURS) - 1, 256)
    colours = [np.interp(stops, np.arange(len(_COLOURS)), _COLOURS[:, channel]) for channel in range(3)]
    return np.stack(colours, axis=-1).astype(np.uint8).tobytes()


def _draw_spectrogram(clip: Clip) -> str:
    """Give the spectrogram as a picture in a URI, "" where there is none."""
    from PIL import Image

    shard = clip.shards.get("stft")
    if shard is None or shard.fact(clip.name, "length") == 0:
        return ""
    levels = compute_decibels(clip.stft)
    levels = np.maximum.reduceat(levels, np.arange(0, len(levels), _FREQUENCIES_A_ROW), axis=0)
    step = -(-levels.shape[1] // _MOST_COLUMNS)
    if step > 1:
        levels = np.maximum.reduceat(levels, np.arange(0, levels.shape[1], step), axis=1)
    picture = Image.fromarray(((levels[::-1] / 80 + 1) * 255).astype(np.uint8), "P")
    picture.putpalette(_make_palette())
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=3)
    return _as_uri(data.getvalue(), "png")


def _as_uri(data: bytes, kind: str) -> Any:
    """Give an image as a URI; it has no character that HTML would have to escape."""
    from markupsafe import Markup

    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def _describe_track(clip: Clip) -> dict[str, Any]:
    """Give where the faces are, as columns: seconds, score, box and landmarks in pixels of the upright frame."""
    frames, faces = clip.shards.get("frames"), clip.shards.get("faces")
    length = 0 if faces is None else faces.fact(clip.name, "length")
    frame = None
    if frames is not None:
        frame = {"width": frames.fact(clip.name, "width"), "height": frames.fact(clip.name, "height")}
    if faces is None or not length:
        return {"frame": frame, "times": [], "scores": [], "boxes": [], "landmarks": []}
    step = -(-length // _MOST_FACES)
    names = ("time", "score", "box", "landmarks")
    times, scores, boxes, landmarks = (faces.rows(clip.name, column).copy()[::step] for column in names)
    return {
        "frame": frame,
        "times": np.round(times, 3).tolist(),
        "scores": [round(score, 3) for score in scores.tolist()],
        "boxes": np.rint(boxes).astype(int).tolist(),
        "landmarks": np.rint(landmarks).astype(int).reshape(-1, 10).tolist(),
    }


def _describe_stages(clip: Clip) -> Any:
    """Say in rows of a table what each stage holds of the clip.

    Not in the template: pages have some twenty rows each, which took Jinja a fifth of a page's time.
    """
    from markupsafe import Markup

    lines = []
    for stage, shard in clip.shards.items():
        length, message = shard.fact(clip.name, "length"), shard.fact(clip.name, "message")
        status = html.escape(shard.fact(clip.name, "status") + (f": {message}" if message else ""))
        first = f"<td>{html.escape(stage)}</td><td>{status}</td>"
        for dataset, shape, unit in _name_rows(shard.schema) or (("", " samples", ""),):
            lines.append(f"<tr>{first}<td>{dataset}</td><td>{length}{shape}</td><td>{unit}</td></tr>")
            first = "<td></td><td></td>"
    return Markup("\n".join(lines))


@functools.lru_cache(maxsize=64)
def _name_rows(schema: StageSchema) -> tuple[tuple[str, str, str], ...]:
    """Give of each dataset its name, the shape of its rows behind their number, and its unit."""
    return tuple(
        (html.escape(row.name), "".join(f" x {size}" for size in row.shape), html.escape(row.unit))
        for row in schema.rows
    )

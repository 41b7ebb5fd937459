"""A store as static pages: an index with search, sorting and filters, and a page per clip; no server, no network."""

import base64
import functools
import html
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from store import files
from store.catalog import Clip, FeatureStore
from store.errors import StoreError
from store.layout import is_own_folder
from store.looking.description import describe_utterance
from store.looking.plots import STFT_RATE, compute_decibels, read_faces
from store.looking.quality import Quality, Sound, rate_clip, read_sound, read_splits
from store.pages_mark import PAGES_MARK, write_mark

_TEMPLATES = Path(__file__).parent / "templates"
_WIDTH, _HEIGHT = 900, 90
#: Most columns of a spectrogram's picture; longer ones are shown by the loudest frame of each stretch.
_MOST_COLUMNS = 1200
#: Colours from quiet to loud.
_COLOURS = np.array(
    [(0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (252, 255, 164)]
)


def write_pages(store: FeatureStore, folder: Path, ledger: Path | None = None) -> int:
    """Write the pages.

    Args:
        store: The features.
        folder: A new or empty folder, or one with earlier pages, which are replaced.
        ledger: A run's ledger.csv, which says who is in which split; by default that of each clip's run.

    Returns:
        The number of clips.

    Raises:
        StoreError: The folder holds something else.

    """
    _check_folder(store, folder)
    if ledger is None:
        splits = {name: label.split for name, label in store.list_labels().items()}
    else:
        splits = read_splits(ledger)
    names = list(store)
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    write_mark(folder, store.listing.run)
    # Threads: reading, JPEG and PNG run without the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rated = list(
            pool.map(lambda k: _write_clip(store, folder, k, names[k], splits.get(names[k], "")), range(len(names)))
        )
    for path in (folder / "clips").glob("*.html"):
        if path.stem.isdecimal() and int(path.stem) >= len(names):
            path.unlink()
    columns = [_as_row(number, quality) for number, quality in enumerate(rated)]
    # `<` cannot end the script then, whatever a clip is called.
    data = json.dumps(columns, ensure_ascii=False).replace("<", "\\u003c")
    template = (_TEMPLATES / "index.html").read_text(encoding="utf-8")
    files.write_text(folder / "data.js", f"const CLIPS = {data};\n")
    files.write_text(folder / "index.html", template.replace("{{ title }}", html.escape(f"{store.folder.resolve()}")))
    return len(names)


def _check_folder(store: FeatureStore, folder: Path) -> None:
    """Refuse a folder that holds something else, or is the store's own."""
    inside = folder.resolve().is_relative_to(store.folder.resolve())
    parts = folder.resolve().relative_to(store.folder.resolve()).parts if inside else ("",)
    if not parts or is_own_folder(parts[0]):
        raise StoreError(f"{folder} is the store's own; name a new folder for the pages")
    if folder.exists() and any(folder.iterdir()) and not (folder / PAGES_MARK).exists():
        raise StoreError(f"{folder} holds other files; name a new folder for the pages")
    if (folder / "clips").is_symlink():
        raise StoreError(f"{folder / 'clips'} is a link; remove it, or name a new folder for the pages")


def _as_row(number: int, quality: Quality) -> list[Any]:
    numbers = (quality.seconds, quality.coverage, quality.score, quality.level_db, quality.badness)
    plain = [round(float(value), 4) if np.isfinite(value) else None for value in numbers]
    return [number, quality.utterance, quality.split, quality.sound, quality.picture, *plain, "; ".join(quality.notes)]


def _write_clip(store: FeatureStore, folder: Path, number: int, name: str, split: str) -> Quality:
    clip = store[name]
    sound = read_sound(store, clip)
    quality = rate_clip(clip, sound, split)
    path = folder / "clips" / f"{number}.html"
    rows, faces = read_faces(clip)
    page = _load_template().render(
        quality=quality,
        description=describe_utterance(store, name),
        audio=quote(os.path.relpath(sound.path, path.parent)) if sound else "",
        waveform=list(_draw_waveform(sound)) if sound else [],
        spectrogram=_draw_spectrogram(clip),
        faces=[(_as_uri(face, "JPEG"), f"{time:.2f}") for face, time in _with_times(clip, rows, faces)],
        frame=_describe_frame(clip, rows),
        track=_describe_track(clip),
        width=_WIDTH,
        height=_HEIGHT,
    )
    files.write_text(path, page)
    return quality


@functools.cache
def _load_template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_TEMPLATES)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("clip.html")


def _with_times(clip: Clip, rows: np.ndarray, faces: list[np.ndarray]) -> Iterator[tuple[np.ndarray, float]]:
    return zip(faces, clip.face_times[rows].tolist() if faces else (), strict=True)


def _draw_waveform(sound: Sound) -> Iterator[str]:
    """Give the waveform as points of an outline."""
    across = np.linspace(0, _WIDTH, len(sound.outline))
    lower, upper = ((1 - sound.outline) * _HEIGHT / 2).T
    for x, y in [*zip(across, upper, strict=True), *zip(across[::-1], lower[::-1], strict=True)]:
        yield f"{x:.1f},{y:.1f}"


def _draw_spectrogram(clip: Clip) -> dict[str, Any] | None:
    shard = clip.find_shard("stft")
    if shard is None or shard.fact(clip.name, "length") == 0:
        return None
    levels = compute_decibels(clip.stft)
    seconds = levels.shape[1] / STFT_RATE
    step = -(-levels.shape[1] // _MOST_COLUMNS)
    levels = np.maximum.reduceat(levels, np.arange(0, levels.shape[1], step), axis=1)
    position = (levels[::-1] / 80 + 1) * (len(_COLOURS) - 1)
    stops = np.arange(len(_COLOURS))
    picture = np.stack([np.interp(position, stops, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    return {"uri": _as_uri(picture.astype(np.uint8), "PNG"), "seconds": seconds}


def _as_uri(picture: np.ndarray, kind: str) -> str:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(data, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _describe_frame(clip: Clip, rows: np.ndarray) -> dict[str, Any] | None:
    """Give the picture's size, and boxes and landmarks of some faces, in its pixels."""
    frames, faces = clip.find_shard("frames"), clip.find_shard("faces")
    if frames is None or faces is None or faces.fact(clip.name, "length") == 0:
        return None
    if not len(rows):  # no crops are kept, but the track is
        rows = np.unique(np.linspace(0, faces.fact(clip.name, "length") - 1, 12).round().astype(int))
    return {
        "width": frames.fact(clip.name, "width"),
        "height": frames.fact(clip.name, "height"),
        "boxes": clip.boxes[rows].round(1).tolist(),
        "landmarks": clip.landmarks[rows].round(1).tolist(),
    }


def _describe_track(clip: Clip) -> dict[str, Any] | None:
    """Give the track's score over time as points of a drawing, and its end in seconds."""
    faces = clip.find_shard("faces")
    if faces is None or faces.fact(clip.name, "length") == 0:
        return None
    times, scores = clip.face_times, faces.rows(clip.name, "score")
    frames = clip.find_shard("frames")
    end = float(frames.rows(clip.name, "time")[-1]) if frames is not None else float(times[-1])
    across = times / max(end, 1e-6) * _WIDTH
    points = [(f"{x:.1f}", f"{(1 - y) * _HEIGHT:.1f}") for x, y in zip(across.tolist(), scores.tolist(), strict=True)]
    return {"points": points, "seconds": end}

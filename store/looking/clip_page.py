"""The page of one clip: video and sound beside waveform, spectrogram, faces and their track, on one axis of time."""

import base64
import functools
import html
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from store.catalog.clip import Clip
from store.looking.page_pictures import describe_waveform, draw_spectrogram, encode_faces
from store.looking.plots import pick_rows
from store.looking.quality import Quality, rate_clip, read_sound
from store.schema import StageSchema
from store.text import format_time

TEMPLATES = Path(__file__).parent / "templates"
#: Raised when a page's form changes: all pages are then written anew.
PAGE_VERSION = 2
#: Most faces whose place is in a page: two minutes at 25 frames a second. Of more, as many are taken evenly.
_MOST_FACES = 3000


@dataclass(frozen=True)
class ClipPage:
    """The page of a clip.

    Args:
        text: The text of its HTML file.
        picture: A JPEG image of faces side by side, for the file beside it; None if the store has no crops of the clip.
        num_faces: Number of faces in the picture.
        quality: How good the clip is.
    """

    text: str
    picture: bytes | None
    num_faces: int
    quality: Quality


@dataclass(frozen=True)
class _Faces:
    """Faces of a clip: their rows, the picture of all or of the middle one, and what the page shows of each."""

    rows: np.ndarray
    picture: bytes | None
    num_in_picture: int
    addresses: list[str]


def render_clip(store: Path, clip: Clip, number: str, folder: Path) -> ClipPage:
    """Compose the page of a clip.

    Args:
        store: The folder of the features.
        clip: Its features.
        number: Name of its page and its row in `data.js`.
        folder: The page's folder, for the relative path to its sound.
    """
    name = clip.name
    sound = read_sound(store, clip)
    quality = rate_clip(clip, sound)
    track = _read_track(clip)
    frames = clip.shards.get("frames")
    times = np.array(frames.rows(name, "time")[-1:]) if frames is not None else np.zeros(0)
    seconds = max(sound.seconds if sound else 0.0, float(times[0]) if len(times) else 0.0, 1e-3)
    faces = _pick_faces(clip, number)
    size, changed = clip.listing.sources[name]
    data: dict[str, Any] = {"number": number, "seconds": seconds, **_describe_track(clip, track)}
    if sound:
        data["waveform"] = describe_waveform(sound.outline)
    text = _load_template().render(
        data=_as_script(data),
        quality=quality,
        shard=clip.shard,
        source=f"{size} bytes, changed {format_time(changed / 1e9)} UTC",
        gone=name in clip.listing.vanished,
        audio=f"{_find_way(folder, sound.folder)}/{quote(name)}.wav" if sound else "",
        waveform=sound is not None,
        sound_share=f"{100 * sound.seconds / seconds if sound else 0.0:.3f}",
        spectrogram=_draw_spectrogram(clip),
        faces=_describe_faces(faces, track["time"]) if faces.addresses else "",
        seconds=f"{seconds:.1f}",
        frame=data["frame"],
        stages=_describe_stages(clip),
    )
    return ClipPage(text, faces.picture, faces.num_in_picture, quality)


@functools.lru_cache(maxsize=16)
def _find_way(start: Path, target: str) -> str:
    """Give the relative path from one folder to another, quoted for an address."""
    return quote(os.path.relpath(target, start))


def _pick_faces(clip: Clip, number: str) -> _Faces:
    """Pick faces evenly over a clip; none where the store keeps no crops of it."""
    raw, kept = clip.shards.get("crops"), clip.shards.get("crops_jpeg")
    found = kept or raw
    rows = pick_rows(0 if found is None else found.fact(clip.name, "length"))
    if found is None or not len(rows):
        return _Faces(rows, None, 0, [])
    if kept is not None:
        images = kept.images(clip.name)
        taken = [images[row] for row in rows]
        return _Faces(rows, taken[len(taken) // 2], 1, [f'src="{_as_uri(image, "jpeg")}"' for image in taken])
    picture = encode_faces(np.asarray(found.rows(clip.name, "crop"))[rows])
    # All faces are in one file. CSS's object-position counts in shares of the width that one face leaves over.
    places = [100 * k / max(1, len(rows) - 1) for k in range(len(rows))]
    shown = [f'src="{number}.jpg" style="object-position: {place:.4g}% 0"' for place in places]
    return _Faces(rows, picture, len(rows), shown)


def _describe_faces(faces: _Faces, times: np.ndarray) -> Any:
    """Give the faces as buttons that lead to their moments."""
    from markupsafe import Markup

    moments = [f"{moment:.2f}" for moment in times[faces.rows].tolist()]
    return Markup(
        "".join(
            f'<button data-time="{moment}"><img {address} alt="face at {moment} s">{moment} s</button>'
            for address, moment in zip(faces.addresses, moments, strict=True)
        )
    )


@functools.cache
def _load_template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("clip.html")


def _as_script(value: Any) -> Any:
    """Give a value as JSON that cannot end the script around it, whatever the clips' names are."""
    from markupsafe import Markup

    return Markup(as_json(value))


def as_json(value: Any) -> str:
    """Give a value as JSON without `<`, so that it can be put into a script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _draw_spectrogram(clip: Clip) -> Any:
    """Give the spectrogram as a picture in a URI; "" without sound."""
    from markupsafe import Markup

    shard = clip.shards.get("stft")
    if shard is None or shard.fact(clip.name, "length") == 0:
        return ""
    # The slice has checked the file's size.
    return Markup(_as_uri(draw_spectrogram(np.asarray(shard.rows(clip.name, "stft"))), "png"))


def _as_uri(data: bytes, kind: str) -> str:
    """Give an image as a URI; it has no character that HTML would have to escape."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_TRACK = ("time", "score", "box", "landmarks")


def _read_track(clip: Clip) -> dict[str, np.ndarray]:
    """Read the rows of the stage faces; empty columns if there are none."""
    faces = clip.shards.get("faces")
    if faces is None or not faces.fact(clip.name, "length"):
        return {column: np.zeros(0) for column in _TRACK}
    return {column: np.array(faces.rows(clip.name, column)) for column in _TRACK}


def _describe_track(clip: Clip, track: dict[str, np.ndarray]) -> dict[str, Any]:
    """Give where the faces are, as columns: seconds, score, box and landmarks in pixels of the upright frame."""
    frames = clip.shards.get("frames")
    frame = None
    if frames is not None:
        frame = {"width": frames.fact(clip.name, "width"), "height": frames.fact(clip.name, "height")}
    step = max(1, -(-len(track["time"]) // _MOST_FACES))
    times, scores, boxes, landmarks = (track[column][::step] for column in _TRACK)
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
        status = shard.fact(clip.name, "status") + (f": {message}" if message else "")
        before, after = _name_rows(shard.schema)
        after = after.replace(_LENGTH, str(length))
        lines.append(f"<tr><td>{_escape(stage)}</td><td>{_escape(status)}{before}{length}{after}")
    return Markup("\n".join(lines))


@functools.lru_cache(maxsize=1024)
def _escape(text: str) -> str:
    return html.escape(text)


#: Placeholder for the number of rows; html.escape leaves no such text in the rest of the cells.
_LENGTH = "<#>"


@functools.lru_cache(maxsize=64)
def _name_rows(schema: StageSchema) -> tuple[str, str]:
    """Give a stage's rows of the table: what is between its status and the number of rows, and what follows.

    Each has a dataset's name, the shape of its rows behind their number, and its unit.
    """
    rows = [
        (html.escape(row.name), "".join(f" x {size}" for size in row.shape), html.escape(row.unit))
        for row in schema.rows
    ] or [("", " samples", "")]
    cells = [f"</td><td>{name}</td><td>{_LENGTH}{shape}</td><td>{unit}</td></tr>" for name, shape, unit in rows]
    before, _, after = "\n<tr><td></td><td>".join(cells).partition(_LENGTH)
    return before, after

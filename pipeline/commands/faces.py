"""`python -m pipeline faces VIDEO -o sheet.png`: shows in one picture what face detection does with a clip.

The sheet has frames that are evenly spread over the clip, with all faces' boxes and the speaker's landmarks; a timeline
for each track, with gaps and cuts; and the speaker's aligned crops.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.weights.table import WeightsError, resolve_weights
from pipeline.dataset.overrides import Override, parse_rotation, parse_speaker
from pipeline.errors import UserError
from pipeline.progress import show_steps
from pipeline.settings import config
from store.files import write_soon
from store.text import escape, escape_lines, format_count

if TYPE_CHECKING:
    from pipeline import media
    from pipeline.faces.speaker_faces import SpeakerFaces

HELP = "draw a contact sheet of a clip's faces: boxes, landmarks, tracks, gaps and crops"

_WIDTH = 1440  # pixels of the sheet
_PICTURE_PX = 480  # largest width in which a frame is kept
_MARGIN = 12
_LINE = 24  # pixels of a line of text, and of a track
_SPEAKER, _OTHER, _CUT, _TEXT = (60, 170, 60), (150, 150, 150), (60, 60, 220), (40, 40, 40)  # BGR
_MOST_TRACKS = 12
_LEAST_SIDE = 8
_ENDINGS = (".png", ".jpg", ".jpeg")

#: A frame, perhaps made smaller, and its original width in pixels.
Picture = tuple[np.ndarray, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("video", type=Path, help="a video")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="SHEET.png", help="the PNG or JPEG to write"
    )
    parser.add_argument("--smallest-face", type=int, metavar="PIXELS", help="by default [faces] smallest_face_px")
    parser.add_argument("--detect-every", type=int, metavar="FRAMES", help="by default [faces] detect_every")
    parser.add_argument("--speaker", default="", help="as in the overrides: 'x y', '@seconds' or 'x y @seconds'")
    parser.add_argument(
        "--video-stream", type=int, metavar="NUMBER", help="which of the file's picture streams, from 0"
    )
    parser.add_argument(
        "--rotation", default="", metavar="DEGREES", help="clockwise: 90, 180 or 270, as in the overrides"
    )
    parser.add_argument(
        "--pictures", type=int, default=24, metavar="NUMBER", help="number of frames to show (default: 24)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw the sheet and print a summary.

    Returns:
        0; 1 when the clip cannot be read or has no face; 2 when an argument or a setting is wrong.
    """
    from pipeline import media

    try:
        faces, notes = _draw(arguments)
    except (UserError, WeightsError, ValueError) as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2
    except media.MediaError as error:
        print(escape(f"{arguments.video}: {error.status}: {error}"), file=sys.stderr)
        return 1
    print("; ".join(filter(None, [describe(faces), *notes])))
    print(arguments.output)
    return 0 if len(faces.frame_indices) else 1


def _draw(arguments: argparse.Namespace) -> tuple["SpeakerFaces", list[str]]:
    """Find the faces and write the sheet; give the faces, and further remarks about the clip."""
    import cv2

    from models.mtcnn.detector import Mtcnn
    from models.mtcnn.networks import load_networks
    from models.networks.precision import computing_exactly
    from pipeline import media
    from pipeline.faces.speaker_faces import find_speaker
    from pipeline.stages.clip_faces import choose_evidence, choose_wish, load_likeness, read_sound_change
    from pipeline.stages.device import find_faces_device, torch_threads

    if not arguments.video.is_file():  # opening a named pipe would wait until another process writes to it
        raise UserError(f"{arguments.video} is not a file; name one video")
    config.load()
    settings = config.Settings.read()
    smallest = _read_setting("smallest_face_px", arguments.smallest_face, "--smallest-face")
    every = _read_setting("detect_every", arguments.detect_every, "--detect-every")
    ending = _make_place(arguments.output)
    point, seconds = parse_speaker(arguments.speaker)
    stream, turn = arguments.video_stream, parse_rotation(arguments.rotation) or 0
    most_pixels = settings.frames.max_pixels
    table = media.scan_frames(arguments.video, stream=stream, most_pixels=most_pixels, turn_degrees=turn)
    stopping = threading.Event()
    frames = media.read_frames(arguments.video, table, threads=0, stream=stream, turn_degrees=turn, stopping=stopping)
    num_frames = len(table.times_seconds)
    shown = {int(i) for i in np.linspace(0, num_frames - 1, min(max(1, arguments.pictures), num_frames))}
    pictures: dict[int, Picture] = {}
    with tempfile.TemporaryDirectory() as scratch, torch_threads(1), computing_exactly(), show_steps(1) as steps:
        steps.start("finding faces")
        kept = _keep_shown(frames, shown, pictures, lambda at: steps.advance(at / num_frames))
        faces = find_speaker(
            media.prefetch(kept, 8, stopping),
            Mtcnn(load_networks(), smallest_face_px=smallest, device=find_faces_device(settings)),
            detect_every=every,
            smallest_face_px=smallest,
            likeness=load_likeness(_find_weights(), find_faces_device(settings)),
            wish=choose_wish(Override(point, seconds), table.times_seconds),
            evidence=choose_evidence(
                table.times_seconds,
                speaker=settings.faces.speaker,
                still_faces=settings.faces.still_faces,
                listen=lambda: read_sound_change(
                    arguments.video,
                    Path(scratch),
                    ffmpeg=settings.audio.ffmpeg,
                    only_speech=settings.faces.speaker == "speech",
                ),
            ),
            scratch=Path(scratch),
        )
        how_often = "every frame" if every == 1 else f"one of {every} frames"
        head = f"{arguments.video.name}; smallest face {smallest} px, detected in {how_often}"
        sheet = draw_sheet([head, describe(faces)], faces, pictures, table)
    done, data = cv2.imencode(ending, sheet)
    assert done, "OpenCV always has encoders for PNG and JPEG"
    write_soon(arguments.output, data.tobytes())
    return faces, [*faces.notes, table.message, frames.message]


def _make_place(output: Path) -> str:
    """Make the sheet's folder, and give the ending of its name."""
    ending = output.suffix.lower()
    if ending not in _ENDINGS:
        raise UserError(f"-o {output} ends in {ending!r}; it must be one of {', '.join(_ENDINGS)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    return ending


def _read_setting(name: str, given: int | None, option: str) -> int:
    """Give an option of [faces]: the command line's value, checked like the setting, else the setting's."""
    if given is None:
        return int(getattr(config.faces(), name))
    try:
        return int(getattr(config.faces, name).parse(str(given)))
    except ValueError as error:
        raise UserError(f"{option} {given}: {error} ([faces] {name})") from error


def _find_weights() -> Path | None:
    """Give the path of SphereFace's weights; None where they are missing: then tracks are joined by mean crops."""
    try:
        return resolve_weights("sphereface20", config.embeddings().weights).path
    except WeightsError:
        return None


def _keep_shown(
    frames: Any, shown: set[int], pictures: dict[int, Picture], seen: Callable[[int], None]
) -> Iterator["media.Frame"]:
    """Pass frames on, report how many have passed, and keep small copies of the frames to be shown."""
    import cv2

    try:
        for frame in frames:
            if frame.index in shown:
                height, width = frame.image.shape[:2]
                scale = min(1.0, _PICTURE_PX / width)
                size = (round(width * scale), max(_LEAST_SIDE, round(height * scale)))
                pictures[frame.index] = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), width
            yield frame
            seen(frame.index + 1)
    finally:
        frames.close()


def describe(faces: "SpeakerFaces") -> str:
    """Say in one line what was found: frames, faces, tracks, cuts, and the share of frames without the speaker."""
    if len(faces.frame_indices) == 0:
        return f"no face in {faces.looked_at}" if faces.num_faces == 0 else "no face at the place named for the speaker"
    missing = 1 - len(faces.frame_indices) / faces.num_frames
    return (
        f"{format_count(faces.num_frames, 'frame')}, {format_count(faces.num_faces, 'face')} of all people, "
        f"{format_count(faces.num_tracks, 'track')}, {format_count(faces.num_cuts, 'cut')}; "
        f"the speaker is track {', '.join(map(str, faces.tracks))}, "
        f"who is missing in {missing:.1%} of the frames"
    )


def draw_sheet(
    head: list[str], faces: "SpeakerFaces", pictures: dict[int, Picture], table: "media.FrameTable"
) -> np.ndarray:
    """Draw the sheet.

    Args:
        head: The first lines of text.
        faces: The clip's faces.
        pictures: Some of its frames by index: (H, W, 3) uint8 BGR, perhaps made smaller, and their original width.
        table: The clip's frame table.

    Returns:
        (H, 1440, 3) uint8 BGR.
    """
    columns = 4 if table.width >= table.height else 6
    width = (_WIDTH - _MARGIN) // columns - _MARGIN
    size = width, max(_LEAST_SIDE, round(table.height * width / table.width))
    marked = [
        _mark(picture, faces, index, float(table.times_seconds[index]), size)
        for index, picture in sorted(pictures.items())
    ]
    crops = [faces.crops[row] for row in np.linspace(0, len(faces.crops) - 1, min(len(faces.crops), 24)).astype(int)]
    parts = [_lines(head), _grid(marked, columns), _timeline(faces, table), _grid(crops, 13)]
    return np.concatenate([part for part in parts if part.size])


def _mark(shown: Picture, faces: "SpeakerFaces", index: int, seconds: float, size: tuple[int, int]) -> np.ndarray:
    """Draw a frame's faces on a copy of at most this (width, height); the rest of the cell stays white."""
    import cv2

    image, frame_width = shown
    high, wide = image.shape[:2]
    share = min(size[0] / wide, size[1] / high)
    width, height = max(1, round(wide * share)), max(1, round(high * share))
    picture = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    scale = width / frame_width
    for face in faces.all_faces[faces.all_faces["frame_index"] == index]:
        chosen = face["track"] in faces.tracks
        x1, y1, x2, y2 = (face["box"] * scale).round().astype(int).tolist()
        cv2.rectangle(picture, (x1, y1), (x2, y2), _SPEAKER if chosen else _OTHER, 2)
        _write(picture, str(face["track"]), (x1 + 3, y2 - 4), _SPEAKER if chosen else _OTHER)
        for x, y in (face["landmarks"] * scale).round().astype(int).tolist() if chosen else ():
            cv2.circle(picture, (x, y), 2, _CUT, -1)
    _write(picture, f"{seconds:.2f} s", (4, 16), (255, 255, 255))
    cell = np.full((size[1], size[0], 3), 255, np.uint8)
    cell[:height, :width] = picture
    return cell


def _timeline(faces: "SpeakerFaces", table: "media.FrameTable") -> np.ndarray:
    """Draw a timeline for each of the longest tracks: filled where it has a face, with a red line at each cut."""
    import cv2

    numbers, lengths = np.unique(faces.all_faces["track"], return_counts=True)
    shown = sorted(numbers[np.argsort(-lengths, kind="stable")][:_MOST_TRACKS].tolist())
    canvas = np.full((_LINE * len(shown) + _MARGIN, _WIDTH, 3), 255, np.uint8)
    left, num_frames = 90, max(1, len(table.times_seconds))
    step = (_WIDTH - left - _MARGIN) / num_frames
    for line, track in enumerate(shown):
        top = line * _LINE + 4
        color = _SPEAKER if track in faces.tracks else _OTHER
        _write(canvas, f"track {track}", (_MARGIN, top + 14), _TEXT)
        for frame in faces.all_faces["frame_index"][faces.all_faces["track"] == track].tolist():
            start, end = (round(left + step * position) for position in (frame, frame + 1))
            cv2.rectangle(canvas, (start, top), (max(start, end - 1), top + _LINE - 8), color, -1)
    for frame in faces.cut_frames if shown else ():
        x = round(left + step * frame)
        cv2.line(canvas, (x, 0), (x, len(canvas) - _MARGIN), _CUT, 1)
    return canvas


def _grid(images: list[np.ndarray], columns: int) -> np.ndarray:
    """Arrange images of one size in rows."""
    if not images:
        return np.empty((0, _WIDTH, 3), np.uint8)
    height, width = (length + _MARGIN for length in images[0].shape[:2])
    rows = -(-len(images) // columns)
    canvas = np.full((rows * height + _MARGIN, _WIDTH, 3), 255, np.uint8)
    for position, image in enumerate(images):
        y, x = (position // columns) * height + _MARGIN, (position % columns) * width + _MARGIN
        canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return canvas


def _lines(lines: list[str]) -> np.ndarray:
    canvas = np.full((_LINE * len(lines) + _MARGIN, _WIDTH, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        _write(canvas, line, (_MARGIN, _MARGIN + 12 + number * _LINE), _TEXT)
    return canvas


def _write(image: np.ndarray, text: str, place: tuple[int, int], color: tuple[int, int, int]) -> None:
    """Write text into the image itself; letters that the font lacks become question marks."""
    import cv2

    plain = text.encode("ascii", "replace").decode()
    cv2.putText(image, plain, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)

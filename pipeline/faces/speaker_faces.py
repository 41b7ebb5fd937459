"""One speaker's aligned faces from a clip's frames (paper II-B): detect, follow, choose, align."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from models.mtcnn.detector import Mtcnn
from pipeline.faces.alignment import CROP_HEIGHT, CROP_WIDTH, DegenerateLandmarksError, align_crop
from pipeline.faces.likeness import Likeness
from pipeline.faces.rivals import Evidence
from pipeline.faces.speaker import Wish, choose_speaker
from pipeline.faces.tracking import FaceTracker
from pipeline.faces.turned import TurnedLook
from pipeline.media.pages import release_pages
from store.text import format_count

CROP_SHAPE = (CROP_HEIGHT, CROP_WIDTH, 3)
# Rows copied at a time from the crops of all faces to the speaker's: 2 MiB.
_COPY_ROWS = 64
_FIRST_ROWS = 256

_ROW = np.dtype(
    [
        ("track", np.int32),
        ("frame_index", np.int32),
        ("box", np.float32, (4,)),
        ("landmarks", np.float32, (5, 2)),
        ("score", np.float32),
    ]
)


class ImageFrame(Protocol):
    """What is needed of a frame: its index in the clip's frame table and its image, (H, W, 3) uint8."""

    @property
    def index(self) -> int: ...  # noqa: D102

    @property
    def image(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class SpeakerFaces:
    """The speaker's face in every frame where it was found; other frames are absent.

    Attributes:
        frame_indices: (N,) int32, ascending, into the clip's frame table.
        boxes: (N, 4) float32, (x1, y1, x2, y2) in pixels.
        landmarks: (N, 5, 2) float32, (x, y) in pixels.
        scores: (N,) float32 in [0, 1].
        crops: (N, 112, 96, 3) uint8; a read-only view of a file in scratch, valid until that is removed.
        num_frames: frames seen.
        num_faces: faces found in them, all persons together.
        num_tracks: stretches over which one face could be followed.
        num_cuts: changes of camera.
        num_skipped: frames that were not searched, because no face had been found for some time.
        all_faces: rows of `track`, `frame_index`, `box`, `landmarks`, `score` of everyone's faces, in the order of the
            frames.
        tracks: numbers of the speaker's tracks.
        cut_frames: ascending indices of the frames that follow a cut.
        notes: how the speaker was chosen where several people were possible, and what makes the choice doubtful.
    """

    frame_indices: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray
    crops: np.ndarray
    num_frames: int
    num_faces: int
    num_tracks: int
    num_cuts: int
    num_skipped: int
    all_faces: np.ndarray
    tracks: tuple[int, ...]
    cut_frames: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def looked_at(self) -> str:
        """Where a face could have been seen, in words: "20 frames", or how many of them were looked at."""
        if self.num_skipped == 0:
            return format_count(self.num_frames, "frame")
        return f"the {format_count(self.num_frames - self.num_skipped, 'frame')} looked at of {self.num_frames}"


def find_speaker(
    frames: Iterable[ImageFrame],
    detector: Mtcnn,
    *,
    detect_every: int,
    scratch: Path,
    smallest_face_px: float = 0.0,
    likeness: Likeness | None = None,
    wish: Wish | None = None,
    evidence: Evidence | None = None,
) -> SpeakerFaces:
    """Find the speaker's face in each frame: see `choose_speaker`.

    The speaker is known only at the end of the clip, so the crops of all faces go to a file in `scratch`, 32 kB each.
    Memory therefore does not grow with the clip's length.

    Args:
        frames: in order.
        detector: for images in the frames' channel order.
        detect_every: frames from one full detection to the next while faces are followed, at least 1.
        scratch: an existing folder for this clip alone; the caller removes it when done with the crops.
        smallest_face_px: longer side of a box below which no face is followed.
        likeness: how tracks are compared to join them to persons, see `choose_speaker`.
        wish: the face that the user names; nobody is chosen when there is no such face.
        evidence: what decides in addition to the sizes of faces; by default nothing.

    Returns:
        The speaker's faces; N is 0 when there is no face.

    Raises:
        ValueError: `detect_every` below 1.
        OSError: scratch cannot be written.
    """
    tracker = FaceTracker(detector, detect_every, smallest_face_px)
    turned = TurnedLook(detector)
    spool = scratch / "faces.raw"
    num_frames, cut_frames, table = _follow_faces(frames, tracker, turned, spool)
    crops = map_crops(spool, len(table))
    choice = choose_speaker(table, crops, np.array(cut_frames), likeness=likeness, wish=wish, evidence=evidence)
    chosen = np.flatnonzero(np.isin(table["track"], choice.tracks))
    speaker = table[chosen]
    return SpeakerFaces(
        frame_indices=speaker["frame_index"].copy(),
        boxes=speaker["box"].copy(),
        landmarks=speaker["landmarks"].copy(),
        scores=speaker["score"].copy(),
        crops=crops if len(chosen) == len(table) else _keep_crops(crops, chosen, spool),
        num_frames=num_frames,
        num_faces=len(table),
        num_tracks=tracker.num_tracks,
        num_cuts=tracker.num_cuts,
        num_skipped=tracker.num_skipped,
        all_faces=table,
        tracks=choice.tracks,
        cut_frames=tuple(cut_frames),
        notes=tuple(filter(None, [*choice.notes, turned.describe(speaker["score"])])),
    )


def _follow_faces(
    frames: Iterable[ImageFrame], tracker: FaceTracker, turned: TurnedLook, spool: Path
) -> tuple[int, list[int], np.ndarray]:
    """Follow all faces; write their crops to `spool`.

    Returns:
        The number of frames, the indices of those that follow a cut, and the table of all faces.
    """
    rows = _Rows()
    num_frames, cut_frames = 0, []
    with spool.open("wb") as file:
        for frame in frames:
            num_frames += 1
            num_cuts = tracker.num_cuts
            faces = tracker.follow(frame.image)
            turned.note(frame.image, faces)
            if tracker.num_cuts > num_cuts:
                cut_frames.append(frame.index)
            for face in faces:
                try:
                    crop = align_crop(frame.image, face.landmarks)
                except DegenerateLandmarksError:
                    continue  # a false alarm: its five landmarks coincide
                file.write(crop.tobytes())
                rows.append(face.track, frame.index, face.box, face.landmarks, face.score)
    return num_frames, cut_frames, rows.finish()


class _Rows:
    """A table of faces that grows as needed: 68 bytes a face, about 6 MB for an hour of one face."""

    def __init__(self) -> None:
        self._rows = np.empty(_FIRST_ROWS, dtype=_ROW)
        self._length = 0

    def append(self, *values: object) -> None:
        if self._length == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._length] = values
        self._length += 1

    def finish(self) -> np.ndarray:
        return self._rows[: self._length]


def map_crops(path: Path, num_crops: int) -> np.ndarray:
    """Map a file of crops into memory, (num_crops, 112, 96, 3) uint8, read only.

    No crops give an empty array, since an empty file cannot be mapped.
    """
    if num_crops == 0:
        return np.empty((0, *CROP_SHAPE), dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r", shape=(num_crops, *CROP_SHAPE))


def _keep_crops(crops: np.ndarray, chosen: np.ndarray, spool: Path) -> np.ndarray:
    """Copy the chosen crops to a file of their own, remove the file of all faces, and map the new one."""
    path = spool.with_name("speaker.raw")
    with path.open("wb") as file:
        for start in range(0, len(chosen), _COPY_ROWS):
            file.write(crops[chosen[start : start + _COPY_ROWS]].tobytes())
            release_pages(crops)
    spool.unlink()
    return map_crops(path, len(chosen))

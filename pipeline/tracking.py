"""Following faces from frame to frame: full detection now and then, O-Net on the last box in between."""

from dataclasses import dataclass, field

import numpy as np

from models.mtcnn import Detections, Mtcnn
from models.mtcnn_boxes import compute_overlaps

# Least overlap (intersection over union) of a face's boxes in consecutive frames; less is a jump to something else.
_LEAST_OVERLAP = 0.35
# Two tracks whose boxes overlap by more than this (over the smaller one) have run onto the same face.
_SAME_FACE_OVERLAP = 0.7
# While no face is in sight, the pause between detections grows to this part of the time without a face.
_IDLE_SHARE = 8
# A cut: mean absolute difference of the two thumbnails, in grey levels.
_CUT_DIFFERENCE = 28.0
_THUMBNAIL_PX = 32


@dataclass(frozen=True)
class TrackedFace:
    """A face in one frame: box (4,), landmarks (5, 2) in pixels, score in [0, 1], and the track that it belongs to."""

    track: int
    box: np.ndarray
    landmarks: np.ndarray
    score: float


@dataclass
class _Track:
    number: int
    box: np.ndarray
    num_frames: int = 0


@dataclass
class FaceTracker:
    """Follows all faces of one clip; give it the frames in order.

    Args:
        detector: finds faces, and looks again at known ones.
        detect_every: number of frames from one full detection to the next while faces are followed, at least 1. A full
            detection also follows a cut and whenever a followed face is not found again.
        smallest_face_px: longer side of a box below which no track is begun.

    Attributes:
        num_tracks: tracks begun so far.
        num_detections: full detections so far.
        cut_frames: number, counted from 0, of each frame that follows a cut.

    Raises:
        ValueError: `detect_every` below 1.
    """

    detector: Mtcnn
    detect_every: int
    smallest_face_px: float = 0.0
    num_tracks: int = 0
    num_detections: int = 0
    cut_frames: list[int] = field(default_factory=list)
    _tracks: list[_Track] = field(default_factory=list)
    _thumbnail: np.ndarray | None = None
    _num_frames: int = 0
    _since_detection: int = 0
    _without_face: int = 0

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise ValueError(f"detect_every ({self.detect_every} frames) must be at least 1")

    def follow(self, image: np.ndarray) -> list[TrackedFace]:
        """Return the faces of the next frame, an (H, W, 3) uint8 image, in the order of their tracks' numbers."""
        if self._note_cut(image):
            self._tracks = []
            self._without_face = 0
            faces = self._detect(image)
        elif not self._tracks:
            pause = min(self.detect_every, 1 + self._without_face // _IDLE_SHARE)
            faces = self._detect(image) if self._since_detection + 1 >= pause else self._wait()
        elif self._since_detection + 1 >= self.detect_every:
            faces = self._detect(image)
        else:
            faces = self._refine(image)
        self._without_face = 0 if faces else self._without_face + 1
        self._num_frames += 1
        return faces

    def _wait(self) -> list[TrackedFace]:
        self._since_detection += 1
        return []

    def _refine(self, image: np.ndarray) -> list[TrackedFace]:
        """Look again at the followed faces; detect when one of them was not found again."""
        last = np.stack([track.box for track in self._tracks])
        found = self.detector.refine(image, last)
        overlaps = np.diagonal(compute_overlaps(last.astype(np.float64), found.boxes.astype(np.float64)))
        if (found.scores <= self.detector.thresholds[2]).any() or (overlaps < _LEAST_OVERLAP).any():
            return self._detect(image)
        self._since_detection += 1
        return self._continue(self._tracks, found, range(len(self._tracks)))

    def _detect(self, image: np.ndarray) -> list[TrackedFace]:
        """Detect all faces; continue the tracks that overlap one of them, end the others and begin new ones."""
        found = self.detector.detect(image)
        self.num_detections += 1
        self._since_detection = 0
        matches = match_boxes(np.array([track.box for track in self._tracks]).reshape(-1, 4), found.boxes)
        tracks, rows = [], []
        for row in range(len(found)):
            if row in matches:
                track = self._tracks[matches[row]]
            elif float((found.boxes[row, 2:] - found.boxes[row, :2]).max()) >= self.smallest_face_px:
                track = _Track(self.num_tracks, found.boxes[row])
                self.num_tracks += 1
            else:
                continue
            tracks.append(track)
            rows.append(row)
        return self._continue(tracks, found, rows)

    def _continue(self, tracks: list[_Track], found: Detections, rows: range | list[int]) -> list[TrackedFace]:
        """Give each track its row of what was found, drop the younger of two on the same face, and return the faces."""
        order = sorted(range(len(tracks)), key=lambda i: tracks[i].number)
        boxes = found.boxes[[rows[i] for i in order]].astype(np.float64).reshape(-1, 4)
        overlaps = compute_overlaps(boxes, boxes, kind="smaller")
        self._tracks, faces = [], []
        for position, i in enumerate(order):
            if (overlaps[position, :position] > _SAME_FACE_OVERLAP).any():
                continue
            track, row = tracks[i], rows[i]
            track.box = found.boxes[row]
            track.num_frames += 1
            self._tracks.append(track)
            faces.append(TrackedFace(track.number, found.boxes[row], found.landmarks[row], float(found.scores[row])))
        return faces

    def _note_cut(self, image: np.ndarray) -> bool:
        """Compare the frame with the one before; remember it and whether there was a cut between them."""
        thumbnail = make_thumbnail(image)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None or measure_change(before, thumbnail) < _CUT_DIFFERENCE:
            return False
        self.cut_frames.append(self._num_frames)
        return True


def match_boxes(boxes: np.ndarray, others: np.ndarray) -> dict[int, int]:
    """Pair boxes that overlap, the largest overlap first.

    Args:
        boxes: (N, 4).
        others: (M, 4).

    Returns:
        For rows of `others`, the row of `boxes` that is theirs; each row at most once.
    """
    overlaps = compute_overlaps(boxes.astype(np.float64), others.astype(np.float64))  # (N, M)
    pairs: dict[int, int] = {}
    for flat in np.argsort(-overlaps, axis=None, kind="stable"):
        row, other = divmod(int(flat), len(others))
        if overlaps[row, other] < _LEAST_OVERLAP:
            break
        if other not in pairs and row not in pairs.values():
            pairs[other] = row
    return pairs


def make_thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a small picture of an image, (32, 32, 3) float32, by averaging an even sample of its pixels."""
    import cv2

    rows, columns = (max(1, length // (4 * _THUMBNAIL_PX)) for length in image.shape[:2])
    sample = np.ascontiguousarray(image[::rows, ::columns])
    return np.asarray(
        cv2.resize(sample, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA), dtype=np.float32
    )


def measure_change(before: np.ndarray, after: np.ndarray) -> float:
    """Return the mean absolute difference of two thumbnails in grey levels, free of a change of overall brightness.

    A flash or fade changes all pixels alike; taking each picture's mean away first leaves what a cut changes.
    """
    difference = (after - after.mean()) - (before - before.mean())
    return float(np.abs(difference).mean())

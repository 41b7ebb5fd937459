"""Following faces from frame to frame: full detection now and then, O-Net on the last box in between."""

from dataclasses import dataclass, field

import numpy as np

from models.mtcnn.boxes import compute_overlap, compute_overlaps
from models.mtcnn.detector import Detections, Mtcnn
from pipeline.faces.cuts import CutFinder

# Least overlap (intersection over union) of a face's boxes in consecutive frames; with less, it is not the same face.
_LEAST_OVERLAP = 0.35
# Two tracks whose boxes overlap by more than this (over the smaller one) are on the same face.
_SAME_FACE_OVERLAP = 0.7
# The window that O-Net sees: it follows the last boxes by half, since a window that shivers makes landmarks shiver, and
# is a little smaller than they are, as R-Net's are in a full detection. On six clips of faces that talk landmarks then
# lie 1.6 % of the eye distance from a full detection's (2.5 % jitter without the first, 1.8 % without the second).
_WINDOW_GAIN = 0.5
_WINDOW_SHARE = 0.95
# While no followed face is lost, a detection looks for faces of at least this share of the smallest followed one. A
# smaller person beside them is not the speaker, and the search for faces half as large costs four times as much.
_NEWCOMER_SHARE = 0.5
# A face that O-Net does not find in its window is looked for by all three networks in a region this many times as
# large before the whole picture is searched: a seventh of the work.
_NEARBY_SIDES = 3.0
# While there is no face, or a followed one has not come back, the pause between detections grows: it is the time since
# then divided by this number.
_IDLE_SHARE = 8


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
    window: np.ndarray
    num_frames: int = 0

    def measure_side(self) -> float:
        """Return the longer side of the window, in pixels."""
        return float((self.window[2:] - self.window[:2]).max())


@dataclass
class _Loss:
    """A lost face: for how many frames it was followed, and how many frames ago it was lost."""

    num_frames: int
    frames_ago: int = 0


@dataclass
class FaceTracker:
    """Follows all faces of one clip; give it the frames in order.

    Args:
        detector: finds faces, and looks again at known ones.
        detect_every: number of frames from one full detection to the next while faces are followed, at least 1. A full
            detection also follows a cut and whenever a followed face is found neither in its place nor near it; then
            detections are frequent until it is back, or for as long as it had been followed.
        smallest_face_px: longer side of a box below which no track is begun.

    Attributes:
        num_tracks: tracks begun so far.
        num_detections: full detections so far.
        num_cuts: cuts so far; a frame that follows one begins new tracks.
        num_skipped: frames so far that were not searched, because no face had been found for some time.

    Raises:
        ValueError: `detect_every` below 1.
    """

    detector: Mtcnn
    detect_every: int
    smallest_face_px: float = 0.0
    num_tracks: int = 0
    num_detections: int = 0
    num_cuts: int = 0
    num_skipped: int = 0
    _tracks: list[_Track] = field(default_factory=list)
    _losses: list[_Loss] = field(default_factory=list)
    _cuts: CutFinder = field(default_factory=CutFinder)
    _since_detection: int = 0
    _without_face: int = 0

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise ValueError(f"detect_every ({self.detect_every} frames) must be at least 1")

    def follow(self, image: np.ndarray) -> list[TrackedFace]:
        """Return the faces of the next frame, an (H, W, 3) uint8 image, in the order of their tracks' numbers."""
        is_cut = self._cuts.look(image)
        self.num_cuts += is_cut
        if is_cut:
            self._tracks, self._losses = [], []
            self._without_face = 0
        before, num_tracks = self._tracks, self.num_tracks
        is_due = self._since_detection + 1 >= self._choose_pause()
        if is_cut:
            faces = self._detect(image)
        elif not self._tracks:
            faces = self._detect(image) if is_due else self._wait()
        elif is_due:
            faces = self._renew(image) if self.detect_every > 1 else self._detect(image)
        else:
            faces = self._refine(image)
        self._without_face = 0 if faces else self._without_face + 1
        self._note_losses(before, num_tracks)
        return faces

    def _choose_pause(self) -> int:
        """Return the number of frames from one detection to the next."""
        waits = [loss.frames_ago for loss in self._losses] if self._tracks else [self._without_face]
        return min([self.detect_every, *(1 + wait // _IDLE_SHARE for wait in waits)])

    def _note_losses(self, before: list[_Track], num_tracks: int) -> None:
        """Remember each lost face for as long as it had been followed, so that false alarms cost little.

        A face that is less than half as large as a followed one is not remembered: see _NEWCOMER_SHARE.

        Args:
            before: the tracks followed until this frame.
            num_tracks: tracks begun until this frame; each one begun in it counts as the return of the latest loss.
        """
        for loss in self._losses:
            loss.frames_ago += 1
        followed = {track.number for track in self._tracks}
        least = _NEWCOMER_SHARE * max((track.measure_side() for track in self._tracks), default=0.0)
        lost = [track for track in before if track.number not in followed and track.measure_side() >= least]
        self._losses += [_Loss(track.num_frames) for track in lost]
        num_begun = sum(number >= num_tracks for number in followed)
        kept = self._losses[: max(0, len(self._losses) - num_begun)]
        self._losses = [loss for loss in kept if loss.frames_ago < loss.num_frames]

    def _wait(self) -> list[TrackedFace]:
        self.num_skipped += 1
        self._since_detection += 1
        return []

    def _refine(self, image: np.ndarray) -> list[TrackedFace]:
        """Look again at the followed faces; detect in full when one is found neither in its place nor near it."""
        found, lost = self._look_again(image)
        for row in lost:
            nearby = self._look_nearby(image, row)
            if nearby is None:
                return self._detect(image)
            found = _replace_row(found, row, *nearby)
        self._since_detection += 1
        return self._continue(self._tracks, found, range(len(self._tracks)))

    def _look_again(self, image: np.ndarray) -> tuple[Detections, list[int]]:
        """Look with O-Net alone at the followed faces; return its detections and the rows where the face is missing."""
        windows = self._get_windows()
        found = self.detector.refine(image, scale_boxes(windows, _WINDOW_SHARE))
        rows = zip(windows.tolist(), found.boxes.tolist(), found.scores.tolist(), strict=True)
        least = self.detector.thresholds[2]
        return found, [
            row
            for row, (window, box, score) in enumerate(rows)
            if not (score > least and compute_overlap(window, box) >= _LEAST_OVERLAP)
        ]

    def _look_nearby(self, image: np.ndarray, row: int) -> tuple[Detections, int] | None:
        """Detect around a followed face that O-Net did not find (most often it turned); return detections and row."""
        track = self._tracks[row]
        region = scale_boxes(track.window[None], _NEARBY_SIDES)[0]
        seen = self.detector.detect(image, smallest_face_px=_NEWCOMER_SHARE * track.measure_side(), region=region)
        chosen = [other for other, match in match_boxes(self._get_windows(), seen.boxes).items() if match == row]
        return (seen, chosen[0]) if chosen else None

    def _get_windows(self) -> np.ndarray:
        return np.array([track.window for track in self._tracks]).reshape(-1, 4)

    def _renew(self, image: np.ndarray) -> list[TrackedFace]:
        """Look for new faces and check that each track still follows a face; detect in full when a face is lost."""
        windows = self._get_windows()
        smallest = min(track.measure_side() for track in self._tracks)
        seen = self.detector.detect(image, smallest_face_px=_NEWCOMER_SHARE * smallest)
        matches = match_boxes(windows, seen.boxes)
        if len(matches) < len(windows):
            return self._detect(image)
        again, lost = self._look_again(image)
        for other, row in matches.items():
            if row in lost:
                again = _replace_row(again, row, seen, other)
        self.num_detections += 1
        self._since_detection = 0
        newcomers = [row for row in range(len(seen)) if row not in matches and self._is_large(seen.boxes[row])]
        tracks = [*self._tracks, *(self._begin(seen.boxes[row]) for row in newcomers)]
        found = Detections(
            boxes=np.concatenate([again.boxes, seen.boxes[newcomers]]),
            landmarks=np.concatenate([again.landmarks, seen.landmarks[newcomers]]),
            scores=np.concatenate([again.scores, seen.scores[newcomers]]),
        )
        return self._continue(tracks, found, range(len(tracks)))

    def _is_large(self, box: np.ndarray) -> bool:
        return float((box[2:] - box[:2]).max()) >= self.smallest_face_px

    def _begin(self, box: np.ndarray) -> _Track:
        track = _Track(self.num_tracks, box.astype(np.float64))
        self.num_tracks += 1
        return track

    def _detect(self, image: np.ndarray) -> list[TrackedFace]:
        """Detect all faces; continue the tracks that overlap one of them, end the others and begin new ones."""
        found = self.detector.detect(image)
        self.num_detections += 1
        self._since_detection = 0
        matches = match_boxes(self._get_windows(), found.boxes)
        tracks, rows = [], []
        for row in range(len(found)):
            if row in matches:
                track = self._tracks[matches[row]]
            elif self._is_large(found.boxes[row]):
                track = self._begin(found.boxes[row])
            else:
                continue
            tracks.append(track)
            rows.append(row)
        return self._continue(tracks, found, rows)

    def _continue(self, tracks: list[_Track], found: Detections, rows: range | list[int]) -> list[TrackedFace]:
        """Give each track its row of what was found, drop the younger of two on the same face, and return the faces."""
        order = sorted(range(len(tracks)), key=lambda i: tracks[i].number)
        boxes = found.boxes[[rows[i] for i in order]].astype(np.float64).reshape(-1, 4)
        # Most often there is one face, and nothing to compute.
        overlaps = np.zeros((1, 1)) if len(order) == 1 else compute_overlaps(boxes, boxes, kind="smaller")
        self._tracks, faces = [], []
        for position, i in enumerate(order):
            if (overlaps[position, :position] > _SAME_FACE_OVERLAP).any():
                continue
            track, row = tracks[i], rows[i]
            track.window = track.window + _WINDOW_GAIN * (found.boxes[row] - track.window)
            track.num_frames += 1
            self._tracks.append(track)
            faces.append(TrackedFace(track.number, found.boxes[row], found.landmarks[row], float(found.scores[row])))
        return faces


def _replace_row(found: Detections, row: int, other: Detections, other_row: int) -> Detections:
    """Return the detections with one row taken from others."""
    columns = ((found.boxes, other.boxes), (found.landmarks, other.landmarks), (found.scores, other.scores))
    replaced = [np.concatenate([one[:row], two[other_row : other_row + 1], one[row + 1 :]]) for one, two in columns]
    return Detections(*replaced)


def match_boxes(boxes: np.ndarray, others: np.ndarray) -> dict[int, int]:
    """Pair boxes that overlap, the largest overlap first.

    Args:
        boxes: (N, 4).
        others: (M, 4).

    Returns:
        Row of `others` to the row of `boxes` paired with it; each row is paired at most once.
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


def scale_boxes(boxes: np.ndarray, share: float) -> np.ndarray:
    """Return boxes (N, 4) with the same centres, their sides multiplied by `share`."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    half = (boxes[:, 2:] - boxes[:, :2]) * (share / 2.0)
    return np.concatenate([centre - half, centre + half], axis=1)

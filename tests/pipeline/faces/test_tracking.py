import numpy as np
import pytest

from models.mtcnn.detector import Detections
from pipeline.faces.tracking import FaceTracker, match_boxes, scale_boxes


class ScriptedDetector:
    """Finds the boxes that the script gives for the frame whose number is in the image's first pixel.

    In the frames `blind` it does not know them again.
    """

    thresholds = (0.6, 0.7, 0.8)

    def __init__(self, script: dict[int, list[tuple[float, float, float]]], blind: tuple[int, ...] = ()):
        self.script, self.blind = script, blind
        self.detected: list[int] = []
        self.nearby: list[int] = []
        self.refined: list[int] = []
        self.smallest: list[float | None] = []

    def find(self, frame: int) -> Detections:
        faces = np.array(self.script.get(frame, []), np.float32).reshape(-1, 3)  # x, y, side
        boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:]], axis=1)
        landmarks = np.repeat(boxes[:, None, :2], 5, axis=1) + np.arange(10, dtype=np.float32).reshape(5, 2)
        return Detections(boxes, landmarks, np.full(len(faces), 0.99, np.float32))

    def detect(
        self, image: np.ndarray, *, smallest_face_px: float | None = None, region: np.ndarray | None = None
    ) -> Detections:
        found = self.find(int(image[0, 0, 0]))
        is_large = found.boxes[:, 2] - found.boxes[:, 0] >= (smallest_face_px or 0.0)
        if region is None:
            self.detected.append(int(image[0, 0, 0]))
            self.smallest.append(smallest_face_px)
        else:
            self.nearby.append(int(image[0, 0, 0]))
            is_large &= (found.boxes[:, :2] >= region[:2]).all(axis=1) & (found.boxes[:, 2:] <= region[2:]).all(axis=1)
        large = np.flatnonzero(is_large)
        return Detections(found.boxes[large], found.landmarks[large], found.scores[large])

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> Detections:
        frame = int(image[0, 0, 0])
        self.refined.append(frame)
        found = self.find(frame)
        if len(found) == 0:  # O-Net always answers; here with a low score
            return Detections(boxes.astype(np.float32), np.zeros((len(boxes), 5, 2), np.float32), np.zeros(len(boxes)))
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        own = (boxes[:, :2] + boxes[:, 2:]) / 2
        rows = np.linalg.norm(own[:, None] - centres[None], axis=2).argmin(axis=1)
        scores = np.zeros(len(rows), np.float32) if frame in self.blind else found.scores[rows]
        return Detections(found.boxes[rows], found.landmarks[rows], scores)


def frame_image(number: int, *, scene: int = 0) -> np.ndarray:
    image = np.random.default_rng(scene).integers(0, 256, (16, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    image[0, 0, 0] = number
    return image


def follow(detector: ScriptedDetector, num_frames: int, *, detect_every: int = 10, **options) -> list[list[int]]:
    tracker = FaceTracker(detector, detect_every, **options)
    return [[face.track for face in tracker.follow(frame_image(number))] for number in range(num_frames)]


def test_detection_is_rare_while_the_face_is_followed():
    detector = ScriptedDetector({frame: [(20 + frame, 30, 40)] for frame in range(30)})
    assert follow(detector, 30) == [[0]] * 30
    assert detector.detected == [0, 10, 20]
    assert detector.refined == list(range(1, 30))


def test_while_a_face_is_followed_only_newcomers_of_half_its_size_are_looked_for():
    faces = {frame: [(20, 30, 40)] for frame in range(30)}
    for frame in range(5, 30):
        faces[frame] = [(20, 30, 40), (100, 30, 25), (150, 30, 12)]
    detector = ScriptedDetector(faces)
    assert follow(detector, 30) == [[0]] * 10 + [[0, 1]] * 20
    # The second time the smallest of those followed is 25 px.
    assert detector.smallest == [None, pytest.approx(20), pytest.approx(12.5)]


def test_a_followed_face_that_the_regular_detection_misses_is_looked_for_in_full():
    # It shrinks between two frames; what is half as large as it was is not enough any more.
    detector = ScriptedDetector({frame: [(20, 30, 40 if frame < 10 else 18)] for frame in range(12)})
    assert follow(detector, 12)[-1] == [1]
    assert detector.smallest == [None, pytest.approx(20), None]


def test_detection_in_every_frame_is_always_in_full():
    detector = ScriptedDetector({frame: [(20, 30, 40)] for frame in range(5)})
    assert follow(detector, 5, detect_every=1) == [[0]] * 5
    assert detector.smallest == [None] * 5
    assert detector.refined == []


def test_a_face_that_is_not_found_again_is_detected_at_once_and_its_track_ends():
    script = {frame: [(20, 30, 40)] for frame in (0, 1, 2, 3, 7, 8, 9)}
    detector = ScriptedDetector(script)
    assert follow(detector, 10) == [[0]] * 4 + [[]] * 3 + [[1]] * 3
    assert detector.detected == [0, 4, 5, 6, 7]


def test_a_face_that_is_not_known_again_is_found_near_where_it_was():
    detector = ScriptedDetector({frame: [(30 + 4 * frame, 30, 40)] for frame in range(10)}, blind=(4, 5))
    tracker = FaceTracker(detector, 100)
    faces = [tracker.follow(frame_image(number)) for number in range(10)]
    assert [[(face.track, float(face.box[0])) for face in one] for one in faces] == [
        [(0, 30.0 + 4 * frame)] for frame in range(10)
    ]
    assert (detector.detected, detector.nearby) == ([0], [4, 5])


def test_someone_near_is_not_taken_for_who_is_lost():
    both = [(20, 30, 40), (64, 30, 40)]
    detector = ScriptedDetector({frame: both if frame < 5 else both[1:] for frame in range(8)})
    assert follow(detector, 8, detect_every=100) == [[0, 1]] * 5 + [[1]] * 3
    assert detector.nearby == [5]
    assert detector.detected[:2] == [0, 5]


def test_a_face_that_only_the_regular_detection_knows_stays_followed():
    detector = ScriptedDetector({frame: [(20, 30, 40)] for frame in range(12)}, blind=(10,))
    assert follow(detector, 12) == [[0]] * 12
    assert detector.smallest == [None, pytest.approx(20)]
    assert detector.nearby == []


def test_a_face_that_jumps_is_detected_again():
    detector = ScriptedDetector({frame: [(20, 30, 40) if frame < 4 else (80, 60, 40)] for frame in range(8)})
    assert follow(detector, 8) == [[0]] * 4 + [[1]] * 4
    assert detector.detected == [0, 4]


def test_the_pause_between_detections_grows_while_there_is_no_face():
    detector = ScriptedDetector({0: [(20, 30, 40)]})
    follow(detector, 200, detect_every=6)
    gaps = np.diff(detector.detected[1:])
    assert gaps[:6].tolist() == [1] * 6
    assert gaps[-1] == gaps.max() == 6
    assert (np.diff(gaps) >= 0).all()


def test_one_of_two_faces_that_is_hidden_for_a_moment_is_followed_again_at_once():
    both = [(20, 30, 40), (100, 30, 40)]
    detector = ScriptedDetector({frame: both[1:] if 50 <= frame < 53 else both for frame in range(80)})
    assert follow(detector, 80, detect_every=25) == [[0, 1]] * 50 + [[1]] * 3 + [[1, 2]] * 27
    # Beside the regular ones in frames 0, 25, 50 and 78; the first after the loss is in full.
    assert detector.detected == [0, 25, 50, 50, 51, 52, 53, 78]
    assert detector.smallest[4:] == [pytest.approx(20)] * 4


def test_a_face_that_stays_away_is_looked_for_ever_more_rarely_and_no_longer_than_it_was_followed():
    both = [(20, 30, 40), (100, 30, 40)]
    detector = ScriptedDetector({frame: both[1:] if frame >= 36 else both for frame in range(120)})
    follow(detector, 120, detect_every=25)
    # In the 36 frames after frame 36 the pause grows by one every 8 frames; then the usual one is back.
    assert detector.detected[2:] == [36, *range(37, 45), 46, 48, 50, 52, 55, 58, 62, 66, 71, 96]


def test_a_false_alarm_of_a_few_frames_is_not_missed_for_long():
    face = (20, 30, 40)
    detector = ScriptedDetector({frame: [face, (100, 30, 40)] if frame < 2 else [face] for frame in range(30)})
    follow(detector, 30, detect_every=25)
    assert detector.detected == [0, 2, 3, 4, 29]


def test_a_small_face_beside_a_large_one_is_not_missed():
    faces = [(20, 30, 80), (140, 30, 36)]
    detector = ScriptedDetector({frame: faces[:1] if 10 <= frame < 13 else faces for frame in range(30)})
    follow(detector, 30, detect_every=15)
    assert detector.detected == [0, 10, 25]


def test_who_is_hidden_by_someone_in_front_is_missed():
    # The second comes to the first, who stays before it for four frames, and goes on to the other side.
    places = [140.0] * 20 + [30.0] * 4 + [90.0] * 10
    script = {f: [(20, 30, 40)] + ([(x, 30, 40)] if not 20 <= f < 24 else []) for f, x in enumerate(places)}
    assert follow(ScriptedDetector(script), 34, detect_every=25) == [[0, 1]] * 20 + [[0]] * 4 + [[0, 2]] * 10


def test_two_faces_keep_their_tracks_when_their_order_changes():
    script = {frame: [(10, 10, 40), (80, 10, 40)][:: 1 if frame < 5 else -1] for frame in range(12)}
    detector = ScriptedDetector(script)
    tracker = FaceTracker(detector, 4)
    for number in range(12):
        faces = tracker.follow(frame_image(number))
        assert [(face.track, float(face.box[0])) for face in faces] == [(0, 10.0), (1, 80.0)]


def test_of_two_tracks_on_one_face_the_older_stays():
    script = {frame: [(10 + 7 * frame, 10, 40), (80, 10, 40)] for frame in range(20)}
    tracks = follow(ScriptedDetector(script), 12, detect_every=100)
    assert tracks[0] == [0, 1]
    assert tracks[-3:] == [[0]] * 3


def test_a_small_face_begins_no_track():
    detector = ScriptedDetector({frame: [(10, 10, 30), (60, 60, 50)] for frame in range(3)})
    assert follow(detector, 3, smallest_face_px=31) == [[0]] * 3


def test_a_cut_ends_the_tracks_although_a_face_is_in_the_same_place():
    detector = ScriptedDetector({frame: [(20, 30, 40)] for frame in range(10)})
    tracker = FaceTracker(detector, 100)
    tracks = [tracker.follow(frame_image(number, scene=number // 5))[0].track for number in range(10)]
    assert tracks == [0] * 5 + [1] * 5
    assert tracker.num_cuts == 1


def test_detect_every_must_be_positive():
    with pytest.raises(ValueError, match=r"detect_every \(0 frames\) must be at least 1"):
        FaceTracker(ScriptedDetector({}), 0)


def test_boxes_are_matched_by_the_largest_overlap():
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10]])
    others = np.array([[5.0, 0, 15, 10], [100, 100, 110, 110], [1, 0, 11, 10]])
    assert match_boxes(boxes, others) == {0: 1, 2: 0}
    assert match_boxes(np.empty((0, 4)), others) == {}
    assert match_boxes(boxes, np.empty((0, 4))) == {}


def test_scaled_boxes_keep_their_centre():
    np.testing.assert_allclose(scale_boxes(np.array([[10.0, 0, 30, 40]]), 0.5), [[15, 10, 25, 30]])

"""The recipe's detector: the `mtcnn` package on TensorFlow, in an environment of its own; asked over stdin in JSON.

Imports nothing of this project. A request is a line {"folder": ..., "batch": ..., "smallest_face_px": ...}, batch 0
being one image a call; the answer is a line {"seconds": ..., "faces": [...]}: of each image the largest face as 14
numbers (x, y, width, height, then five landmarks x, y), or null.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
from mtcnn import MTCNN

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def read_image(path: Path) -> Any:
    """Read a file as RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def detect(detector: MTCNN, paths: list[Path], batch: int, smallest_face_px: int) -> list[Any]:
    """Detect in all images, one or several a call."""
    if batch == 0:
        return [detector.detect_faces(read_image(path), min_face_size=smallest_face_px) for path in paths]
    found = []
    for start in range(0, len(paths), batch):
        images = [read_image(path) for path in paths[start : start + batch]]
        found += detector.detect_faces(images, min_face_size=smallest_face_px)
    return found


def flatten_largest(faces: list[Any]) -> list[float] | None:
    """Return the largest face as 14 numbers, None where there is none."""
    if not faces:
        return None
    face = max(faces, key=lambda one: one["box"][2] * one["box"][3])
    points = [float(value) for name in LANDMARKS for value in face["keypoints"][name]]
    return [float(value) for value in face["box"]] + points


def main() -> None:
    """Answer until stdin ends."""
    detector = MTCNN()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    for line in sys.stdin:
        request = json.loads(line)
        paths = sorted(Path(request["folder"]).glob("*.jpg"))
        # TensorFlow prepares itself anew for each size of image; that is not counted.
        detect(detector, paths[: max(1, request["batch"])], request["batch"], request["smallest_face_px"])
        started = time.perf_counter()
        found = detect(detector, paths, request["batch"], request["smallest_face_px"])
        seconds = time.perf_counter() - started
        answers.write(json.dumps({"seconds": seconds, "faces": [flatten_largest(faces) for faces in found]}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

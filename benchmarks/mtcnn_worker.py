"""The recipe's detector: the `mtcnn` package on TensorFlow, in its own environment, with requests in JSON on stdin.

It imports nothing of this project. A request is a line {"folder": ..., "batch": ..., "smallest_face_px": ...}; batch 0
means one image per call. The answer is a line {"seconds": ..., "faces": [...]}, with a list of faces for each image. A
face has 14 numbers: x1, y1, x2, y2, then five landmarks x, y.
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

AS_ARRAYS = {"box_format": "xyxy", "output_type": "numpy"}


def read_image(path: Path) -> Any:
    """Read a file as RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def detect(detector: MTCNN, paths: list[Path], batch: int, smallest_face_px: int) -> list[Any]:
    """Detect faces in all images, with one or several images per call."""
    if batch == 0:
        return [detector.detect_faces(read_image(path), min_face_size=smallest_face_px, **AS_ARRAYS) for path in paths]
    found = []
    for start in range(0, len(paths), batch):
        images = [read_image(path) for path in paths[start : start + batch]]
        rows = detector.detect_faces(images, min_face_size=smallest_face_px, **AS_ARRAYS)
        found += [rows[rows[:, 0] == number] for number in range(len(images))]
    return found


def flatten(faces: Any) -> list[list[float]]:
    """Return each face of an image as 14 numbers; its row holds the image's number, box, score, five x, five y."""
    return [
        [*map(float, row[1:5]), *(float(value) for point in range(5) for value in (row[6 + point], row[11 + point]))]
        for row in faces
    ]


def main() -> None:
    """Answer until stdin ends."""
    detector = MTCNN()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of libraries must not get between the answers
    for line in sys.stdin:
        request = json.loads(line)
        paths = sorted(Path(request["folder"]).iterdir())
        # TensorFlow prepares itself again for each size of image; that time is not counted.
        detect(detector, paths[: max(1, request["batch"])], request["batch"], request["smallest_face_px"])
        started = time.perf_counter()
        found = detect(detector, paths, request["batch"], request["smallest_face_px"])
        seconds = time.perf_counter() - started
        answers.write(json.dumps({"seconds": seconds, "faces": [flatten(faces) for faces in found]}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

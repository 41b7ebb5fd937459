"""Write mtcnn.json: what the `mtcnn` package itself finds in the images of mtcnn_images.py.

The package needs TensorFlow, which the project does not; so this runs in an environment of its own:

    python -m venv goldens-venv
    goldens-venv/bin/pip install mtcnn==1.0.0 tensorflow-cpu==2.21.0 scikit-image==0.26.0
    goldens-venv/bin/python tests/golden/make_mtcnn_goldens.py
"""

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
from mtcnn_images import compute_image_digest, make_images  # noqa: E402

# From about 26 on the package reports no face at all (see models/mtcnn/boxes.py); one such run is kept as evidence.
SMALLEST_FACES_PX = (20, 24, 40)
ONLY_FOR_PHOTOGRAPH_PX = (40,)


def detect(detector: Any, image: np.ndarray, smallest_face_px: int) -> dict[str, Any]:
    """Return one run's boxes (x1, y1, x2, y2), landmarks (5 x 2) and scores."""
    rows = detector.detect_faces(image, box_format="xyxy", output_type="numpy", min_face_size=smallest_face_px)
    landmarks = np.asarray(rows[:, 6:16]).reshape(-1, 2, 5).transpose(0, 2, 1)
    return {
        "smallest_face_px": smallest_face_px,
        "boxes": np.round(rows[:, 1:5].astype(float), 3).tolist(),
        "landmarks": np.round(landmarks.astype(float), 3).tolist(),
        "scores": np.round(rows[:, 5].astype(float), 5).tolist(),
    }


def main() -> None:
    """Run the package on every image and write the file."""
    from mtcnn import MTCNN

    detector = MTCNN()
    images = {}
    for name, image in make_images().items():
        sizes = (
            SMALLEST_FACES_PX if name == "photograph" else tuple(set(SMALLEST_FACES_PX) - set(ONLY_FOR_PHOTOGRAPH_PX))
        )
        runs = [detect(detector, np.ascontiguousarray(image), size) for size in sorted(sizes)]
        images[name] = {"sha256": compute_image_digest(image), "runs": runs}
    versions = {name: importlib.metadata.version(name) for name in ("mtcnn", "tensorflow-cpu", "numpy")}
    text = json.dumps({"versions": versions, "images": images}, indent=1)
    (FOLDER / "mtcnn.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

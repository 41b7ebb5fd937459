"""The features as the paper's README describes them, step by step with the libraries that it names, for comparison.

OpenCV turns a clip into JPEG files, the `mtcnn` package detects faces in each, and the largest face is cut out.
SphereFace embeds one image at a time. ffmpeg makes the WAV file, and SciPy computes its transform, which is stored as
.npy. The time to load libraries and networks, and TensorFlow's preparation for a size of image, are not counted.
"""

import json
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.signal
import soundfile
import torch

from models.sphereface.network import SphereFace20
from pipeline import media
from pipeline.faces.alignment import CROP_HEIGHT, CROP_WIDTH, TEMPLATE

WORKER = Path(__file__).with_name("mtcnn_worker.py")
PACKAGES = ("mtcnn==1.0.0", "tensorflow-cpu==2.21.0", "opencv-python-headless")
ENVIRONMENT = Path.home() / ".cache" / "valar-benchmarks" / "mtcnn"


@dataclass
class RecipeTimes:
    """Times of one clip.

    Attributes:
        seconds: by step.
        num_frames: JPEG files written.
        num_faces: faces embedded.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    num_frames: int = 0
    num_faces: int = 0

    @property
    def total(self) -> float:
        """All steps together, in seconds."""
        return sum(self.seconds.values())


class MtcnnProcess:
    """The package in its own process; a context manager.

    Args:
        python: of an environment with `mtcnn` and TensorFlow; None makes one in ~/.cache at the first use.
    """

    def __init__(self, python: Path | None = None) -> None:
        command = [str(python or make_environment()), str(WORKER)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "MtcnnProcess":
        # Waits until TensorFlow is imported: otherwise the import would slow down what is measured next.
        with tempfile.TemporaryDirectory() as nothing:
            self.detect(Path(nothing), batch=0, smallest_face_px=20)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def detect(self, folder: Path, *, batch: int, smallest_face_px: int) -> tuple[float, list[Any]]:
        """Return the seconds taken and the faces in each image of a folder; `batch` 0 means one image per call.

        A face is 14 numbers: x1, y1, x2, y2, then five landmarks x, y.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"folder": str(folder), "batch": batch, "smallest_face_px": smallest_face_px}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{WORKER.name} ended with code {self._process.wait()}; see its output above")
        answer = json.loads(line)
        return answer["seconds"], answer["faces"]


def make_environment() -> Path:
    """Make the environment with the package and TensorFlow (1.6 GB), once, and return its Python."""
    python = ENVIRONMENT / "bin" / "python"
    ready = ENVIRONMENT / "ready"
    if not ready.exists():
        print(f"installing {', '.join(PACKAGES)} into {ENVIRONMENT}", file=sys.stderr, flush=True)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        ready.touch()
    return python


def run_recipe(
    clip: Path,
    folder: Path,
    detector: MtcnnProcess,
    embedder: SphereFace20,
    *,
    smallest_face_px: int,
    batch: int = 0,
) -> RecipeTimes:
    """Do and time every step for one clip, one after the other.

    Args:
        clip: with picture, with or without sound.
        folder: empty; everything is written there.
        detector: the package.
        embedder: float32, in evaluation mode, as published (not channels last).
        smallest_face_px: of the detector.
        batch: images per call of the detector; 0 for single images, as in the README.
    """
    times = RecipeTimes()
    frames = folder / "frames"
    frames.mkdir()
    started = time.perf_counter()
    times.num_frames = _write_frames(clip, frames)
    times.seconds["frames"] = time.perf_counter() - started
    times.seconds["detect"], faces = detector.detect(frames, batch=batch, smallest_face_px=smallest_face_px)
    started = time.perf_counter()
    crops = _cut_crops(frames, faces, folder)
    times.seconds["crop"] = time.perf_counter() - started
    started = time.perf_counter()
    times.num_faces = _embed_singly(crops, embedder, folder)
    times.seconds["embed"] = time.perf_counter() - started
    started = time.perf_counter()
    _transform_sound(clip, folder)
    times.seconds["sound"] = time.perf_counter() - started
    return times


def _write_frames(clip: Path, folder: Path) -> int:
    video, number = cv2.VideoCapture(str(clip)), 0
    while True:
        there, image = video.read()
        if not there:
            video.release()
            return number
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), image)
        number += 1


def _cut_crops(frames: Path, faces: list[Any], folder: Path) -> list[Path]:
    crops = []
    for path, found in zip(sorted(frames.glob("*.jpg")), faces, strict=True):
        if not found:
            continue
        largest = max(found, key=lambda face: (face[2] - face[0]) * (face[3] - face[1]))
        landmarks = np.array(largest[4:], dtype=np.float32).reshape(5, 2)
        transform, _ = cv2.estimateAffinePartial2D(landmarks, TEMPLATE.astype(np.float32), method=cv2.LMEDS)
        crop = cv2.warpAffine(cv2.imread(str(path)), transform, (CROP_WIDTH, CROP_HEIGHT))
        crops.append(folder / f"crop_{path.name}")
        cv2.imwrite(str(crops[-1]), crop)
    return crops


@torch.inference_mode()
def _embed_singly(crops: list[Path], embedder: SphereFace20, folder: Path) -> int:
    embeddings = []
    for path in crops:
        pixels = torch.from_numpy((cv2.imread(str(path)).astype(np.float32) - 127.5) / 128.0)
        embeddings.append(embedder(pixels.permute(2, 0, 1)[None].contiguous())[0].numpy())
    np.save(folder / "embeddings.npy", np.array(embeddings))
    return len(embeddings)


def _transform_sound(clip: Path, folder: Path) -> None:
    target = folder / "sound.wav"
    command = [media.ffmpeg_binary(), "-v", "error", "-y", "-i", str(clip), "-vn", "-ac", "1", "-ar", "16000"]
    done = subprocess.run([*command, str(target)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode or not target.exists():
        return  # no sound: the recipe would stop here
    samples, rate = soundfile.read(target)
    _, _, spectrum = scipy.signal.stft(
        samples, fs=rate, window="hamming", nperseg=400, noverlap=240, nfft=512, boundary="zeros"
    )
    np.save(folder / "stft.npy", np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32))

"""Tracked faces compared with faces detected in every frame; with --package, detection compared with `mtcnn`'s.

Tracking: share of the frames with the speaker in which tracking finds the speaker too; distance of landmarks, in units
of the distance between the eyes; distance of the crops in crop pixels (median, 95th percentile); and jitter of the
landmarks (mean second difference, in units of the eye distance) with and without tracking. Detection: share of the
package's faces that are found, at an overlap of 0.7; additional faces; and distance of the landmarks.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.clips import choose_clips
from benchmarks.recipe import MtcnnProcess
from models.mtcnn.boxes import compute_overlaps
from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from pipeline import media
from pipeline.faces.alignment import TEMPLATE, estimate_similarity
from pipeline.faces.speaker_faces import SpeakerFaces, find_speaker

SHORT = ("GRID_bbaf2n", "CREMAD_1001_DFA_ANG", "CREMADedit_1015", "GRID_sbia1a", "CREMADedit_1089", "hamilton")
LEAST_OVERLAP = 0.7


def find_faces(clip: Path, detector: Mtcnn, *, detect_every: int) -> SpeakerFaces:
    """Find a clip's speaker; the crops are not kept."""
    table = media.scan_frames(clip)
    with tempfile.TemporaryDirectory() as folder:
        frames = media.prefetch(media.read_frames(clip, table, threads=1), 8)
        return find_speaker(frames, detector, detect_every=detect_every, scratch=Path(folder))


def compare(tracked: SpeakerFaces, detected: SpeakerFaces) -> dict[str, Any]:
    """Compare the landmarks of two runs on one clip, frame by frame."""
    _, ours, theirs = np.intersect1d(tracked.frame_indices, detected.frame_indices, return_indices=True)
    points, truth = tracked.landmarks[ours].astype(float), detected.landmarks[theirs].astype(float)
    eyes = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1)
    return {
        "coverage": len(ours) / max(1, len(detected.frame_indices)),
        "landmarks": float((np.linalg.norm(points - truth, axis=2).mean(axis=1) / eyes).mean()) if len(ours) else 0.0,
        "crop_distances": [_crop_distance(one, other) for one, other in zip(points, truth, strict=True)],
        "jitter": _measure_jitter(points),
        "jitter_detected": _measure_jitter(truth),
    }


def _crop_distance(points: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean distance of the same five image points between the two crops, in crop pixels."""
    both = [estimate_similarity(one, TEMPLATE) for one in (points, truth)]
    homogeneous = np.concatenate([truth, np.ones((5, 1))], axis=1)
    return float(np.linalg.norm(homogeneous @ both[0].T - homogeneous @ both[1].T, axis=1).mean())


def _measure_jitter(points: np.ndarray) -> float:
    """Return the mean second difference of landmarks over time in units of the eye distance."""
    if len(points) < 3:
        return 0.0
    eyes = np.linalg.norm(points[:, 1] - points[:, 0], axis=1).mean()
    return float(np.linalg.norm(np.diff(points, n=2, axis=0), axis=2).mean() / eyes)


def report_tracking(clips: Sequence[Path], detector: Mtcnn, detect_every: int) -> bool:
    """Print how tracking compares with detection in every frame; tell whether it stays within the limits below."""
    print(
        f"{'clip':34} {'frames':>6} {'have':>6} {'landmarks':>9} {'crop 50 %':>9} {'95 %':>6} "
        f"{'jitter':>7} {'detected':>8}"
    )
    rows, weights, distances = [], [], []
    for clip in clips:
        detected = find_faces(clip, detector, detect_every=1)
        row = compare(find_faces(clip, detector, detect_every=detect_every), detected)
        rows.append([row[name] for name in ("coverage", "landmarks", "jitter", "jitter_detected")])
        weights.append(len(detected.frame_indices))
        distances.append(np.array(row["crop_distances"]))
        _print_row(clip.stem, weights[-1], rows[-1], distances[-1])
    mean = np.average(rows, axis=0, weights=np.maximum(weights, 1e-9)).tolist()
    every = np.concatenate(distances)
    _print_row("all", sum(weights), mean, every)
    return mean[0] >= 0.99 and mean[1] <= 0.03 and np.median(every) <= 1.0 and np.percentile(every, 95) <= 2.5


def _print_row(name: str, num_frames: int, row: Sequence[float], distances: np.ndarray) -> None:
    median, high = np.percentile(distances, [50, 95]) if len(distances) else (0.0, 0.0)
    coverage, landmarks, jitter, jitter_detected = row
    print(
        f"{name[:34]:34} {num_frames:6} {coverage:6.1%} {landmarks:9.2%} {median:9.2f} {high:6.2f} {jitter:7.2%}"
        f" {jitter_detected:8.2%}",
        flush=True,
    )


def report_detection(clips: Sequence[Path], detector: Mtcnn, python: Path | None, step: int) -> bool:
    """Print how our detections compare with the package's; tell whether at most one in 100 differs."""
    print(f"{'clip':34} {'images':>6} {'package':>7} {'found':>6} {'extra':>6} {'landmarks':>9}")
    totals, errors = np.zeros(4, dtype=int), []
    with MtcnnProcess(python) as package:
        for clip in clips:
            frames = media.read_frames(clip, media.scan_frames(clip), threads=1)
            images = [frame.image for frame in frames if frame.index % step == 0]
            with tempfile.TemporaryDirectory() as folder:
                for number, image in enumerate(images):
                    cv2.imwrite(f"{folder}/{number:06d}.png", image)
                _, answers = package.detect(Path(folder), batch=0, smallest_face_px=detector.smallest_face_px)
            counts = np.zeros(4, dtype=int)
            for image, answer in zip(images, answers, strict=True):
                reference = np.array(answer, dtype=float).reshape(-1, 14)
                num_found, num_extra, distances = _match(reference, detector, image)
                counts += [1, len(reference), num_found, num_extra]
                errors += distances
            totals += counts
            print(f"{clip.stem[:34]:34} {counts[0]:6} {counts[1]:7} {counts[2]:6} {counts[3]:6}", flush=True)
    distance = float(np.mean(errors)) if errors else 0.0
    print(f"{'all':34} {totals[0]:6} {totals[1]:7} {totals[2]:6} {totals[3]:6} {distance:9.3%}")
    return bool(totals[2] >= 0.99 * totals[1] and totals[3] <= 0.01 * totals[1] and distance <= 0.01)


def _match(reference: np.ndarray, detector: Mtcnn, image: np.ndarray) -> tuple[int, int, list[float]]:
    """Return how many faces of the package were found, how many are extra, and the landmarks' distances."""
    found = detector.detect(image)
    overlaps = compute_overlaps(reference[:, :4], found.boxes.astype(float))
    used, distances = set(), []
    for row, face in enumerate(reference):
        best = int(overlaps[row].argmax()) if len(found) else -1
        if best >= 0 and overlaps[row, best] >= LEAST_OVERLAP and best not in used:
            used.add(best)
            points = face[4:].reshape(5, 2)
            eyes = np.linalg.norm(points[1] - points[0])
            distances.append(float(np.linalg.norm(points - found.landmarks[best], axis=1).mean() / eyes))
    return len(used), len(found) - len(used), distances


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faces_accuracy", description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, help="clips or folders; by default the real speech clips")
    parser.add_argument("--short", action="store_true", help="a few small clips")
    parser.add_argument("--package", action="store_true", help="compare detection with the mtcnn package instead")
    parser.add_argument("--python", type=Path, help="a Python that has mtcnn and TensorFlow")
    parser.add_argument("--step", type=int, default=12, help="with --package: frames from one image to the next")
    parser.add_argument("--smallest-face", type=int, default=20, help="pixels; the package finds nothing above 24")
    parser.add_argument("--detect-every", type=int, default=25, help="frames")
    arguments = parser.parse_args(argv)
    clips = choose_clips(arguments.clips, SHORT if arguments.short else ())
    torch.set_num_threads(1)
    detector = Mtcnn(load_networks(), smallest_face_px=arguments.smallest_face)
    if arguments.package:
        kept = report_detection(clips, detector, arguments.python, arguments.step)
    else:
        kept = report_tracking(clips, detector, arguments.detect_every)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

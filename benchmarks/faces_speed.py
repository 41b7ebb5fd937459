"""Milliseconds of one core for a frame's faces and for a full detection, by the kernel and by PyTorch.

A frame: tracking of all faces and cutting out the crops, without decoding. A detection: the mean over five images of
the clip. The times are processor time of one thread, the smallest of some repetitions, which a busy machine changes
least.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import torch

from benchmarks.clips import choose_clips
from models.mtcnn import native_engine as native_mtcnn
from models.mtcnn.detector import Engine, Mtcnn
from models.mtcnn.networks import load_networks
from pipeline import media
from pipeline.faces.speaker_faces import find_speaker

SHORT = ("CREMADedit_1015", "GRID_bbaf2n", "CREMAD_1001_DFA_ANG", "RAVDESS_01-01-01", "hamilton", "LatentSync_demo1")
DETECTED_IMAGES = 5


def measure_best(work: Callable[[], object], repetitions: int) -> float:
    """Return the smallest processor time of some repetitions, in milliseconds."""
    times = []
    for _ in range(repetitions):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times) * 1e3


def measure_clip(
    frames: list[media.Frame], engine: Engine, *, smallest_face_px: int, detect_every: int, repetitions: int
) -> tuple[float, float]:
    """Return the milliseconds for a frame and for a detection."""
    detector = Mtcnn(load_networks(), smallest_face_px=smallest_face_px, engine=engine)

    def follow() -> None:
        with tempfile.TemporaryDirectory() as folder:
            find_speaker(frames, detector, detect_every=detect_every, scratch=Path(folder))

    images = [frame.image for frame in frames[:: -(-len(frames) // DETECTED_IMAGES)]]
    detection = sum(measure_best(partial(detector.detect, image), repetitions) for image in images)
    return measure_best(follow, repetitions) / len(frames), detection / len(images)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faces_speed", description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, help="clips or folders; by default one real clip of each size")
    parser.add_argument("--smallest-face", type=int, default=20, help="pixels")
    parser.add_argument("--detect-every", type=int, default=25, help="frames")
    parser.add_argument("--frames", type=int, default=300, help="of each clip, at most: they are held in memory")
    parser.add_argument("--repetitions", type=int, default=5, help="of which the fastest counts")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    engines: tuple[Engine, ...] = ("kernel", "pytorch") if native_mtcnn.is_available() else ("pytorch",)
    columns = " | ".join(f"{engine:>8} ms/frame {'detection':>9}" for engine in engines)
    print(f"{'clip':34} {'size':>11} {'frames':>6} | {columns}")
    for clip in choose_clips(arguments.clips, () if arguments.clips else SHORT):
        table = media.scan_frames(clip)
        frames = [
            frame for frame, _ in zip(media.read_frames(clip, table, threads=1), range(arguments.frames), strict=False)
        ]
        height, width = frames[0].image.shape[:2]
        print(f"{clip.stem[:34]:34} {width:5} x{height:5} {len(frames):6}", end="", flush=True)
        for engine in engines:
            frame, detection = measure_clip(
                frames,
                engine,
                smallest_face_px=arguments.smallest_face,
                detect_every=arguments.detect_every,
                repetitions=arguments.repetitions,
            )
            print(f" | {frame:17.2f} {detection:9.1f}", end="", flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

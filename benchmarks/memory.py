"""Peak memory of the feature stages on one clip, once and repeated: it must not grow with the length.

Each length runs in its own process. The peak is the process's largest resident size, with mapped files.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clips import choose_clips
from benchmarks.features import run_stages
from pipeline import media
from pipeline.settings import config

DEFAULT_CLIP = "LatentSync_demo1"  # 10 s of 1080 x 1920


def repeat_clip(clip: Path, times: int, target: Path) -> None:
    """Write a clip several times in a row, without encoding it again."""
    command = [media.ffmpeg_binary(), "-v", "error", "-y", "-stream_loop", str(times - 1), "-i", str(clip)]
    subprocess.run([*command, "-c", "copy", str(target)], check=True, stdin=subprocess.DEVNULL)


def measure(clip: Path, threads: int) -> None:
    """Run the stages on a clip and print frames, faces and the peak in MiB."""
    settings = {
        "embeddings": {"weights": "random"},
        "anet": {"vgg_weights": "random"},
        "run": {"device": "cpu", "threads": threads},
    }
    with tempfile.TemporaryDirectory() as folder:
        times = run_stages([clip], Path(folder) / "stages", settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{clip.name[:40]:40} {times.num_frames:7} {times.num_faces:7} {times.total:9.1f} {peak:10.0f}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("clip", nargs="?", type=Path, help="by default a real 1080p clip of 10 s")
    parser.add_argument("--repeat", type=int, nargs="+", default=[1, 6], help="how often in a row")
    parser.add_argument("--threads", type=int, default=config.Settings.read().num_threads)
    parser.add_argument("--alone", action="store_true", help="this clip, in this process")
    arguments = parser.parse_args(argv)
    if arguments.alone:
        measure(arguments.clip, arguments.threads)
        return 0
    clip = arguments.clip or choose_clips([], [DEFAULT_CLIP])[0]
    print(f"{'clip':40} {'frames':>7} {'faces':>7} {'seconds':>9} {'peak MiB':>10}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for times in arguments.repeat:
            target = Path(folder) / f"{times}x_{clip.name}"
            repeat_clip(clip, times, target)
            command = [sys.executable, "-m", "benchmarks", "memory", str(target), "--alone"]
            subprocess.run([*command, "--threads", str(arguments.threads)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""CPU seconds and memory by the number of clips: of runs with nothing to do, status, ls, verify, pages.

Stub clips with their rows are made first; nothing is decoded. The first rows are the cost that cannot be avoided: a
scan of the folder of videos with the size and time of each file, and reading the plan once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stub_store import CLIPS_A_VIDEO, write_stub_data

_SCAN = """
import json, os
for folder in os.scandir("videos"):
    for entry in os.scandir(folder.path):
        entry.stat()
for entry in os.scandir("store/shards"):
    with open(entry.path, "rb") as file:
        json.loads(file.read())
"""
_FIND = "from store import FeatureStore; store = FeatureStore('store'); store[next(iter(store))].stft[:]"
_LUIGI = "import sys, luigi.cmdline; luigi.cmdline.luigi_run(sys.argv[1:])"
_RUN = ["-c", _LUIGI, "--module", "pipeline.tasks", "FullRun"]

#: Title to the arguments of a Python process.
_MEASURED = {
    "start Python": ["-c", ""],
    "scan videos, read plan": ["-c", _SCAN],
    "run, nothing remembered": _RUN,
    "run, each clip seen": _RUN,
    "run, nothing new": _RUN,
    "status": ["-m", "pipeline", "status"],
    "store ls": ["-m", "store", "ls", "store"],
    "store ls, again": ["-m", "store", "ls", "store"],
    "store verify": ["-m", "store", "verify", "store"],
    "browse, first time": ["-m", "store", "browse", "store", "-o", "pages"],
    "browse, again": ["-m", "store", "browse", "store", "-o", "pages"],
    "open, find one": ["-c", _FIND],
    "features, one new clip": ["-c", _LUIGI, "--module", "pipeline.tasks", "Features"],
}


@dataclass(frozen=True)
class Cost:
    """The cost of a process: CPU seconds, peak memory in MiB."""

    seconds: float
    mebibytes: float

    def __str__(self) -> str:
        return f"{self.seconds:8.2f} s {self.mebibytes:6.0f} MiB"


def measure(arguments: Sequence[str], folder: Path) -> Cost:
    """Run Python in a folder and measure the user and system CPU time of it and its children."""
    environment = {
        **os.environ,
        "LUIGI_CONFIG_PATH": "mine.cfg",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    with (folder / "out.txt").open("w") as out:
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(
            f"{' '.join(arguments[:4])} ended with {process.returncode}: {(folder / 'out.txt').read_text()}"
        )
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def add_clip(folder: Path, num_clips: int) -> None:
    """Add a clip to the training split. It cannot be decoded, but the run has to find that out."""
    video = f"{num_clips // CLIPS_A_VIDEO:08x}d"
    path = folder / "videos" / video / f"utterance_{num_clips % CLIPS_A_VIDEO}.mp4"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"one more")
    with (folder / "train.csv").open("a", encoding="utf-8") as file:
        file.write(f",,,{video},{path.name},0,0,0\n")


def measure_size(folder: Path, num_clips: int, shard_size: int, only: Sequence[str]) -> dict[str, Cost]:
    """Make a store of `num_clips` clips and measure every row of the table on it."""
    begun = time.perf_counter()
    write_stub_data(folder, num_clips, shard_size)
    making = f"from benchmarks.stub_store import finish_stub_run; finish_stub_run({str(folder)!r})"
    measure(["-c", f"from pathlib import Path\n{making.replace('(', '(Path(', 1)[:-1]}))"], folder)
    print(f"{num_clips} clips made in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    found = {}
    for title, arguments in _MEASURED.items():
        if only and not any(part in title for part in only):
            continue
        if title == "features, one new clip":
            add_clip(folder, num_clips)
        if title == "run, each clip seen":
            (folder / "runs" / "settled.json").unlink()
        found[title] = measure(arguments, folder)
        print(f"{num_clips:7} {title:24} {found[title]}", file=sys.stderr, flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, one column per size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks curve", description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[1000, 10000], help="sizes; 100000 takes 10 minutes")
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help="rows with this in their title")
    parser.add_argument("--folder", type=Path, help="where the stores are made, and kept (default: a temporary one)")
    arguments = parser.parse_args(argv)
    columns = {}
    for num_clips in arguments.clips:
        root = arguments.folder or Path(tempfile.mkdtemp())
        folder = root / f"{num_clips}-clips"
        folder.mkdir(parents=True)
        try:
            columns[num_clips] = measure_size(folder.resolve(), num_clips, arguments.shard_size, arguments.only)
        finally:
            if arguments.folder is None:
                shutil.rmtree(root)
    print(f"{'CPU time, peak memory':24} " + " ".join(f"{num_clips:>15} clips" for num_clips in columns))
    for title in next(iter(columns.values())):
        print(f"{title:24} " + " ".join(f"{column[title]!s:>21}" for column in columns.values()))
    return 0

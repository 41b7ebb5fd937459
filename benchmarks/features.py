"""FullRun's feature stages compared with the paper's recipe, and with decoding and embedding alone.

For each clip, and for all clips as one shard, the table has the seconds of the stages as FullRun calls them, and the
factor by which the recipe takes longer (with one image per call of the detector, or several). It also has the share of
the bound that is reached. The bound is decoding alone plus embedding alone on all cores: in seconds ("bound"), in core
seconds ("cores"), and in seconds with PyTorch's embedding ("torch", the same bound where our kernel does not run).
Random weights of SphereFace are read from a file too, because tracks are then joined by their embeddings, as with the
published weights. The first clip is processed once before anything is measured, so that the one-time work of a process
does not count; TensorFlow's preparation for the recipe does not count either.
"""

import argparse
import configparser
import contextlib
import csv
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.clips import choose_clips
from benchmarks.recipe import MtcnnProcess, run_recipe
from models.paper import CROP_HEIGHT, CROP_WIDTH
from models.sphereface.embedder import Engine
from models.sphereface.network import build_sphereface
from models.weights.table import RANDOM
from pipeline import media, stages
from pipeline.runs.opening import open_run
from pipeline.runs.run import Run
from pipeline.settings import config
from pipeline.settings.files import OVERLAY_VARIABLE
from pipeline.stages.align_faces import open_processes
from pipeline.stages.clip_faces import load_likeness
from pipeline.stages.embedding import embed_all

SHORT = ("GRID_bbaf2n", "CREMAD_1001_DFA_ANG", "CREMADedit_1015", "RAVDESS_01-01-01")
STAGES = ("extract_wav", "compute_stft", "extract_frames", "align_faces", "cache_face_features")
EMBEDDED = 512  # crops with which the best rate of embedding is measured
COLUMNS = ("link", "start", "end", "video", "utterance", "arousal", "valence", "EmotionMaxVote")


@dataclass(frozen=True)
class StageTimes:
    """Times of the stages for a set of clips: seconds by stage, frames in the clips, faces of the speakers."""

    seconds: dict[str, float]
    core_seconds: float
    num_frames: int
    num_faces: int

    @property
    def total(self) -> float:
        """All stages together, in seconds."""
        return sum(self.seconds.values())


def core_seconds() -> float:
    """Return the processor time spent so far, in seconds, with ffmpeg's: the fairer measure on a busy machine."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run_stages(clips: Sequence[Path], folder: Path, settings: dict[str, dict[str, Any]]) -> StageTimes:
    """Run the five feature stages on clips as one shard in a new store below `folder`, as FullRun does."""
    videos = folder / "videos" / "clips"
    videos.mkdir(parents=True)
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for clip in clips:
            (videos / clip.name).symlink_to(clip.resolve())
            writer.writerow(["", 0, 1, "clips", clip.name, 0.1, 0.2, 1])
    run = _open_run(folder, len(clips), settings)
    (shard,) = run.plan.shards
    seconds, core_seconds_before = {}, core_seconds()
    for stage in STAGES:
        started = time.perf_counter()
        getattr(stages, stage)(stages.ShardJob(run, shard))
        seconds[stage] = time.perf_counter() - started
    # The processor time of child processes is known only after they have ended.
    open_processes(config.Settings.read().num_threads).close()
    core_seconds_spent = core_seconds() - core_seconds_before
    frames, embeddings = run.shard("frames", shard), run.shard("embeddings", shard)
    assert frames is not None
    assert embeddings is not None
    return StageTimes(
        seconds,
        core_seconds=core_seconds_spent,
        num_frames=sum(frames.fact(name, "length") for name in frames.names),
        num_faces=sum(embeddings.fact(name, "length") for name in embeddings.names),
    )


def _open_run(folder: Path, shard_size: int, settings: dict[str, dict[str, Any]]) -> Run:
    values = {
        "dataset": {"videos": folder / "videos", "train": folder / "clips.csv", "validation": "", "test": ""},
        "store": {"root": folder / "store", "shard_size": shard_size},
        **settings,
    }
    values["run"] = {**values["run"], "root": folder / "runs"}
    _load_settings(values, folder / "benchmark.cfg")
    return open_run()


def _load_settings(values: dict[str, dict[str, Any]], path: Path) -> None:
    """Write an overlay over tasks.cfg, as a user does, and load the settings."""
    overlay = configparser.ConfigParser()
    overlay.read_dict(
        {section: {key: str(value) for key, value in options.items()} for section, options in values.items()}
    )
    with path.open("w", encoding="utf-8") as file:
        overlay.write(file)
    os.environ[OVERLAY_VARIABLE] = str(path)
    config.load()


def measure_decoding(clips: Sequence[Path]) -> tuple[float, float]:
    """Return the seconds, and core seconds, in which the clips decode to BGR images on all cores.

    For several clips, the better of two ways: all cores decode one clip at a time, or each core its own clip.
    """
    cores = config.Settings.read().num_threads
    tables = [media.scan_frames(clip) for clip in clips]

    def decode(workers: int) -> tuple[float, float]:
        started, spent = time.perf_counter(), core_seconds()
        with ThreadPoolExecutor(workers) as pool:
            threads = cores // workers
            readers = [
                media.read_frames(clip, table, threads=threads) for clip, table in zip(clips, tables, strict=True)
            ]
            list(pool.map(lambda reader: sum(1 for _ in reader), readers))
        return time.perf_counter() - started, core_seconds() - spent

    return min(decode(workers) for workers in sorted({1, min(cores, len(clips))}))


def save_random_weights(folder: Path) -> Path:
    """Save a random SphereFace as a file of weights: it takes as long as the published one, but knows no persons."""
    path = folder / "sphereface.pth"
    torch.save(build_sphereface(None, seed=0).state_dict(), path)
    return path


@dataclass(frozen=True)
class EmbeddingRates:
    """Faces per second on all cores, faces per core second, and faces per second with PyTorch."""

    per_second: float
    per_core_second: float
    pytorch_per_second: float


def measure_embedding(weights: Path | None) -> EmbeddingRates:
    """Measure how fast the stage's engine and PyTorch embed on all cores, each the best of three times."""
    noise = np.random.default_rng(0).integers(0, 256, (EMBEDDED, CROP_HEIGHT // 8, CROP_WIDTH // 8, 3), dtype=np.uint8)
    crops = np.stack([cv2.resize(one, (CROP_WIDTH, CROP_HEIGHT), interpolation=cv2.INTER_CUBIC) for one in noise])

    def measure_rates(engine: Engine | None) -> tuple[float, float]:
        rates = []
        for _ in range(3):
            started, spent = time.perf_counter(), core_seconds()
            num_faces = sum(len(block) for block in embed_all(crops, weights, config.Settings.read(), engine))
            rates.append((num_faces / (time.perf_counter() - started), num_faces / (core_seconds() - spent)))
        return max(rates)

    return EmbeddingRates(*measure_rates(None), measure_rates("pytorch")[0])


def measure(
    name: str,
    clips: Sequence[Path],
    rates: EmbeddingRates,
    recipe: MtcnnProcess | None,
    settings: dict[str, dict[str, Any]],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Measure the stages, the bound and, for a single clip, the recipe if it is given; return seconds by name."""
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name_of_folder:
        folder = Path(name_of_folder)
        ours = run_stages(clips, folder / "stages", settings)
        row: dict[str, Any] = {"name": name, "frames": ours.num_frames, "faces": ours.num_faces, "ours": ours.total}
        row["stages"] = ours.seconds
        row["core_seconds"] = ours.core_seconds
        row["decoding"], row["decoding_core_seconds"] = measure_decoding(clips)
        row["embedding"] = ours.num_faces / rates.per_second
        row["embedding_core_seconds"] = ours.num_faces / rates.per_core_second
        row["embedding_pytorch"] = ours.num_faces / rates.pytorch_per_second
        if recipe is not None:
            embedder = build_sphereface(None, seed=0).eval()
            for column, batch in {"recipe": 0, "batched": arguments.batch}.items():
                (folder / column).mkdir()
                times = run_recipe(
                    clips[0],
                    folder / column,
                    recipe,
                    embedder,
                    smallest_face_px=arguments.smallest_face,
                    batch=batch,
                )
                row[column] = times.total
                row[f"{column}_steps"] = times.seconds
        return row


def format_row(row: dict[str, Any]) -> str:
    """Format a row of the table."""
    bound = (row["decoding"] + row["embedding"]) / row["ours"]
    torch_bound = (row["decoding"] + row["embedding_pytorch"]) / row["ours"]
    core_bound = (row["decoding_core_seconds"] + row["embedding_core_seconds"]) / row["core_seconds"]
    ratios = [f"{row[name] / row['ours']:8.1f}x" if name in row else " " * 9 for name in ("recipe", "batched")]
    stage_seconds = " ".join(f"{seconds:7.2f}" for seconds in row["stages"].values())
    return (
        f"{row['name'][:34]:34} {row['frames']:6} {row['faces']:6} {row['ours']:8.2f}"
        f" {row['frames'] / row['ours']:8.1f} {' '.join(ratios)} {bound:6.0%} {core_bound:6.0%} {torch_bound:6.0%}"
        f" | {row['decoding']:7.2f} {row['embedding']:7.2f} | {stage_seconds}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; with --json keep the raw seconds too."""
    arguments = _parse(argv)
    clips = choose_clips(arguments.clips, SHORT if arguments.short else ())
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        weights = arguments.weights or str(save_random_weights(Path(folder)))
        settings = _settings(arguments, weights)
        _load_settings(settings, Path(folder) / "benchmark.cfg")
        rows = _measure_all(clips, None if weights == RANDOM else Path(weights), settings, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def _measure_all(
    clips: Sequence[Path],
    weights: Path | None,
    settings: dict[str, dict[str, Any]],
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    rates = measure_embedding(weights)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        run_stages(clips[:1], Path(folder), settings)
    # Load it now: a clip needs it only to decide who the speaker is, so the first clip may not have loaded it.
    load_likeness(weights, arguments.device).describe(
        np.zeros((1, CROP_HEIGHT, CROP_WIDTH, 3), np.uint8), [np.arange(1)]
    )
    print(
        f"{len(clips)} clips, smallest face {arguments.smallest_face} px, {arguments.precision}, "
        f"{config.Settings.read().num_threads} threads; embedding alone {rates.per_second:.0f} faces/s "
        f"(PyTorch: {rates.pytorch_per_second:.0f})\n"
        f"{'clip':34} {'frames':>6} {'faces':>6} {'seconds':>8} {'frames/s':>8} {'recipe':>9} {'batched':>9} "
        f"{'bound':>6} {'cores':>6} {'torch':>6} | {'decode':>7} {'embed':>7} | "
        + " ".join(f"{name:>7}" for name in ("wav", "stft", "frames", "faces", "embed")),
        flush=True,
    )
    rows = []
    with contextlib.ExitStack() as stack:
        recipe = None if arguments.no_recipe else stack.enter_context(MtcnnProcess(arguments.python))
        for clip in clips:
            rows.append(measure(clip.stem, [clip], rates, recipe, settings, arguments))
            print(format_row(rows[-1]), flush=True)
    every = measure("all, as one shard", clips, rates, None, settings, arguments)
    for name in () if arguments.no_recipe else ("recipe", "batched"):
        every[name] = sum(row[name] for row in rows)
    print(format_row(every), flush=True)
    return [*rows, every]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks features", description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, help="clips or folders; by default the real speech clips")
    parser.add_argument("--short", action="store_true", help="one clip of each size")
    parser.add_argument("--no-recipe", action="store_true", help="only the stages and their bound")
    parser.add_argument("--python", type=Path, help="a Python that has mtcnn and TensorFlow")
    parser.add_argument("--smallest-face", type=int, default=20, help="pixels; the package finds nothing above 24")
    parser.add_argument("--batch", type=int, default=8, help="images a call of the package in the batched recipe")
    parser.add_argument(
        "--weights",
        help="SphereFace's file; by default a random network saved to one; random: none, tracks are joined by looks",
    )
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--faces-device", choices=["auto", "cpu", "cuda"], default="auto", help="of the detector")
    parser.add_argument("--threads", type=int, default=0, help="0 for one per core")
    parser.add_argument("--scratch", type=Path, help="folder for everything that is written")
    parser.add_argument("--json", type=Path, help="file for the raw seconds")
    return parser.parse_args(argv)


def _settings(arguments: argparse.Namespace, weights: str) -> dict[str, dict[str, Any]]:
    return {
        "faces": {"smallest_face_px": arguments.smallest_face, "device": arguments.faces_device},
        "embeddings": {"weights": weights, "precision": arguments.precision},
        "anet": {"vgg_weights": "random"},
        "run": {"device": arguments.device, "threads": arguments.threads},
    }


if __name__ == "__main__":
    sys.exit(main())

"""Training at OMG-Emotion's size: seconds per epoch, speed relative to the best matrix product, waiting for data.

The store is synthetic and on the disk: 2442 training and 617 validation utterances of 0.6 to 31 s. Every training is
the product's own (`train_anet` and so on), with checkpoints and validation. The first epoch is a warm-up and is not
counted. --small takes a few utterances and narrower networks. On a CPU, a second table shows the speed relative to bare
forward and backward passes on data in memory.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from models.inputs import feeding
from models.inputs.batches import draw_rows, merge_maps, prepare_inputs
from models.inputs.clips import Clips
from models.loading import place_network
from models.networks.precision import computing_in
from models.networks.summary import summarise
from models.training.epoch import Setup, plan_epoch, train_epoch
from models.training.job import Job
from models.training.losses import LOSSES
from models.training.metrics import EpochMetrics
from models.training.parallel import Group
from models.training.settings import ANetSettings, JointSettings, VNetSettings
from models.training.start import RunOptions, train_anet, train_joint, train_vnet
from store.shard.reader import Shard
from store.shard.writer import ShardWriter

#: Largest time of an epoch's steps on one H200, in seconds.
TARGETS = {"anet": 2.0, "vnet": 0.3, "joint": 5.0, "joint finetune": 8.0}
SIZES = {"train": 2442, "validation": 617}
#: In the same proportion, because validation's share of the time depends on it.
SMALL_SIZES = {"train": 24, "validation": 6}
#: Quantiles of OMG-Emotion's durations, in seconds: 25 of 2442 under 1 s, 518 under 3 s, median 7.6 s, 4.72 h in all.
QUANTILES = ((0, 0.0102, 0.212, 0.5, 0.97, 1), (0.57, 1.0, 3.0, 7.6, 11.0, 30.7))
FRAMES_PER_SECOND = 25
SHARD_SIZE = 64


@dataclass(frozen=True)
class Case:
    """One training to measure: its name in the table, the network, where its rows are, and the function that trains."""

    name: str
    network: str
    rows: str
    run: Callable[..., None]
    settings: Any


def write_split(folder: Path, split: str, count: int, *, crops: bool) -> Clips:
    """Write a split's shards with random rows, and open them as the pipeline does."""
    rng = np.random.default_rng(len(split))
    seconds = np.interp(rng.permutation((np.arange(count) + 0.5) / count), *QUANTILES)
    names = [f"{split}/utterance_{number}" for number in range(count)]
    noise = rng.normal(size=(4000, 257, 2)).astype(np.float32)
    stages = {
        "stft": ("stft", 100, noise),
        "embeddings": ("embedding", FRAMES_PER_SECOND, noise[:1000, :256].reshape(-1, 512)),
    }
    if crops:
        pixels = rng.integers(0, 256, (800, 112, 96, 3), dtype=np.uint8)
        stages["crops"] = ("crop", FRAMES_PER_SECOND, pixels)
    columns: dict[str, list[Any]] = {"stft": [], "embeddings": [], "crops": [None] * count}
    for stage, (dataset, rate, rows) in stages.items():
        columns[stage] = []
        for first in range(0, count, SHARD_SIZE):
            path = folder / stage / f"{split}-{first}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = range(first, min(first + SHARD_SIZE, count))
            with ShardWriter(
                path, stage=stage, shard=f"{split}-{first}", fingerprint="benchmark", provenance={}
            ) as writer:
                for number in part:
                    with writer.utterance(names[number]) as utterance:
                        utterance.append(**{dataset: rows[: max(1, int(seconds[number] * rate))]})
            shard = Shard(path)
            columns[stage] += [shard.rows(names[number], dataset) for number in part]
    labels = np.stack([rng.uniform(0, 1, count), rng.uniform(-1, 1, count)], axis=1).astype(np.float32)
    return Clips(names=names, labels=labels, **columns)


def measure_matmul(device: str, precision: str) -> float:
    """Return the best rate of several large matrix products, in FLOP/s."""
    size = 8192 if device == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    with computing_in(precision, device):  # type: ignore[arg-type]
        for _ in range(10):
            start = time.perf_counter()
            left @ right
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def count_epoch_flops(case: Case, train: Clips, architecture: dict[str, Any]) -> float:
    """Count the FLOP of an epoch: backward counts as two forward passes; equal maps are computed once."""
    settings = case.settings
    num_maps, num_frames = getattr(settings, "num_maps", 0), getattr(settings, "num_frames", 0)
    plan = ANetSettings(num_maps=num_maps).plan_inputs(evaluation=False) if num_maps else None
    members = np.arange(len(train))
    different = 0
    if plan is not None:
        different = len(merge_maps(draw_rows(train, members, plan, np.random.default_rng(0)), plan).owners)
    options = {"num_maps": max(num_maps, 1), "num_frames": max(num_frames, 1), **architecture}
    layers = summarise(case.network, **options)
    total = 0.0
    for layer in layers:
        is_map = layer.kind == "Conv2d" and "sphereface" not in layer.name
        total += layer.flops * (different / options["num_maps"] if is_map else len(train))
    return 3 * total


def run_case(
    case: Case, train: Clips, validation: Clips, *, folder: Path, device: str, **given: Any
) -> tuple[list[EpochMetrics], float]:
    """Train; return the epochs after the first, and the seconds from the call to the first step."""
    epochs: list[EpochMetrics] = []
    first: list[float] = []
    start = time.perf_counter()

    def note(metrics: EpochMetrics) -> None:
        epochs.append(metrics)
        first.append(time.perf_counter() - start)

    threads = torch.get_num_threads()
    if case.name == "vnet":
        # As in the pipeline: an LSTM's small operations gain nothing from more threads.
        torch.set_num_threads(1)
    choose = feeding.choose_source
    if case.rows == "disk":
        choose = lambda clips, plan, device: feeding.HostRows(clips)  # noqa: E731
    with mock.patch("models.training.loop.choose_source", choose):
        options = RunOptions(folder, seed=0, device=device, on_epoch=note, overwrite=True)
        case.run(train, validation, case.settings, options, **given)
    torch.set_num_threads(threads)
    return epochs[1:] or epochs, first[0] - epochs[0].seconds


def report_case(case: Case, epochs: list[EpochMetrics], start_up: float, flops: float, best_rate: float) -> None:
    """Print one line of the table."""
    fastest = min(epochs, key=lambda metrics: metrics.train_seconds)
    validation = min(metrics.seconds - metrics.train_seconds for metrics in epochs)
    rate = flops / fastest.train_seconds
    target = f"{TARGETS[case.name]:.1f}" if case.name in TARGETS and fastest.num_train == SIZES["train"] else ""
    print(
        f"{case.name:15} {case.rows:7} {fastest.train_seconds:9.3f} {target:>7} "
        f"{fastest.num_train / fastest.train_seconds:9.1f} {flops / 1e12:9.2f} {rate / 1e12:9.3f} "
        f"{rate / best_rate:7.0%} {fastest.wait_seconds / fastest.train_seconds:7.1%} "
        f"{validation / fastest.train_seconds:7.0%} {start_up:8.1f}",
        flush=True,
    )


def compare_with_bare(name: str, job: Job, train: Clips, device: str, rounds: int) -> None:
    """Print the speed of an epoch of training relative to bare passes on data in memory."""
    settings = job.settings
    place_network(job.network, device=device)
    members = np.arange(len(train))
    optimiser = torch.optim.SGD(job.network.parameters(), 1e-6, momentum=0.9, weight_decay=5e-4)
    source = feeding.HostRows(train)
    setup = Setup(job, job.network, optimiser, train, source, members, 0, device, Group())
    batches, draw = plan_epoch(setup, 0)
    assert train.labels is not None  # made with labels
    labels = torch.from_numpy(train.labels[draw.members])
    inputs = [
        prepare_inputs(source.gather(draw.take(rows), job.train_plan), job.train_plan, device) for rows in batches
    ]
    whole, bare, whole_core, bare_core = [], [], [], []
    for _ in range(rounds):
        start, start_core = time.perf_counter(), time.process_time()
        train_epoch(setup, 0, [], lambda losses: None)
        whole.append(time.perf_counter() - start)
        whole_core.append(time.process_time() - start_core)
        start, start_core = time.perf_counter(), time.process_time()
        for rows, given in zip(batches, inputs, strict=True):
            job.network.zero_grad(set_to_none=True)
            LOSSES[settings.loss](job.network(*given), labels[rows]).backward()
        bare.append(time.perf_counter() - start)
        bare_core.append(time.process_time() - start_core)
    print(
        f"{name:15} {min(whole):9.3f} {min(bare):9.3f} {min(bare) / min(whole):7.0%} {'70%':>7} "
        f"{min(bare_core) / min(whole_core):14.0%}",
        flush=True,
    )


def make_cases(small: bool, finetune: bool, options: dict[str, Any], rows: Sequence[str]) -> list[Case]:
    """List the trainings, single networks first."""
    scale = 0.25 if small else 1.0
    anet, vnet = ANetSettings(channel_scale=scale, **options), VNetSettings(**options)
    cases = [Case("anet", "anet", place, train_anet, anet) for place in rows]
    cases += [Case("vnet", "vnet", place, train_vnet, vnet) for place in rows]
    cases += [Case("joint", "joint", place, train_joint, JointSettings(**options)) for place in rows]
    if finetune:
        tuned = VNetSettings(backbone="finetune", **options)
        cases += [Case("vnet finetune", "vnet", rows[0], train_vnet, tuned)]
        cases += [Case("joint finetune", "joint", place, train_joint, JointSettings(**options)) for place in rows]
    return cases


def bench_bare(train: Clips) -> None:
    """Compare each network with bare passes, with as many threads as the pipeline gives it."""
    from models.networks.anet import build_anet
    from models.networks.joint import build_joint
    from models.networks.vnet import build_vnet

    anet, vnet = build_anet(None, channel_scale=0.25, seed=0), build_vnet(None, seed=0)
    joint = build_joint(anet, vnet, channel_scale=0.25, backbone="frozen", seed=0)
    threads = torch.get_num_threads()
    print(f"\n{'bare passes':15} {'training':>9} {'bare s':>9} {'share':>7} {'target':>7} {'of core secs':>14}")
    plans = ANetSettings().plan_inputs(evaluation=False), VNetSettings().plan_inputs(evaluation=False)
    plan = JointSettings().plan_inputs(backbone="frozen", channel_order="bgr")
    for name, network, settings, inputs, count in (
        ("anet", anet, ANetSettings(batch_size=8), plans[0], threads),
        ("vnet", vnet, VNetSettings(), plans[1], 1),
        ("joint", joint, JointSettings(), plan, threads),
    ):
        torch.set_num_threads(count)
        job = Job(name, network, {}, settings, inputs, inputs, {})
        compare_with_bare(name, job, train, "cpu", rounds=3)
    torch.set_num_threads(threads)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks training", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="", help="default: bfloat16 on a GPU, float32 on a CPU")
    parser.add_argument("--epochs", type=int, default=4, help="the first is not counted")
    parser.add_argument("--small", action="store_true", help="a few utterances, networks of a quarter of the width")
    parser.add_argument("--finetune", action="store_true", help="also with SphereFace trained along: 17 GB of crops")
    parser.add_argument("--folder", type=Path, help="where the store is written; a temporary folder by default")
    given = parser.parse_args(argv)
    precision = given.precision or ("bfloat16" if given.device == "cuda" else "float32")
    sizes = SMALL_SIZES if given.small else SIZES
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        train, validation = (write_split(folder, split, sizes[split], crops=given.finetune) for split in sizes)
        print(f"{len(train)} and {len(validation)} utterances written in {time.perf_counter() - start:.0f} s")
        best_rate = measure_matmul(given.device, precision)
        where = torch.cuda.get_device_name() if given.device == "cuda" else platform.processor() or platform.machine()
        print(
            f"{where}, {os.cpu_count()} cores, torch {torch.__version__}, {precision}: {best_rate / 1e12:.3f} TFLOP/s"
        )
        print(
            f"{'training':15} {'rows':7} {'s/epoch':>9} {'target':>7} {'utt/s':>9} {'TFLOP':>9} {'TFLOP/s':>9} "
            f"{'of best':>7} {'waits':>7} {'valid.':>7} {'start s':>8}"
        )
        settings = {"epochs": given.epochs, "learning_rate": 1e-6, "precision": precision}
        rows = ["device", "disk"] if given.device == "cuda" else ["disk"]
        for case in make_cases(given.small, given.finetune, settings, rows):
            backbone = "finetune" if "finetune" in case.name else "frozen"
            architecture = {} if case.network == "vnet" else {"channel_scale": 0.25 if given.small else 1.0}
            architecture |= {} if case.network == "anet" else {"backbone": backbone}
            options: dict[str, Any] = {"folder": folder / case.name, "device": given.device}
            if case.network == "joint":
                options |= {"anet": folder / "anet", "vnet": folder / case.name.replace("joint", "vnet")}
            elif case.network == "anet":
                options["weights"] = None
            epochs, start_up = run_case(case, train, validation, **options)
            report_case(case, epochs, start_up, count_epoch_flops(case, train, architecture), best_rate)
        if given.device == "cpu":
            bench_bare(train)
    return 0

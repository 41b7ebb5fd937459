"""Speed of writing a shard from its spooled rows, compared with a plain write and fsync of the same bytes; its size."""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from store.shard.sidecar import sidecar_path
from store.shard.writer import ShardWriter

_PIECE = 16 << 20
_WARM_UP = 2


def write_shard(path: Path, rows: np.ndarray, clips: int) -> float:
    """Spool the rows, then measure the writing of the shard; return seconds."""
    writer = ShardWriter(path, stage="stft", shard="s", fingerprint="f", provenance={})
    with writer:
        for number in range(clips):
            with writer.utterance(f"v/{number}") as utterance:
                utterance.append(stft=rows)
        os.sync()
        begin = time.perf_counter()
    return time.perf_counter() - begin


def write_plain(path: Path, rows: np.ndarray, clips: int) -> float:
    """Copy the same bytes from a spool to a file and flush it; return seconds."""
    with tempfile.TemporaryFile(dir=path.parent) as spool:
        for _ in range(clips):
            spool.write(rows.data)
        spool.seek(0)
        os.sync()
        begin = time.perf_counter()
        buffer = memoryview(bytearray(_PIECE))
        with path.open("wb", buffering=0) as file:
            while count := spool.readinto(buffer):
                file.write(buffer[:count])
            os.fsync(file.fileno())
        return time.perf_counter() - begin


def main(argv: Sequence[str] | None = None) -> int:
    """Write both in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256, help="rows per shard (default: 256 MB)")
    parser.add_argument("--rounds", type=int, default=14)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    arguments = parser.parse_args(argv)
    rows = np.random.default_rng(0).normal(0, 0.1, (1000, 257, 2)).astype("<f4")
    clips = max(1, arguments.megabytes * 10**6 // rows.nbytes)
    shard, plain = [], []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        path, other = Path(name) / "s.h5", Path(name) / "plain"
        for number in range(_WARM_UP + arguments.rounds):
            # The two take turns in being first. The second one gets memory that the first has just released, and on a
            # virtual machine fresh memory takes longer than the writing.
            for turn in (number, number + 1):
                if turn % 2:
                    plain.append(write_plain(other, rows, clips))
                    other.unlink()
                else:
                    shard.append(write_shard(path, rows, clips))
                    size = path.stat().st_size + sidecar_path(path).stat().st_size
                    path.unlink()
                    sidecar_path(path).unlink()
    shard, plain = shard[_WARM_UP:], plain[_WARM_UP:]
    total = clips * rows.nbytes
    ratio = statistics.median(one / other for one, other in zip(plain, shard, strict=True))
    print(f"{total / 1e6:.0f} MB of rows, {clips} utterances, median of {arguments.rounds} rounds")
    print(f"plain write and fsync {total / 1e6 / statistics.median(plain):8.0f} MB/s")
    print(f"shard with digests    {total / 1e6 / statistics.median(shard):8.0f} MB/s  {ratio:.0%} of plain")
    print(f"size                  {size / total - 1:8.2%} over the raw numbers")
    return 0

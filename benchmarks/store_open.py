"""Time to open a store of 100 000 utterances and find one, in a new process and afterwards."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from store.layout import shard_path
from store.records.listings import Listing
from store.shard.writer import ShardWriter

#: Number of shards that have files: those of the utterances that are read. Opening a store reads no shard.
_SHARDS_WITH_FILES = 20

_CODE = """
import json, random, sys, time
from store import FeatureStore
names = json.load(open(sys.argv[2]))
begin = time.perf_counter()
store = FeatureStore(sys.argv[1])
rows = store[names[0]].stft
first = time.perf_counter() - begin
every = random.Random(0).sample(sorted(store), 10000)
begin = time.perf_counter()
for name in every:
    store[name]
find = (time.perf_counter() - begin) / len(every)
opened = []
for name in names[1:]:
    begin = time.perf_counter()
    store[name].stft
    opened.append(time.perf_counter() - begin)
again = []
for name in names:
    begin = time.perf_counter()
    store[name].stft
    again.append(time.perf_counter() - begin)
print(json.dumps([first, find, sorted(opened)[len(opened) // 2], sorted(again)[len(again) // 2]]))
"""


def make_store(root: Path, utterances: int, shard_size: int) -> list[str]:
    """Make a listing of `utterances` utterances, and files for some of its shards; return one utterance of each."""
    names = [f"{number // 10:08x}d/utterance_{number % 10}" for number in range(utterances)]
    shards = {name: f"{number // shard_size:016x}" for number, name in enumerate(names)}
    Listing("bench", {"stft": "f"}, shards, dict.fromkeys(names, (10**6, 10**18))).write(root)
    looked_at = []
    for number in np.linspace(0, utterances - 1, _SHARDS_WITH_FILES).astype(int).tolist():
        shard = shards[names[number]]
        members = [name for name in names[number - shard_size : number + shard_size] if shards[name] == shard]
        members = members or [name for name in names[: 2 * shard_size] if shards[name] == shard]
        path = shard_path(root, "stft", "f", shard)
        with ShardWriter(path, stage="stft", shard=shard, fingerprint="f", provenance={}) as writer:
            for name in members:
                with writer.utterance(name) as rows:
                    rows.append(stft=np.zeros((100, 257, 2), np.float32))
        looked_at.append(names[number])
    return looked_at


def main(argv: Sequence[str] | None = None) -> int:
    """Open the store in new processes, with its files dropped from the page cache; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--shard-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "store"
        (Path(name) / "names.json").write_text(json.dumps(make_store(root, arguments.utterances, arguments.shard_size)))
        taken = []
        for _ in range(arguments.rounds):
            os.sync()
            for path in root.rglob("*"):
                if path.is_file():
                    descriptor = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(descriptor)
            command = [sys.executable, "-c", _CODE, str(root), str(Path(name) / "names.json")]
            ended = subprocess.run(command, capture_output=True, text=True, check=True)
            taken.append(json.loads(ended.stdout))
    titles = (
        "open cold, find one, map it",
        "find another",
        "find and map, shard not open yet",
        "find and map, shard open",
    )
    print(
        f"{arguments.utterances} utterances in shards of {arguments.shard_size}, median of {arguments.rounds} processes"
    )
    for title, values in zip(titles, zip(*taken, strict=True), strict=True):
        print(f"{title:36} {1000 * statistics.median(values):10.4f} ms")
    return 0

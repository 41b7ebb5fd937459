"""One store read by many: threads, forked and spawned workers, and with HDF5's locks off."""

import fcntl
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from store import FeatureStore
from store.layout import shard_path
from tests.store.stores import make_store

torch = pytest.importorskip("torch")

CLIPS = {"one": {f"v/{k}": (20 + k, 3) for k in range(8)}, "two": {f"w/{k}": (30 + k, 2) for k in range(8)}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("shared") / "store"
    make_store(root, CLIPS)
    return root


class Items(torch.utils.data.Dataset):
    """What a training would write: a slice of the sound and the embeddings, by number."""

    def __init__(self, store):
        self.store = store
        self.names = sorted(store)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, number):
        clip = self.store[self.names[number]]
        return number, os.getpid(), clip.stft[5:15].copy(), clip.embeddings.copy()


STARTS = ["fork", *(pytest.param(method, marks=pytest.mark.slow) for method in ("spawn", "forkserver"))]


@pytest.mark.parametrize("method", STARTS)
def test_workers_read_the_right_rows(folder, method):
    store = FeatureStore(folder)
    expected = {name: (store[name].stft[5:15].copy(), store[name].embeddings.copy()) for name in store}
    # The mappings are open before the workers start: handed on by fork, left out of the pickle by the others.
    loader = torch.utils.data.DataLoader(
        Items(store), batch_size=None, num_workers=2, multiprocessing_context=method, shuffle=True
    )
    seen, processes = set(), set()
    for number, process, stft, embeddings in loader:
        name = sorted(store)[number]
        np.testing.assert_array_equal(stft, expected[name][0])
        np.testing.assert_array_equal(embeddings, expected[name][1])
        seen.add(name)
        processes.add(process)
    assert seen == set(store)
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_many_threads_read_the_right_rows(folder):
    store = FeatureStore(folder)
    names = sorted(store) * 10
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda name: float(store[name].stft.sum()), names))
    alone = FeatureStore(folder)
    assert sums == [float(alone[name].stft.sum()) for name in names]


def test_a_pickled_store_is_small_and_reads_the_same(folder):
    store = FeatureStore(folder)
    rows = store["w/3"].crops
    pickled = pickle.dumps(store)
    assert len(pickled) < 100_000
    np.testing.assert_array_equal(pickle.loads(pickled)["w/3"].crops, rows)


def test_a_file_that_another_holds_locked_is_read(folder):
    store = FeatureStore(folder)
    path = shard_path(folder, "stft", store.listing.fingerprints["stft"], store["v/0"].shard)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            h5py.File(path, "r", locking=True)
        assert store["v/0"].stft.shape == (20, 257, 2)


def test_memory_is_what_is_touched(tmp_path):
    """A store of 41 MB of sound, of which one map is read, must not be read whole."""
    code = """
import resource, sys
from store import FeatureStore
store = FeatureStore(sys.argv[1])
clip = store["v/0"]
clip.status
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clip.stft[100:400].sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    make_store(tmp_path, {"one": {"v/0": (20_000, 1)}})
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    # 300 frames are 617 kB of the 41 MB; the kernel reads ahead somewhat.
    assert int(ended.stdout) < 10_000

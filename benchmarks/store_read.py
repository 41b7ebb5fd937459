"""Random reads of a training from the store, compared with a bare memory map and other formats of the same numbers."""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from store import FeatureStore
from store.layout import shard_path
from store.records.listings import Listing
from store.shard.writer import ShardWriter

MAPS, MAP_FRAMES, FACES = 4, 300, 16
SHARD = 64

#: Read some rows of an utterance: (number, stft starts, face rows, maps out, faces out).
Reader = Callable[[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


def draw_lengths(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw utterances as long as OMG's: log-normal around 8 s, 1 to 30 s; 25 faces and 100 STFT frames a second."""
    seconds = np.clip(rng.lognormal(np.log(8), 0.6, count), 1, 30)
    return (100 * seconds).astype(int), (25 * seconds).astype(int)


class Data:
    """The numbers that every format holds; they are made again for each utterance instead of stored."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.num_stft, self.num_faces = draw_lengths(count, np.random.default_rng(seed))
        # Rows of one pool, shifted for each utterance; random, so that compression gains as little as on real sound.
        rng = np.random.default_rng(seed + 1)
        longest = int(max(self.num_stft)) + count
        self._stft = rng.normal(0, 0.1, (longest, 257, 2)).astype("<f4")
        self._faces = rng.normal(0, 1, (longest, 512)).astype("<f4")

    def __len__(self) -> int:
        return len(self.num_stft)

    def stft(self, number: int) -> np.ndarray:
        """Give an utterance's transform."""
        return self._stft[number : number + self.num_stft[number]]

    def faces(self, number: int) -> np.ndarray:
        """Give an utterance's embeddings."""
        return self._faces[number : number + self.num_faces[number]]


def write_store(data: Data, folder: Path) -> Reader:
    shards = {}
    for start in range(0, len(data), SHARD):
        shard = f"{start:016x}"
        numbers = range(start, min(start + SHARD, len(data)))
        for stage, column, rows_of in (("stft", "stft", data.stft), ("embeddings", "embedding", data.faces)):
            path = shard_path(folder, stage, "f", shard)
            with ShardWriter(path, stage=stage, shard=shard, fingerprint="f", provenance={}) as writer:
                for number in numbers:
                    with writer.utterance(f"v/{number}") as rows:
                        rows.append(**{column: rows_of(number)})
        shards |= {f"v/{number}": shard for number in numbers}
    Listing("bench", {"stft": "f", "embeddings": "f"}, shards, dict.fromkeys(shards, (0, 0))).write(folder)
    store = FeatureStore(folder)

    def read(number: int, starts: np.ndarray, rows: np.ndarray, maps: np.ndarray, faces: np.ndarray) -> None:
        clip = store[f"v/{number}"]
        take(clip.stft, clip.embeddings, starts, rows, maps, faces)

    return read


def take(stft, embeddings, starts, rows, maps, faces) -> None:  # noqa: ANN001 - arrays and what looks like one
    for slot, start in enumerate(starts):
        part = stft[start : start + MAP_FRAMES]
        maps[slot, : len(part)] = part
    faces[:] = embeddings[rows]


def write_memmap(data: Data, folder: Path) -> Reader:
    arrays = []
    for name, width, rows_of in (("stft", (257, 2), data.stft), ("faces", (512,), data.faces)):
        folder.mkdir(exist_ok=True)
        with (folder / name).open("wb") as file:
            for number in range(len(data)):
                file.write(rows_of(number).tobytes())
        arrays.append(np.memmap(folder / name, "<f4", "r").reshape(-1, *width))
    stft_offsets = np.concatenate([[0], np.cumsum(data.num_stft)])
    face_offsets = np.concatenate([[0], np.cumsum(data.num_faces)])
    all_stft, all_faces = (array.view(np.ndarray) for array in arrays)

    def read(number: int, starts: np.ndarray, rows: np.ndarray, maps: np.ndarray, faces: np.ndarray) -> None:
        stft = all_stft[stft_offsets[number] : stft_offsets[number + 1]]
        take(stft, all_faces[face_offsets[number] : face_offsets[number + 1]], starts, rows, maps, faces)

    return read


def write_npy(data: Data, folder: Path) -> Reader:
    folder.mkdir()
    for number in range(len(data)):
        np.save(folder / f"{number}.stft.npy", data.stft(number))
        np.save(folder / f"{number}.faces.npy", data.faces(number))

    def read(number: int, starts: np.ndarray, rows: np.ndarray, maps: np.ndarray, faces: np.ndarray) -> None:
        stft = np.load(folder / f"{number}.stft.npy", mmap_mode="r")
        take(stft, np.load(folder / f"{number}.faces.npy", mmap_mode="r"), starts, rows, maps, faces)

    return read


def write_hdf5(data: Data, folder: Path) -> Reader:
    folder.mkdir()
    file = h5py.File(folder / "all.h5", "w")
    for number in range(len(data)):
        for kind, rows in (("stft", data.stft(number)), ("faces", data.faces(number))):
            chunks = (min(100, len(rows)), *rows.shape[1:])
            file.create_dataset(f"{kind}/{number}", data=rows, chunks=chunks, compression="gzip")
    file.close()
    opened = h5py.File(folder / "all.h5", "r")

    def read(number: int, starts: np.ndarray, rows: np.ndarray, maps: np.ndarray, faces: np.ndarray) -> None:
        # h5py wants increasing rows; reading all faces is faster than that.
        take(opened[f"stft/{number}"], opened[f"faces/{number}"][()], starts, rows, maps, faces)

    return read


def write_zarr(data: Data, folder: Path) -> Reader:
    import zarr

    group = zarr.open_group(folder, mode="w")
    for number in range(len(data)):
        for kind, rows in (("stft", data.stft(number)), ("faces", data.faces(number))):
            array = group.create_array(
                f"{kind}/{number}", shape=rows.shape, chunks=(100, *rows.shape[1:]), dtype=rows.dtype
            )
            array[:] = rows
    opened = zarr.open_group(folder, mode="r")

    def read(number: int, starts: np.ndarray, rows: np.ndarray, maps: np.ndarray, faces: np.ndarray) -> None:
        take(opened[f"stft/{number}"], opened[f"faces/{number}"][:], starts, rows, maps, faces)

    return read


class WebDatasetReader:
    """Reads whole samples in the order of shuffled tar files: this format has no random access."""

    def __init__(self, data: Data, folder: Path) -> None:
        import webdataset

        folder.mkdir()
        with webdataset.ShardWriter(str(folder / "%06d.tar"), maxcount=SHARD, verbose=0) as sink:
            for number in range(len(data)):
                arrays = {"stft.npy": data.stft(number), "faces.npy": data.faces(number)}
                sink.write({"__key__": f"{number:08d}", **{key: _as_npy(rows) for key, rows in arrays.items()}})
        self._urls = sorted(str(path) for path in folder.glob("*.tar"))
        self._webdataset = webdataset
        self._samples = iter(())

    def __call__(self, number: int, starts: np.ndarray, rows: np.ndarray, maps: np.ndarray, faces: np.ndarray) -> None:
        """Read the next sample, whatever its number."""
        sample = next(self._samples, None)
        if sample is None:
            self._samples = iter(self._webdataset.WebDataset(self._urls, shardshuffle=len(self._urls)).decode())
            sample = next(self._samples)
        stft, embeddings = sample["stft.npy"], sample["faces.npy"]
        limits = max(1, len(stft) - MAP_FRAMES + 1)
        take(stft, embeddings, starts % limits, rows % len(embeddings), maps, faces)


def _as_npy(rows: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, rows)
    return data.getvalue()


FORMATS: dict[str, Callable[[Data, Path], Reader]] = {
    "np.memmap, one bare file": write_memmap,
    "this store": write_store,
    "one .npy per utterance, mapped": write_npy,
    "h5py, chunks of 100 rows, gzip": write_hdf5,
    "zarr, chunks of 100 rows, its own default codec": write_zarr,
    "webdataset, whole samples in shuffled tars": WebDatasetReader,
}


def time_round(reader: Reader, data: Data, seed: int) -> float:
    """Read every utterance once, in random order; return seconds."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((MAPS, MAP_FRAMES, 257, 2), np.float32)
    faces = np.zeros((FACES, 512), np.float32)
    plan = []
    for number in rng.permutation(len(data)).tolist():
        starts = rng.integers(0, max(1, data.num_stft[number] - MAP_FRAMES + 1), MAPS)
        plan.append((number, starts, np.sort(rng.integers(0, data.num_faces[number], FACES))))
    begin = time.perf_counter()
    for number, starts, rows in plan:
        reader(number, starts, rows, maps, faces)
    return time.perf_counter() - begin


def forget(folder: Path) -> None:
    """Drop a folder's files from the page cache."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def check(readers: dict[str, Reader], data: Data) -> None:
    """Check that every format with random access returns the rows of an utterance."""
    for name, reader in readers.items():
        if isinstance(reader, WebDatasetReader):
            continue
        maps, faces = np.zeros((MAPS, MAP_FRAMES, 257, 2), np.float32), np.zeros((FACES, 512), np.float32)
        number = len(data) // 2
        reader(number, np.zeros(MAPS, int), np.arange(FACES), maps, faces)
        length = min(MAP_FRAMES, data.num_stft[number])
        assert np.array_equal(maps[0, :length], data.stft(number)[:length]), name
        assert np.array_equal(faces, data.faces(number)[:FACES]), name


def main(argv: Sequence[str] | None = None) -> int:
    """Write all formats, read them in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=256, help="default: 256, about 600 MB per format")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of every format, taking turns (default: 7)")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--cold", action="store_true", help="drop the files from the page cache before each round")
    arguments = parser.parse_args(argv)
    data = Data(arguments.utterances)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folders = {title: Path(name) / str(k) for k, title in enumerate(FORMATS)}
        readers = {title: write(data, folders[title]) for title, write in FORMATS.items()}
        check(readers, data)
        seconds: dict[str, list[float]] = {title: [] for title in FORMATS}
        for number in range(arguments.rounds + 1):
            for title, reader in readers.items():
                if arguments.cold:
                    forget(folders[title])
                taken = time_round(reader, data, number)
                if number:  # the first round fills the caches and does not count
                    seconds[title].append(taken)
    size = data.num_stft.sum() * 2056 + data.num_faces.sum() * 2048
    print(
        f"{len(data)} utterances, {size / 1e6:.0f} MB; {MAPS} maps of {MAP_FRAMES} STFT frames and {FACES} embeddings"
    )
    print(
        f"of each, random order, {'cold' if arguments.cold else 'warm'} page cache, median of {arguments.rounds} rounds"
    )
    print(f"{'format':50} {'ms/utterance':>12} {'of memmap':>10}")
    bare = seconds["np.memmap, one bare file"]
    for title, taken in seconds.items():
        # Compared round by round, so that a busy moment affects both.
        ratio = statistics.median(one / other for one, other in zip(bare, taken, strict=True))
        print(f"{title:50} {1000 * statistics.median(taken) / len(data):12.3f} {ratio:10.0%}")
    return 0

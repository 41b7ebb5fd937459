"""Views of a file that is cut short while they are held: errors, where plain mappings end the process."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from store.errors import ShardError
from store.shard.mapped import MappedRows, map_rows

SHAPE = (5000, 4)


@pytest.fixture
def path(tmp_path):
    np.arange(20_000, dtype="<f4").tofile(tmp_path / "rows")
    return tmp_path / "rows"


@pytest.fixture
def rows(path):
    return map_rows(path, np.dtype("<f4"), 0, SHAPE)


def cut(path):
    with path.open("r+b") as file:
        file.truncate(4096)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not say what is in memory")
def test_what_was_read_leaves_memory_and_can_be_read_again(rows, path):
    def resident():
        lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
        start = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
        return next(int(line.split()[1]) for line in lines[start:] if line.startswith("Rss:"))

    total = rows.sum()
    assert resident() >= rows.nbytes // 1024
    rows[10:][1:].release_pages()
    assert resident() == 0
    assert rows.sum() == total


TOUCHES = {
    "a number": lambda rows: rows[4000, 1],
    "a slice": lambda rows: rows[4000:],
    "a slice of a slice": lambda rows: rows[10:][4000:4001],
    "chosen rows": lambda rows: rows[[1, 4000]],
    "a mask": lambda rows: rows[np.ones(5000, bool)],
    "a loop": lambda rows: list(rows),
    "a sum": lambda rows: rows.sum(),
    "a mean over rows": lambda rows: rows.mean(axis=0),
    "arithmetic": lambda rows: 1 - rows,
    "a comparison": lambda rows: rows == 3,
    "a stack": lambda rows: np.stack([rows, rows]),
    "where": lambda rows: np.where(True, rows, 0),
    "a copy": lambda rows: rows.copy(),
    "a conversion": lambda rows: rows.astype(np.float64),
    "bytes": lambda rows: rows.tobytes(),
    "a list": lambda rows: rows.tolist(),
    "a pickle": lambda rows: pickle.dumps(rows),
    "a transposed copy": lambda rows: rows.T.copy(),
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_touching_what_was_cut_off_is_an_error(path, rows, touch):
    view = rows[:]
    expected = touch(np.arange(20_000, dtype="<f4").reshape(SHAPE))
    np.testing.assert_array_equal(touch(view), expected)
    cut(path)
    with pytest.raises(ShardError, match=r"rows has 4096 bytes, it had 80000 when it was mapped; restore it"):
        touch(view)


def test_a_plain_mapping_would_end_the_process(path):
    code = (
        "import numpy as np, os, sys\n"
        "rows = np.memmap(sys.argv[1], '<f4', 'r')\n"
        "os.truncate(sys.argv[1], 4096)\n"
        "rows[19000]\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[3], check=False)
    assert ended.returncode == -7  # SIGBUS


def test_slices_share_the_files_memory_and_cannot_be_written(rows):
    part = rows[100:200]
    assert isinstance(part, MappedRows)
    assert np.shares_memory(part, rows)
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1


def add_in_place(rows):
    rows += 1


@pytest.mark.parametrize(
    "write", [add_in_place, lambda rows: np.add(rows, 1, out=rows), lambda rows: np.sqrt(rows, rows)]
)
def test_computing_into_the_rows_is_refused(rows, write):
    with pytest.raises(ValueError, match="read-only"):
        write(rows)
    assert rows[0].tolist() == [0, 1, 2, 3]


def test_rows_choose_where_to_compute(path):
    chosen = map_rows(path, np.dtype("?"), 4, (4,))
    chosen = chosen[:2]
    np.testing.assert_array_equal(
        np.add([1, 2], 1, out=np.zeros(2), where=chosen), np.where(np.asarray(chosen), [2, 3], 0)
    )


@pytest.mark.parametrize("make", [lambda r: r.copy(), lambda r: r[[1, 2]], lambda r: r + 1, copy.deepcopy])
def test_copies_are_plain_and_outlive_the_file(path, rows, make):
    made = make(rows[10:20])
    assert type(made) is np.ndarray
    cut(path)
    assert np.isfinite(made[-1]).all()


def test_a_pickle_holds_the_rows_themselves(rows):
    pickled = pickle.dumps(rows[10:20])
    assert len(pickled) < 1000
    loaded = pickle.loads(pickled)
    assert type(loaded) is np.ndarray
    np.testing.assert_array_equal(loaded, np.arange(40, 80).reshape(10, 4))


def test_a_file_that_was_removed_or_replaced_stays_whole_where_it_is_mapped(path, rows):
    path.unlink()
    assert rows[4999, 3] == 19_999
    path.write_bytes(b"another")
    assert rows[4999, 3] == 19_999


def test_torch_takes_the_rows(rows):
    torch = pytest.importorskip("torch")
    assert torch.from_numpy(rows[10:20].copy()).sum() == sum(range(40, 80))
    assert torch.as_tensor(np.stack([rows[0], rows[1]])).shape == (2, 4)


def test_a_mapping_keeps_no_file_open_and_ends_with_its_last_view(path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    many = [map_rows(path, np.dtype("<f4"), 4 * k, (100,)) for k in range(50)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [rows[0] for rows in many] == list(range(50))
    view = many[7][10:]
    del many
    assert Path("/proc/self/maps").read_text().count(str(path)) == 1
    assert view[0] == 17
    del view
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_a_file_that_is_too_short_is_not_mapped(path):
    with pytest.raises(ShardError, match=r"rows ends before byte 80004; restore it"):
        map_rows(path, np.dtype("<f4"), 4, SHAPE)

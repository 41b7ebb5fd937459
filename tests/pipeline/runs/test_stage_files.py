import pytest

from pipeline.runs import stage_files
from pipeline.runs.stage_files import StageFiles
from pipeline.training.clips import SplitRows
from store.shard.reader import Shard
from store.tables import Table, read_counts
from tests.store.stores import FINGERPRINTS, make_store, write_shard

#: Not in the order of the shards.
NAMES = ["w/a", "v/a", "w/b", "v/b"]


@pytest.fixture
def store(tmp_path):
    assigned = make_store(tmp_path / "store", {"one": {"v/a": (3, 1), "v/b": (4, 1)}, "two": {"w/a": (5, 1)}})
    return tmp_path / "store", assigned


def open_files(root):
    return StageFiles(store=root, fingerprints=FINGERPRINTS, kept=frozenset())


def test_what_shards_say_is_asked_of_them_once(store, monkeypatch):
    root, assigned = store
    first = open_files(root)
    said = {name: first.table("stft", shard).fact(name, "length") for name, shard in assigned.items()}
    assert said == {"v/a": 3, "v/b": 4, "w/a": 5}
    first.remember_tables()
    assert set(read_counts(root, "wav", FINGERPRINTS["wav"])) == set(assigned.values()), "ls asks all stages"

    def refuse(path):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(stage_files, "Shard", refuse)
    again = open_files(root)
    assert {name: again.table("stft", shard).fact(name, "length") for name, shard in assigned.items()} == said
    assert again.table("embeddings", "0" * 16) is None


def test_a_shard_that_is_another_file_by_now_is_opened(store):
    root, assigned = store
    first = open_files(root)
    first.table("stft", assigned["w/a"])
    first.remember_tables()
    first.path("stft", assigned["w/a"]).unlink()
    write_shard(root, "stft", assigned["w/a"], {"w/a": (9, 1)})
    assert open_files(root).table("stft", assigned["w/a"]).fact("w/a", "length") == 9
    assert first.table("stft", assigned["w/a"]).fact("w/a", "length") == 5, "a run goes on with what it has seen"
    first.close_shard("stft", assigned["w/a"])
    assert first.table("stft", assigned["w/a"]).fact("w/a", "length") == 9


def test_a_bounded_number_of_files_is_open(store, monkeypatch):
    root, assigned = store
    monkeypatch.setattr(stage_files, "_MOST_OPEN", 2)
    files = open_files(root)
    shard = assigned["v/a"]
    first = files.shard("stft", shard)
    assert files.shard("stft", shard) is first
    view = first.rows("v/a", "stft")
    files.shard("embeddings", shard)
    files.shard("faces", shard)
    assert len(files._opened) == 2
    assert files.shard("stft", shard) is not first, "it was let go of"
    assert view.shape == (3, 257, 2), "and what was mapped stays"
    assert Table.of(first) == Table.of(files.shard("stft", shard))


def test_a_split_opens_each_file_once_whatever_its_order(store):
    root, assigned = store
    files = open_files(root)
    where = [str(files.path("stft", assigned[name])) if name in assigned else None for name in NAMES]
    opened = []

    def open_file(path):
        opened.append(path)
        return Shard(path)

    nothing = [None] * len(NAMES)
    clips = SplitRows(NAMES, None, where, [nothing], nothing).open(open_file)
    assert [None if rows is None else len(rows) for rows in clips.stft] == [5, 3, None, 4]
    assert len(opened) == 2

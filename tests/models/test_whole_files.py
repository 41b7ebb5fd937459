"""Files that appear only when they are whole."""

import errno

import pytest

from models.whole_files import naming_full_disk, remove_unfinished, writing_whole


def test_a_file_that_fails_leaves_the_former_one(tmp_path):
    path = tmp_path / "x.pt"
    path.write_text("former")

    def write_half():
        with writing_whole(path, 10) as beside:
            beside.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    for name in (".x.pt.123.tmp", "x.pt", ".hidden", "y.tmp"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "x.pt", "y.tmp"]


def test_a_full_disk_is_named_also_where_torch_hides_it(tmp_path):
    path = tmp_path / "x.pt"

    def fail():
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError as error:
            raise RuntimeError("unexpected pos 64 vs 0") from error

    said = r"No space left on device, 5,000,000 bytes needed: .*x\.pt"
    with pytest.raises(OSError, match=said), naming_full_disk(path, 5_000_000):
        fail()
    with pytest.raises(RuntimeError, match="of another kind"), naming_full_disk(path, 1):
        raise RuntimeError("of another kind")

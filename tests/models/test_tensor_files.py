"""Files of tensors and plain data: written whole, and read with care, since anyone may have made them."""

import pickle
import zipfile

import pytest
import torch

from models.tensor_files import (
    LONGEST_REASON,
    MOST_VALUES,
    TensorFileError,
    check_plain,
    make_printable,
    read_tensors,
    write_tensors,
)


def test_tensors_and_plain_data_come_back(tmp_path):
    content = {"weights": {"a": torch.arange(3.0)}, "epochs": 2, "rates": [0.1, None]}
    write_tensors(tmp_path / "x.pt", content)
    found = read_tensors(tmp_path / "x.pt")
    torch.testing.assert_close(found.pop("weights"), content["weights"])
    assert found == {"epochs": 2, "rates": [0.1, None]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


class Runs:
    """The function that a hostile pickle would call."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("content", [b"", b"no file of tensors", pickle.dumps(Runs())])
def test_anything_else_is_refused_and_nothing_of_it_runs(tmp_path, capsys, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(TensorFileError):
        read_tensors(tmp_path / "x.pt")
    assert capsys.readouterr().out == ""


def test_a_packed_file_that_would_fill_the_memory_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data/0", bytes(1 << 22))
    with pytest.raises(TensorFileError, match="its parts claim 4194304 bytes, more than the "):
        read_tensors(tmp_path / "x.pt")


def test_plain_data_is_texts_numbers_and_nothing_else():
    check_plain({"a": [1, 2.5, "x", None, True], "b": {"c": ()}}, where="settings")
    with pytest.raises(TypeError, match=r"settings\.b\[1\] \(tensor\(1\.\)\) is Tensor: a checkpoint holds"):
        check_plain({"b": [1, torch.tensor(1.0)]}, where="settings")
    with pytest.raises(TypeError, match=r"a key of settings \(b'x'\) is bytes"):
        check_plain({b"x": 1}, where="settings")


def test_a_small_file_that_names_many_values_is_refused():
    doubled = [0] * 10
    for _ in range(6):
        doubled = [doubled] * 10
    with pytest.raises(TypeError, match=f"settings holds more than {MOST_VALUES} values, or more than 20 levels"):
        check_plain(doubled, where="settings")
    deep = []
    for _ in range(30):
        deep = [deep]
    with pytest.raises(TypeError, match="more than 20 levels"):
        check_plain(deep, where="settings")


def test_reasons_are_short_and_steer_no_terminal():
    assert make_printable("a\x1b[2Jb") == "a?[2Jb"
    assert make_printable("a" * 500) == "a" * LONGEST_REASON + " ..."

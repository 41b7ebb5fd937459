"""An export is there whole or not at all: on a full disk, after Ctrl-C, and beside what a killed one has left."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from store.__main__ import main
from store.errors import StoreError
from store.export.formats import EXPORTERS, exporting
from tests.disks import tiny_disk
from tests.store.stores import make_store

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path):
    make_store(tmp_path / "store")
    return str(tmp_path / "store")


@pytest.mark.parametrize("kind", ["npz", "csv", "csd", "parquet"])
def test_on_a_full_disk_it_says_what_and_where_and_leaves_nothing(store, tmp_path, kind):
    (tmp_path / "disk").mkdir()
    with tiny_disk(tmp_path / "disk", 4096):
        folder = tmp_path / "disk" / "out"
        # A process of its own: HDF5 is in disorder once it could not write.
        command = [sys.executable, "-m", "store", "export", store, "--to", kind, "-o", str(folder)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        err = ended.stderr
        assert (ended.returncode, ended.stdout) == (2, "")
        assert err.count("\n") == 1
        assert err.startswith(f"{folder}/")
        assert "cannot be written (No space left on device" in err
        assert "bytes are free there; make room or name another place" in err
        assert ".partial-" not in err
        assert list((tmp_path / "disk").iterdir()) == []


def test_ctrl_c_leaves_nothing_and_the_same_command_can_be_given_again(store, tmp_path, monkeypatch):
    folder = tmp_path / "out"

    def strike(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setitem(EXPORTERS, "csv", strike)
        with pytest.raises(KeyboardInterrupt):
            main(["export", store, "--to", "csv", "-o", str(folder)])
    assert not folder.exists()
    assert main(["export", store, "--to", "csv", "-o", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {"utterances.csv", "faces.csv", "embeddings.csv"}


def test_what_a_killed_one_has_left_goes_and_what_is_someones_stays(tmp_path):
    left = tmp_path / f".0123456789abcdef.partial-{socket.gethostname()}-999999999.1.ab."
    left.mkdir()
    (left / "faces.csv").write_text("half")
    with exporting(tmp_path) as folder:
        (folder / "faces.csv").write_text("whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("faces.csv", "whole")]
    with pytest.raises(StoreError, match="is not empty"), exporting(tmp_path):
        pass


KILLED = """
import os, pathlib, sys
from store.__main__ import main
when, *command = sys.argv[1:]
def killed(move):
    def moved(path, target):
        is_end = ".partial-" not in str(pathlib.Path(target).parent)
        if is_end and when == "before":
            os._exit(137)
        move(path, target)
        if is_end:
            os._exit(137)
    return moved
pathlib.Path.replace, pathlib.Path.rename = killed(pathlib.Path.replace), killed(pathlib.Path.rename)
main(command)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_its_files_take_their_place_a_new_folder_has_all_of_them_or_is_not_there(store, tmp_path, when):
    def export(folder):
        return ["export", store, "--to", "csv", "-o", str(folder)]

    out = tmp_path / "out"
    ended = subprocess.run([sys.executable, "-c", KILLED, when, *export(out)], cwd=ROOT, check=False)
    assert (ended.returncode, out.exists()) == (137, when == "after")
    assert main(export(tmp_path / "next")) == 0
    assert when == "before" or {path.name for path in out.iterdir()} == {
        path.name for path in (tmp_path / "next").iterdir()
    }
    assert not [path for path in tmp_path.iterdir() if ".partial-" in path.name], "what the killed one has left"


def test_a_file_in_its_place_is_one_sentence(store, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["export", store, "--to", "csv", "-o", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/file is a file; name a new folder for the export\n"
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_that_leads_nowhere_is_one_sentence(store, tmp_path, capsys):
    folder = tmp_path / "out"
    folder.symlink_to("gone")
    assert main(["export", store, "--to", "csd", "-o", str(folder)]) == 2
    assert f"{folder} is a link to gone, which is not there" in capsys.readouterr().err
    assert folder.is_symlink()


def test_where_no_folder_can_be_made_the_message_names_the_folder_that_was_asked_for():
    folder = Path("/proc/an-export")  # not even root can write there
    with pytest.raises(OSError, match="an-export") as raised, exporting(folder):
        pass
    assert raised.value.filename == str(folder)

"""One run a store: who holds it is told, and a lock from elsewhere does no harm."""

import json
import os
import subprocess
import sys

import pytest

from store.errors import StoreError, StoreInUseError
from store.lock import locked

HOLD = (
    "import sys; from pathlib import Path; from store.lock import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_a_second_run_is_refused_and_told_who_holds_the_lock(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreInUseError, match=f"is in use by process {holder.pid} on"), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        pass


def test_hosts_that_a_scheduler_keeps_apart_share_the_lock(tmp_path):
    with locked(tmp_path, shared=True), locked(tmp_path, shared=True), pytest.raises(StoreInUseError), locked(tmp_path):
        pass


@pytest.mark.parametrize("owner", ["{", "[1]", '"x"', "[" * 100_000, '{"process": 1}', ""])
def test_a_lock_without_a_readable_owner_is_told_as_anothers(tmp_path, owner):
    with locked(tmp_path):
        (tmp_path / ".lock").write_text(owner)
        with pytest.raises(StoreInUseError, match="is in use by another process; wait for it to end"), locked(tmp_path):
            pass


def test_the_owner_s_name_steers_no_terminal(tmp_path):
    with locked(tmp_path):
        (tmp_path / ".lock").write_text(json.dumps({"process": 1, "host": "\x1b[2J"}))
        with pytest.raises(StoreInUseError, match=r"process 1 on \\x1b\[2J;"), locked(tmp_path):
            pass


def test_the_lock_makes_the_stores_folder_and_says_where_it_cannot(tmp_path):
    with locked(tmp_path / "new" / "store"):
        assert (tmp_path / "new" / "store" / ".lock").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/\.lock cannot be opened for writing"), locked(tmp_path / "file"):
        pass


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_lock_that_is_no_file_is_refused_and_left(tmp_path, kind):
    (tmp_path / "mine").write_text("mine")
    lock = tmp_path / ".lock"
    if kind == "link":
        lock.symlink_to(tmp_path / "mine")
    elif kind == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    with pytest.raises(StoreError, match="cannot be"), locked(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "mine"

"""Whole files or none, and one run a store."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from store import files
from tests.modes import modes_obeyed


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.json"
    files.write_json(target, {"ä": 1})

    def fail():
        with files.replacing(target) as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert target.read_text(encoding="utf-8") == '{"ä":1}\n'
    assert list(tmp_path.iterdir()) == [target]


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = socket.gethostname()
    dead = tmp_path / f".a.h5.partial-{host}-{ended.pid}"
    mine = tmp_path / f".a.h5.partial-{host}-{os.getpid()}"
    elsewhere = tmp_path / f".a.h5.partial-another-host-{ended.pid}"
    deeper = tmp_path / "videos" / f".a.wav.partial-{host}-{ended.pid}"
    deeper.parent.mkdir()
    for path in (mine, elsewhere, tmp_path / "a.h5", deeper):
        path.touch()
    dead.mkdir()
    (dead / "crops").touch()
    assert files.remove_leftovers(tmp_path) == [dead]
    assert files.remove_leftovers(tmp_path, below=True) == [deeper]
    deeper.parent.rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.name, elsewhere.name, "a.h5"])


def kill_while_it_writes(folder):
    """Let a process be killed with a scratch folder and a file half-written, and return its number."""
    code = (
        "import os, signal, sys; from pathlib import Path; from store import files\n"
        "with files.temporary_folder(Path(sys.argv[1]), 'shard'), files.replacing(Path(sys.argv[1], 'a.h5')) as path:\n"
        "    path.touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)]) as killed:
        killed.wait()
    return killed.pid


def test_what_a_container_of_the_same_host_name_is_at_work_on_stays_for_a_week(tmp_path, monkeypatch):
    kill_while_it_writes(tmp_path)
    left = sorted(tmp_path.iterdir())
    monkeypatch.setattr(files, "_find_namespace", lambda: "1")  # as it is seen from another container
    assert files.remove_leftovers(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == left
    for path in left:
        os.utime(path, (0, 0))
    assert sorted(files.remove_leftovers(tmp_path)) == left


def test_what_a_dead_host_left_goes_when_nothing_of_it_has_changed_for_a_week(tmp_path):
    old = {}
    for number, name in enumerate(["dead", "at work"]):
        folder = tmp_path / f".0.partial-another-host-{number}.77.ab.4026531836"
        (folder / "crops").mkdir(parents=True)
        (folder / "crops" / "0").write_text("rows")
        for path in (folder / "crops" / "0", folder / "crops", folder):
            os.utime(path, (0, 0))
        old[name] = folder
    os.utime(old["at work"] / "crops" / "0")  # a file that grows leaves the times of its folders as they are
    files_of_others = tmp_path / ".0.partial-another-host-x.77.ab.4026531836"
    files_of_others.touch()
    os.utime(files_of_others, (0, 0))
    assert files.remove_leftovers(tmp_path) == [old["dead"]]
    assert sorted(tmp_path.iterdir()) == sorted([old["at work"], files_of_others])


def test_a_process_with_the_number_of_a_killed_one_goes_on(tmp_path, monkeypatch):
    # In a container the run and the next one are both process 1; on a host numbers are used again.
    number = kill_while_it_writes(tmp_path)
    left = sorted(tmp_path.iterdir())
    assert len(left) == 2
    monkeypatch.setattr(os, "getpid", lambda: number)
    monkeypatch.setattr(os, "kill", lambda process, signal: None)
    monkeypatch.setattr(files, "_start_of", lambda process: "77")
    with files.temporary_folder(tmp_path, "shard") as folder, files.replacing(tmp_path / "a.h5") as partial:
        partial.touch()
        assert sorted(files.remove_leftovers(tmp_path)) == left
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_the_start_of_a_process_is_told_apart_from_its_name(tmp_path):
    if not Path("/proc/self/stat").exists():
        pytest.skip("the system has no /proc")
    odd = tmp_path / "a) b (c"  # as a program's name it must not be taken for the fields that follow
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as sleeping:
        start = files._start_of(sleeping.pid)
        with subprocess.Popen([sys.executable, "-c", ""]) as later:
            assert int(start) <= int(files._start_of(later.pid))
        sleeping.kill()
    assert files._start_of(sleeping.pid) == ""


@pytest.mark.parametrize("name", ["a" * 252 + ".h5", "表" * 83 + ".h5", "caf\udce9.h5"])
def test_any_name_that_the_file_system_takes_can_be_written(tmp_path, name):
    files.write_text(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_is_replaced(tmp_path):
    link = tmp_path / "latest"
    for target in (Path("reports/a"), Path("reports/b"), Path("reports/b")):
        files.point_link(link, target)
        assert link.readlink() == target
    assert list(tmp_path.iterdir()) == [link]


def test_a_half_made_link_to_a_folder_goes_and_the_folder_stays(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report.json").touch()
    code = (
        "import os, signal, sys; from pathlib import Path; from store import files\n"
        "Path.replace = lambda beside, link: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.point_link(Path(sys.argv[1], 'latest'), Path('reports'))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -signal.SIGKILL
    (left,) = files.remove_leftovers(tmp_path)
    assert not left.is_symlink()
    assert [path.name for path in tmp_path.rglob("*")] == ["reports", "report.json"]


@pytest.mark.parametrize("write", [files.write_soon, lambda path, data: files.write_text(path, data.decode())])
def test_what_may_not_be_written_is_named_as_its_user_knows_it(tmp_path, write):
    folder = tmp_path / "shut"
    folder.mkdir()
    folder.chmod(0o500)
    with modes_obeyed(), pytest.raises(PermissionError) as caught:
        write(folder / "a.png", b"x")
    folder.chmod(0o700)
    assert caught.value.filename == str(folder / "a.png")
    assert list(folder.iterdir()) == []

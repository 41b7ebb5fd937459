"""Stores and folders of runs that may not be changed: enough with nothing to do, else one sentence."""

import pytest

from tests.modes import OBEY_MODES


@pytest.fixture
def settled(finished):
    """A finished workplace with a listing of its own."""
    assert finished.run().returncode == 0
    return finished


def take_rights(folder, rights=0o222):
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~rights)


def give_rights_back(folder):
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o600)


def one_sentence(ended, code=2):
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1), ended.stderr
    return ended.stderr


def test_with_nothing_to_do_neither_store_nor_runs_need_be_written(settled):
    take_rights(settled.folder / "store")
    take_rights(settled.folder / "runs")
    before = settled.digests(".")
    ended = settled.run(code=OBEY_MODES)
    assert ended.returncode == 0, ended.stderr
    assert "report: runs/latest/report.html" in ended.stdout
    assert "cannot" not in ended.stderr
    assert settled.digests(".") == before
    give_rights_back(settled.folder / "store")
    ended = settled.run(code=OBEY_MODES)
    assert ended.returncode == 0, ended.stderr


def test_with_something_to_do_one_sentence_names_the_setting(settled):
    take_rights(settled.folder / "runs")
    settled.configure("[joint]\nepochs = 1\n")
    ended = settled.run(code=OBEY_MODES)
    assert ended.returncode == 30
    assert "Traceback" not in ended.stderr
    (failure,) = [line for line in ended.stderr.splitlines() if line.startswith("failed: ")]
    assert failure.startswith("failed: FullRun: ")
    assert "(Permission denied); check who may read and write there, or give another [run] root (now runs)" in failure
    settled.configure("[faces]\nsmallest_face_px = 50\n")
    assert "give another [run] root (now runs)" in one_sentence(settled.run(code=OBEY_MODES))
    give_rights_back(settled.folder / "runs")
    take_rights(settled.folder / "store")
    before = settled.digests("store")
    told = one_sentence(settled.run(code=OBEY_MODES))
    assert "store/.lock cannot be opened for writing (Permission denied); check who may write there" in told
    assert settled.digests("store") == before


@pytest.mark.parametrize("part", ["store/roots", "store/embeddings", "omg_TrainVideos.csv", "videos"])
def test_what_may_not_be_read_is_one_sentence(finished, part):
    path = finished.folder / part
    path.chmod(0)
    told = one_sentence(finished.run(code=OBEY_MODES))
    assert part in told
    assert "Permission denied" in told
    path.chmod(0o755)

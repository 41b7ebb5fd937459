"""The store's lock is held before a run reads it, and a folder for the store is made only for input that is usable."""

import os
import subprocess
import sys

import pytest

from tests.modes import OBEY_MODES
from tests.pipeline.conftest import ROOT

LOCK = """
import contextlib
from pathlib import Path
from pipeline.errors import UserError
from pipeline.runs.locking import lock_store
from store.errors import StoreError
from store.lock import locked

def is_held():
    try:
        with locked(Path("store")):
            return False
    except StoreError:
        return True

with contextlib.ExitStack() as lock:
    try:
        refused, run = lock_store(lock, None, trains=False)
        print(type(refused).__name__, run and sorted(run.plan.assigned), is_held())
    except (UserError, StoreError) as error:
        print(f"{type(error).__name__}: {error}")
if Path("store").exists():
    print(is_held())
"""
SETTINGS = """
[dataset]
videos = videos
train = train.csv
validation = validation.csv
test =
[store]
root = store
[run]
root = runs
[embeddings]
weights = random
[anet]
vgg_weights = random
"""


@pytest.fixture
def lock(tmp_path):
    (tmp_path / "videos" / "v").mkdir(parents=True)
    (tmp_path / "videos" / "v" / "a.mp4").write_bytes(b"clip")
    (tmp_path / "videos" / "v" / "b.mp4").write_bytes(b"clip two")
    head = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    (tmp_path / "train.csv").write_text(f"{head}l,,,v,a.mp4,0.1,0.2,1\n")
    (tmp_path / "validation.csv").write_text(f"{head}l,,,v,b.mp4,0.1,0.2,1\n")
    (tmp_path / "run.cfg").write_text(SETTINGS)

    def run(before=""):
        return subprocess.run(
            [sys.executable, "-c", before + LOCK],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "run.cfg"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return run


def test_for_a_new_store_the_run_is_opened_first_and_the_lock_is_held_until_the_stack_closes(lock, tmp_path):
    assert lock() == "NoneType ['v/a', 'v/b'] True\nFalse\n"
    assert [path.name for path in (tmp_path / "store").iterdir()] == [".lock"]


def test_unusable_input_makes_no_folder(lock, tmp_path):
    (tmp_path / "train.csv").unlink()
    told = lock()
    assert told.startswith(("UserError: ", "DatasetError: ")), told
    assert "train.csv" in told
    assert not (tmp_path / "store").exists()


def test_a_store_that_is_there_is_locked_before_anything_in_it_is_read(lock, tmp_path):
    (tmp_path / "store" / "roots").mkdir(parents=True)
    (tmp_path / "store" / "roots" / "runs.json").write_text("{")
    assert lock() == "NoneType None True\nFalse\n"


def test_where_a_store_may_only_be_read_the_reason_comes_back(lock, tmp_path):
    (tmp_path / "store" / "roots").mkdir(parents=True)
    (tmp_path / "store").chmod(0o555)
    try:
        # Nobody can take the lock of a folder that is read-only: `is_held` is refused, too.
        assert lock(OBEY_MODES) == "StoreReadOnlyError None True\nTrue\n"
    finally:
        (tmp_path / "store").chmod(0o755)

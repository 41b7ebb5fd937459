"""An erased clip stays erased under another name, in whole runs with stubs (tests/pipeline/stubs.py)."""

import shutil

import pytest

from pipeline.runs.run import compute_file_digest
from store.__main__ import main
from store.catalog.feature_store import FeatureStore
from store.records.erased import read_erased

ROW = "is a copy of a clip that was erased from store on "


@pytest.fixture
def place(stub_place):
    """A finished run, of which train/1 was erased; its clip and its row are still there."""
    assert main(["erase", str(stub_place.folder / "store"), "train/1", "--yes"]) == 0
    return stub_place


def rename(place, name="train/9.mp4"):
    (place.folder / "videos" / "train/1.mp4").rename(place.folder / "videos" / name)
    place.write_rows("train", [*place.rows("train")[1:], place.row(name)])


def names(place):
    return set(FeatureStore(place.folder / "store"))


def test_a_renamed_clip_is_refused_and_told(place):
    rename(place)
    ended = place.run_stubs()
    row = place.ledger()["train/9"]
    assert (row["sound"], row["picture"]) == ("missing_file", "missing_file")
    assert row["sound_message"].startswith(f"train/9 {ROW}")
    assert "train/9" not in names(place)
    assert b"train/9" not in b"".join(path.read_bytes() for path in (place.folder / "store/shards").glob("*.json"))
    assert [stage["waiting"] for stage in ended][:5] == [0] * 5
    # The next run has nothing to do, either.
    assert [stage["waiting"] for stage in place.run_stubs()] == [0] * 9


def test_other_clips_of_the_same_size_are_computed_and_read_once(place, monkeypatch):
    rename(place)
    place.write_clip("train/8.mp4")
    place.write_rows("train", [*place.rows("train"), place.row("train/8.mp4")])
    place.run_stubs()
    assert place.ledger()["train/8"]["sound"] == "ok"
    assert "train/8" in names(place)
    # The shards record the other clips' digests, so only the refused clip is read again.
    looked = place.run(
        code="""
import pipeline.runs.erased_contents as module
from pathlib import Path
digest = module.compute_file_digest
module.compute_file_digest = lambda path: (print(path, file=open("read.txt", "a")), digest(path))[1]
"""
    )
    assert looked.returncode == 0, looked.stderr
    assert set((place.folder / "read.txt").read_text().split()) == {"videos/train/9.mp4"}


def test_a_copy_that_was_planned_and_not_yet_made_is_refused_too(stub_place):
    shutil.copyfile(stub_place.folder / "videos/train/1.mp4", stub_place.folder / "videos/train/9.mp4")
    rows = stub_place.rows("train")
    stub_place.write_rows("train", [*rows, stub_place.row("train/9.mp4")])
    # The run is stopped when its plan is written.
    stop = "import os\nfrom pipeline.session import session\nsession.Session.begin = lambda *a, **k: os._exit(9)\n"
    stub_place.run(code=stop)
    assert main(["erase", str(stub_place.folder / "store"), "train/1", "--yes"]) == 0
    stub_place.write_rows("train", [*rows[1:], stub_place.row("train/9.mp4")])
    stub_place.run_stubs()
    assert stub_place.ledger()["train/9"]["sound"] == "missing_file"
    assert "train/9" not in names(stub_place)


def test_predictions_refuse_it_too(place):
    folder = place.folder / "new"
    folder.mkdir()
    shutil.copyfile(place.folder / "videos/train/1.mp4", folder / "x.mp4")
    (folder / "y.mp4").write_text("somebody else")
    ended = place.run(
        "--videos",
        "new",
        task="Predict",
        code="""
from pipeline.prediction import predicting
from pipeline.runs.opening import open_run
from pathlib import Path
run = open_run(Path("new"))
print(sorted(run.erased), sorted(run.clips))
raise SystemExit(0)
""",
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "['new/x'] ['new/y']"


def test_the_list_holds_neither_name_nor_digest(place):
    text = (place.folder / "store" / "erased.json").read_text()
    digest = compute_file_digest(place.folder / "videos/train/1.mp4")
    assert digest not in text
    assert "train" not in text
    erased = read_erased(place.folder / "store")
    assert erased.find_content_date(digest, "")
    assert erased.may_hold(len("train/1.mp4"), "")
    assert not erased.may_hold(3, "")
    # Another part of the same recording is another clip.
    assert not erased.find_content_date(digest, '{"cut": [0, 1]}')

"""Helpers of the command's tests."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.export.rows import write_csv
from store.records.listings import Listing
from tests.store.stores import make_store
from tests.store.test_features import write_feature
from tests.valar.terminals import open_terminal, read_lines
from valar.cli import main
from valar.settings import OVERLAY_VARIABLE


@pytest.fixture(autouse=True)
def overlay_variable(monkeypatch):
    """Begin without an overlay in the environment, and remove what a command has put there."""
    monkeypatch.setenv(OVERLAY_VARIABLE, "")  # so that it is remembered, whatever it was
    monkeypatch.delenv(OVERLAY_VARIABLE)
    yield
    os.environ.pop(OVERLAY_VARIABLE, None)


@pytest.fixture
def type_in(monkeypatch):
    """Give a command in this process on a terminal of 80 columns; its exit code and the lines that it shows."""

    def run(*words):
        master, slave = open_terminal()
        with ThreadPoolExecutor(1) as pool:
            lines = pool.submit(read_lines, master)
            with monkeypatch.context() as patched, os.fdopen(slave, "w", encoding="utf-8") as terminal:
                patched.setenv("COLUMNS", "80")
                patched.setattr(sys, "stdout", terminal)
                patched.setattr(sys, "stderr", terminal)
                try:
                    code = main(list(words))
                except SystemExit as ended:
                    code = ended.code
            return code, lines.result()

    return run


#: Its letters take two columns each.
WIDE_CLIP = "第一回インタビュー/最初の日の午前中に録画された最初の部分 その一"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A store of clips with long names, a run of a long name, a feature of the longest, and settings that name it."""
    monkeypatch.chdir(tmp_path)
    shards = {
        "one": {"interview-of-anna/the first part of the first day": (400, 90), "v/b": (20, 0), WIDE_CLIP: (30, 0)}
    }
    root = tmp_path / "features"
    assigned = make_store(root, shards, run="the-run-of-the-first-week")
    for clips in shards.values():
        write_feature(root, "face_" + "m" * 40, assigned[next(iter(clips))], clips, 7)
    path = root / "roots" / "the-run-of-the-first-week.json"
    listing = Listing.read(path)
    fingerprints = {**listing.fingerprints, "face_" + "m" * 40: "fe01"}
    Listing(**{**vars(listing), "fingerprints": fingerprints}).write(root, path)
    (tmp_path / "clips").mkdir()
    for name in ("one", "two"):
        (tmp_path / "clips" / f"{name}.mp4").write_bytes(b"no clip")
    rows = [[f"{name}.mp4", 0.5, -0.25] for name in ("one", "two", "a-clip-of-a-long-name-that-nobody-has-put-there")]
    write_csv(tmp_path / "labels.csv", ["file", "arousal", "valence"], rows)
    settings = (
        "[dataset]\nvideos = clips\ntrain =\nvalidation =\ntest = t.csv\n"
        "[store]\nroot = features\n[embeddings]\nweights = random\n"
    )
    for name in ("valar.cfg", "x y.cfg"):
        (tmp_path / name).write_text(settings)
    write_csv(tmp_path / "t.csv", ["video", "utterance"], [["v", "b.mp4"]])
    write_csv(
        tmp_path / "truth.csv", ["video", "utterance", "arousal", "valence"], [["v", "b", 0.1, 0.2], ["v", "c", 0, 1]]
    )
    return tmp_path

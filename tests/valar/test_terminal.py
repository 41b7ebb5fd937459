"""What the commands print fits a terminal of 80 columns; a pipe gets lines as they are."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.export.rows import write_csv
from store.records.listings import Listing
from store.text import wrap
from tests.store.stores import make_store
from tests.store.test_features import write_feature
from valar.cli import COMMANDS, main
from valar.terminal import FittingStream


def open_terminal():
    """A terminal of 80 columns: its two ends."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return master, slave


def read_lines(master):
    """The lines that a terminal shows in the end, what was drawn over and colours left out."""
    shown = bytearray()
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        shown += data
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n")
    return [line.rpartition("\r")[2] for line in text.split("\n")]


def run_on_terminal(*words, cwd):
    """Give a command in a process of its own on such a terminal; its exit code and the lines that it shows."""
    environment = {name: value for name, value in os.environ.items() if name not in ("LUIGI_CONFIG_PATH", "COLUMNS")}
    master, slave = open_terminal()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "valar", *words],
        cwd=cwd,
        env={**environment, "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    lines = read_lines(master)
    return child.wait(), lines


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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A store of clips with long names, a run of a long name, a feature of the longest, and settings that name it."""
    monkeypatch.chdir(tmp_path)
    shards = {"one": {"interview-of-anna/the first part of the first day": (400, 90), "v/b": (20, 0)}}
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
    (tmp_path / "valar.cfg").write_text(
        "[dataset]\nvideos = clips\ntrain =\nvalidation =\ntest = t.csv\n"
        "[store]\nroot = features\n[embeddings]\nweights = random\n"
    )
    write_csv(tmp_path / "t.csv", ["video", "utterance"], [["v", "b.mp4"]])
    write_csv(
        tmp_path / "truth.csv", ["video", "utterance", "arousal", "valence"], [["v", "b", 0.1, 0.2], ["v", "c", 0, 1]]
    )
    return tmp_path


CLIP = "interview-of-anna/the first part of the first day"


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["store", "ls"], 0, "face_mmmmmmmmmmmm…"),
        (["store", "show", CLIP], 0, "embeddings: ok"),
        (["store", "why", CLIP], 0, "rows from row"),
        (["store", "why", "v/" + "x" * 30], 0, "does not list v/xxx"),
        (["store", "show", "interview-of-anna/the first part of the last day"], 2, "the nearest names are"),
        (["store", "verify"], 0, "no fault"),
        (["store", "gc", "--dry-run"], 0, "nothing to remove"),
        (["store", "compact", "--dry-run"], 0, "nothing to merge"),
        (["store", "erase", CLIP, "--dry-run"], 0, "would erase 1 utterance"),
        (["store", "export", "--to", "mmsa", "out"], 2, "MMSA wants splits and labels"),
        (["store", "export", "--to", "csv", "out"], 0, "in out"),
        (["store", "browse", "-o", "pages"], 0, "open pages/index.html"),
        (["store", "diff", "features"], 0, ""),
        (["weights", "list"], 0, "sphereface20"),
        (["models", "summary", "vnet"], 0, "in all"),
        (["evaluate", "truth.csv", "truth.csv"], 0, "total"),
        (["evaluate", "truth.csv", "labels.csv"], 2, ""),
        (["init", "clips", "--force"], 0, "a speaker may then be in both"),
        (["frobnicate"], 2, "invalid choice"),
    ],
)
def test_what_a_command_prints_fits_80_columns(folder, type_in, words, code, part):
    found, lines = type_in(*words)
    assert (found, [line for line in lines if len(line) > 80]) == (code, []), "\n".join(lines)
    assert part in " ".join(" ".join(lines).split())


@pytest.mark.parametrize(
    "words", [[], *([name] for name in COMMANDS), *(["store", name] for name in ("ls", "export", "erase"))]
)
def test_help_fits_80_columns(type_in, words):
    code, lines = type_in(*words, "-h")
    assert code == 0
    assert max(map(len, lines)) <= 80


def test_what_commands_of_a_run_print_fits_80_columns(folder):
    for words, code, part in (
        (["status"], 2, "sources of the last run are gone"),
        (["predict", "clips/one.mp4"], 2, ""),
        (["report"], 2, ""),
        (["gc", "--dry-run"], 2, "no run has said which checkpoints it needs"),
    ):
        found, lines = run_on_terminal(*words, cwd=folder)
        assert (found, [line for line in lines if len(line) > 80]) == (code, []), (words, lines)
        assert part in " ".join(" ".join(lines).split()), (words, lines)


def test_what_is_for_programs_is_never_broken(folder, type_in):
    code, lines = type_in("store", "why", CLIP, "--json")
    assert code == 0
    assert json.loads("\n".join(lines))
    code, lines = type_in("store", "show", CLIP, "--json")
    assert json.loads("\n".join(lines))["utterance"] == CLIP
    assert max(map(len, lines)) > 80
    code, lines = type_in("completion", "bash")
    assert code == 0
    assert max(map(len, lines)) > 80


def test_a_pipe_gets_lines_as_they_are(folder, capsys):
    assert main(["init", "clips", "--force"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) > 80


def test_lines_are_broken_between_words_and_paths_stay_whole():
    assert wrap("  " + "word " * 20, 40).split("\n")[1].startswith("    word")
    path = "/a/path/" + "x" * 60
    assert path in wrap(f"the file {path} is gone", 40)
    assert wrap("x" * 90, 40) == "x" * 90


def test_what_draws_for_itself_passes_as_it_is(capsys):
    stream = FittingStream(sys.stdout)
    stream.write("\r" + "word " * 40)
    stream.writelines(["a\n", "b\n"])
    stream.flush()
    assert capsys.readouterr().out == "\r" + "word " * 40 + "a\nb\n"


def test_a_command_to_give_next_stays_one_line():
    command = "  valar init videos --csv omg_TrainVideos.csv --csv omg_ValidationVideos.csv --csv omg_TestVideos.csv"
    shown = io.StringIO()
    FittingStream(shown).write(f"next:\n{command}\n" + "word " * 40)
    assert shown.getvalue().split("\n")[:2] == ["next:", command]
    assert max(map(len, shown.getvalue().split("\n")[2:])) <= 80

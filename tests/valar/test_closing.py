"""The commands to give next, which a command prints at its end, only on a terminal."""

import argparse
import importlib
import shlex
from pathlib import Path

import pytest

from models.weights.commands import list_weights
from tests.valar.conftest import WIDE_CLIP
from valar.cli import COMMANDS, main, make_parser
from valar.closing import close
from valar.group_help import EXAMPLES


@pytest.mark.parametrize(
    ("words", "code", "steps"),
    [
        (["store", "ls"], 0, ["valar store show VIDEO/UTTERANCE", "valar store browse -o pages"]),
        (["store", "show", "v/b"], 0, ["valar store show v/b --plot clip.png"]),
        (["store", "show", WIDE_CLIP], 0, [f"valar store show '{WIDE_CLIP}' --plot clip.png"]),
        (["store", "verify"], 0, None),
        (["evaluate", "truth.csv", "./truth.csv"], 0, ["valar evaluate truth.csv ./truth.csv OTHER.csv"]),
        (
            ["evaluate", "truth.csv", "truth.csv", "--resample", "videos"],
            0,
            ["valar evaluate truth.csv truth.csv OTHER.csv --resample videos"],
        ),
        (
            ["evaluate", "truth.csv", "truth.csv", "truth.csv"],
            0,
            ["valar evaluate truth.csv truth.csv truth.csv --json"],
        ),
        (["report"], 2, None),
        (["predict", "clips/one.mp4"], 2, None),
        (["init", "clips", "--force", "--try"], 0, ["valar run"]),
        (["store", "show", "v/b", "--config", "valar.cfg"], 0, ["valar store show v/b --plot clip.png"]),
        (
            ["store", "show", "v/b", "--config", "x y.cfg"],
            0,
            ["valar --config 'x y.cfg' store show v/b --plot clip.png"],
        ),
    ],
)
def test_a_command_says_on_a_terminal_what_comes_next(folder, type_in, words, code, steps):
    found, lines = type_in(*words)
    assert found == code
    assert ("next:" in lines) == (steps is not None)
    if steps is not None:
        told = lines[lines.index("next:") + 1 :]
        assert [line.strip() for line in told if line] == steps


def test_every_command_that_is_said_to_come_next_is_one(folder, type_in):
    seen = set()
    for words in (
        ["store", "ls"],
        ["store", "show", "v/b"],
        ["evaluate", "truth.csv", "truth.csv"],
        ["weights", "list"],
    ):
        _, lines = type_in(*words)
        for line in filter(None, lines[lines.index("next:") + 1 :]):
            valar, name, *rest = shlex.split(line, comments=True)
            assert valar == "valar"
            assert name in COMMANDS
            assert not COMMANDS[name].is_group or f"{name} {rest[0]}" in EXAMPLES
            seen.add(name)
    assert seen == {"store", "evaluate", "weights"}


def test_neither_a_pipe_nor_a_program_is_told_what_comes_next(folder, type_in, capsys):
    assert main(["store", "ls"]) == 0
    assert "next:" not in capsys.readouterr().out
    for words in (["store", "ls"], ["evaluate", "truth.csv", "truth.csv"]):
        code, lines = type_in(*words, "--json")
        assert (code, "next:" in lines) == (0, False), words


@pytest.mark.parametrize(
    ("command", "words", "code", "steps"),
    [
        ("report", [], 0, ["valar report --compare A B     # folders of two reports", "valar predict VIDEO"]),
        ("report", ["--compare", "one", "two"], 0, ["valar report two"]),
        ("predict", ["a clip.mp4"], 0, ["valar predict 'a clip.mp4' --over-time 1"]),
        ("predict", ["a.mp4", "--over-time", "1"], 0, ["valar faces a.mp4 -o a.png"]),
        ("predict", ["a.mp4"], 1, ["valar faces a.mp4 -o a.png"]),
        ("predict", ["clips"], 0, []),
        ("faces", ["a.mp4", "-o", "a.png"], 0, ["valar predict a.mp4"]),
        ("faces", ["a.mp4", "-o", "there.png"], 1, ["valar faces a.mp4 -o there.png --smallest-face 20"]),
        ("faces", ["a.mp4", "-o", "not-there.png"], 1, []),
        ("faces", ["a.mp4", "-o", "there.png", "--smallest-face", "30"], 1, []),
        ("faces", ["./-a.mp4", "-o", "a.png"], 0, ["valar predict ./-a.mp4"]),
        ("faces", ["./-a.mp4", "-o", "./-a.png"], 1, ["valar faces ./-a.mp4 -o ./-a.png --smallest-face 20"]),
        ("predict", ["./-a.mp4"], 0, ["valar predict ./-a.mp4 --over-time 1"]),
        ("predict", ["./-a.mp4"], 1, ["valar faces ./-a.mp4 -o ./-a.png"]),
        ("evaluate", ["t.csv", "p.csv"], 1, ["valar evaluate t.csv p.csv --json"]),
        ("status", [], 0, ["valar report"]),
        ("status", ["Features"], 0, ["valar store ls"]),
        ("status", [], 3, []),
        ("gc", [], 0, []),
    ],
)
def test_what_comes_after_a_command(folder, monkeypatch, capsys, command, words, code, steps):
    Path("there.png").touch()
    Path("-a.png").touch()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    arguments = read(command, words)
    close(command, words, arguments, code)
    printed = capsys.readouterr().out.splitlines()
    assert printed == (["next:", *(f"  {step}" for step in steps)] if steps else [])


def test_after_weights_are_fetched_the_others_come_next_and_then_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    arguments = argparse.Namespace(folder=tmp_path)
    close("weights fetch", ["sphereface20"], arguments, 0)
    assert capsys.readouterr().out.splitlines() == [
        "next:",
        "  valar weights fetch sphereface20",
        "  valar weights fetch vgg16",
    ]
    for row in list_weights(tmp_path):
        if row["state"] == "absent":
            Path(row["file"]).write_bytes(b"weights of somebody")
    close("weights fetch", ["sphereface20"], arguments, 0)
    assert capsys.readouterr().out.splitlines() == ["next:", "  valar run"]
    close("weights fetch", ["sphereface20"], arguments, 1)
    assert capsys.readouterr().out == ""


def read(command, words):
    """Read words as the command does."""
    return make_parser(command, importlib.import_module(COMMANDS[command].module)).parse_args(words)

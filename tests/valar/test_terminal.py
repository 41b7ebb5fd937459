"""What the commands print fits a terminal of 80 columns; a pipe gets lines as they are."""

import io
import json
import sys

import pytest
from rich.cells import cell_len

from store.text import count_columns, render_table, wrap
from tests.valar.conftest import WIDE_CLIP
from tests.valar.terminals import run_on_terminal
from valar.cli import COMMANDS, main
from valar.group_help import EXAMPLES
from valar.terminal import FittingStream


def is_too_wide(line):
    """A command to copy is never broken."""
    return count_columns(line) > 80 and not line.startswith("  valar ")


CLIP = "interview-of-anna/the first part of the first day"


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["store", "ls"], 0, "face_mmmmmmmmmmmm…"),
        (["store", "show", CLIP], 0, "embeddings: ok"),
        (["store", "why", CLIP], 0, "rows from row"),
        (["store", "why", WIDE_CLIP], 0, "rows from row"),
        (["store", "show", WIDE_CLIP], 0, "stft: ok"),
        (["store", "show", f"{WIDE_CLIP}二"], 2, "the nearest name is"),
        (["store", "why", "v/" + "x" * 30], 0, "does not list v/xxx"),
        (["store", "show", "interview-of-anna/the first part of the last day"], 2, "the nearest name is"),
        (["store", "verify"], 0, "no fault"),
        (["store", "gc", "--dry-run"], 0, "nothing to remove"),
        (["store", "compact", "--dry-run"], 0, "nothing to merge"),
        (["store", "erase", CLIP, "--dry-run"], 0, "would erase 1 utterance"),
        (["store", "export", "--to", "mmsa", "out"], 2, "MMSA needs splits and labels"),
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
    assert (found, [line for line in lines if is_too_wide(line)]) == (code, []), "\n".join(lines)
    assert part in " ".join(" ".join(lines).split())


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), *(name.split() for name in EXAMPLES)])
def test_help_fits_80_columns(type_in, words):
    code, lines = type_in(*words, "-h")
    assert code == 0
    assert max(map(count_columns, lines)) <= 80


def test_what_commands_of_a_run_print_fits_80_columns(folder):
    for words, code, part in (
        (["status"], 2, "sources of the last run have disappeared"),
        (["predict", "clips/one.mp4"], 2, ""),
        (["report"], 2, ""),
        (["gc", "--dry-run"], 2, "so it is not known which checkpoints are needed"),
    ):
        found, lines = run_on_terminal(*words, cwd=folder)
        assert (found, [line for line in lines if is_too_wide(line)]) == (code, []), (words, lines)
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


def test_columns_are_counted_as_terminals_do():
    letters = "aé表情ｱＡ한글ไทยनमस्ते\u0301\u200b🙂ｶﾞ…—"
    assert [count_columns(letter) for letter in letters] == [cell_len(letter) for letter in letters]
    table = render_table(("clip", "size"), [("表情一", "3"), ("ab", "12"), ("u\u0308ber", "1")], right=(1,))
    assert {count_columns(line) for line in table.split("\n")} == {len("表情一") * 2 + 2 + len("size")}
    wide = "人" * 30
    assert wrap(f"{wide} {wide} {wide}", 80).split("\n") == [wide, f"  {wide}", f"  {wide}"]
    accented = " ".join(["e\u0301" * 9] * 8)
    assert wrap(accented, 80) == accented


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

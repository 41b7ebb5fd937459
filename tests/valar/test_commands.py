"""What all commands have in common: names of options, help with examples, exit codes of wrong use."""

import importlib

import pytest

import valar
from pipeline.errors import UserError
from store.export.rows import write_csv
from valar.cli import COMMANDS, main
from valar.commands.completion import make_whole_parser
from valar.group_help import EXAMPLES, find_commands

#: An option's long name to its short one, "" for none; the same in all commands.
OPTIONS = {"--output": "-o", "--json": "", "--checkpoint": "", "--config": "", "--verbose": "-v", "--dry-run": ""}
#: Commands that tell facts, and so also to programs.
TOLD_TO_PROGRAMS = {
    *("status", "report", "predict", "evaluate", "gc", "models summary", "weights list"),
    *(f"store {name}" for name in find_commands(importlib.import_module("valar.commands.store").make_parser("valar"))),
}


def list_parsers():
    """Give every command's parser by its name, such as "store ls"."""
    found = {}
    for name, parser in find_commands(make_whole_parser()).items():
        if COMMANDS[name].is_group:
            found |= {f"{name} {inner}": made for inner, made in find_commands(parser).items()}
        else:
            found[name] = parser
    return found


def test_options_are_called_the_same_everywhere():
    parsers = list_parsers()
    assert len(parsers) >= 24
    seen = dict.fromkeys(OPTIONS, 0)
    for name, parser in parsers.items():
        for action in parser._actions:
            for long, short in OPTIONS.items():
                if long in action.option_strings:
                    seen[long] += 1
                    assert set(action.option_strings) == {long, *filter(None, [short])}, name
                elif short and short in action.option_strings:
                    pytest.fail(f"{name}: {short} is not {long}")
    assert min(seen.values()) >= 1
    told = {name for name, parser in parsers.items() if "--json" in parser._option_string_actions}
    assert told == TOLD_TO_PROGRAMS


def test_every_argument_of_every_command_has_its_help():
    bare = [
        f"{name}: {action.dest}"
        for name, parser in list_parsers().items()
        for action in parser._actions
        if not action.help and action.dest != "shell"
    ]
    assert bare == []


def test_every_example_is_a_command_line_that_can_be_read():
    parsers = list_parsers()
    texts = EXAMPLES | {name: entry.examples for name, entry in COMMANDS.items() if not entry.is_group}
    assert set(texts) == set(parsers)
    seen = 0
    for name, text in texts.items():
        for line in text.splitlines():
            if name in ("completion",):
                continue
            words = line.split()
            assert words[: 1 + len(name.split())] == ["valar", *name.split()], line
            rest = words[1 + len(name.split()) :]
            store = (
                ["features"]
                if (name.startswith("store ") and "other/features" not in rest) or name == "store diff"
                else []
            )
            parsers[name].parse_known_args(store + rest) if COMMANDS[words[1]].is_free else parsers[name].parse_args(
                store + rest
            )
            seen += 1
    assert seen >= 35


@pytest.mark.parametrize(
    "words",
    [
        *(["init", "none"], ["init", "clips"], ["init", "none.csv"], ["fetch-omg", "none.csv", "-o", "videos"]),
        *(["run"], ["features"], ["status"], ["report"], ["report", "none"], ["report", "--compare", "one", "two"]),
        *(["predict", "none.mp4"], ["predict", "clips/one.mp4"], ["predict", "clips"], ["predict", "clips", "--json"]),
        *(["evaluate", "none.csv", "truth.csv"], ["evaluate", "truth.csv", "none.csv"]),
        *(["faces", "none.mp4", "-o", "a.png"], ["faces", "clips/one.mp4", "-o", "a.gif"], ["gc"]),
        *(["store", "ls", "none"], ["store", "show", "none/none"], ["store", "diff", "none"]),
        *(["store", "export", "--to", "csv"], ["store", "export", "--to", "csv", "-o", "clips"]),
        *(["store", "compact", "--shard-size", "0"], ["store", "erase", "none/none"], ["store", "gc", "none"]),
        *(
            ["weights", "fetch", "vgg17"],
            ["weights", "frobnicate"],
            ["models", "summary", "vgg"],
            ["models", "summary", "vnet", "--batch-size", "0"],
            ["models", "summary", "anet", "--channel-scale", "-1"],
            ["store", "show", "v/b", "--plot", "a.xyz"],
            ["store", "export", "--to", "csv", "-o", "t.csv"],
            ["store", "browse", "-o", "t.csv"],
            ["gc", "--newest", "x"],
            ["completion", "fish"],
        ),
        *(["status", "--config", "none.cfg"], ["store", "ls", "--config", "none.cfg"], ["frobnicate"], []),
    ],
    ids=" ".join,
)
def test_wrong_use_and_unusable_input_have_the_exit_code_2_and_no_traceback(folder, capsys, words):
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    printed = capsys.readouterr()
    assert code == 2, printed
    assert "Traceback" not in printed.err
    assert printed.err or printed.out.startswith("usage: ")


def test_evaluate_takes_from_python_what_the_command_takes(tmp_path):
    head = ["video", "utterance", "arousal", "valence"]
    write_csv(tmp_path / "truth.csv", head, [["v", "a", 1, 9], ["v", "b", 5, 5], ["w", "a", 9, 3]])
    write_csv(tmp_path / "mine.csv", head, [["v", "a", -1, 1], ["v", "b", 0, 0], ["w", "a", 1, -0.5]])
    places = tmp_path / "truth.csv", tmp_path / "mine.csv"
    found = valar.evaluate(*places, label_range=(1, 9), resample="utterances")
    assert (found["scored"], found["arousal"]["ccc"]) == (3, pytest.approx(1))
    with pytest.raises(UserError, match=r"it must be a number in \[-1, 1\]; for another scale"):
        valar.evaluate(*places)
    with pytest.raises(UserError, match="label_range 9 1: it must be two numbers, the lower"):
        valar.evaluate(*places, label_range=(9, 1))
    with pytest.raises(UserError, match="resample 'clips' must be one of recordings, videos, utterances"):
        valar.evaluate(*places, label_range=(1, 9), resample="clips")

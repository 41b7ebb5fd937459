"""The command `valar`: all commands under one name, with the same settings, names and exit codes."""

import argparse
import importlib
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from valar import __version__, closing
from valar.group_help import add_help, begin_sentence, find_commands
from valar.packages import check_packages
from valar.settings import SettingsError, check_folder, use_settings
from valar.terminal import fitting_lines

#: Exit code for wrong use, or input that cannot be used.
WRONG_USE = 2

DESCRIPTION = """\
From a folder of videos to a feature store, three trained networks and a report
of arousal and valence."""
EPILOG = """\
A new folder of clips:
  valar init clips                  looks at it; writes valar.cfg and CSV files
  valar weights fetch sphereface20  once
  valar features                    computes the features
  valar run                         also trains the networks; writes the report

Settings are those of valar.cfg in the current folder, of --config FILE or of
LUIGI_CONFIG_PATH, laid over tasks.cfg. `valar COMMAND -h` says more.

Exit codes: 0 done; 1 something was found wrong; 2 wrong use, or input that
cannot be used; 3 (status) something is to do; run and features: [retcode].
"""


@dataclass(frozen=True)
class Entry:
    """One command.

    Args:
        summary: One line for the list of commands.
        module: Its module, which has `add_arguments(parser)` and `run(arguments)`, or is a group.
        examples: For its help.
        is_group: Whether the module has its own commands, with `make_parser(prog)` and `main(words, prog)`.
        is_free: Whether words that the command does not know are passed on (to Luigi).
        needs_data: Whether it reads the data set that the settings name.
    """

    summary: str
    module: str
    examples: str = ""
    is_group: bool = False
    is_free: bool = False
    needs_data: bool = False


COMMANDS = {
    "init": Entry(
        "look at a folder of clips; write valar.cfg and CSV",
        "valar.init.command",
        "valar init clips\nvalar init clips --try\nvalar init clips --csv labels.csv --label-range 1 9",
    ),
    "fetch-omg": Entry(
        "fetch the recordings that OMG-Emotion's files link to",
        "valar.fetching.fetch_omg",
        "valar fetch-omg omg_TrainVideos.csv omg_ValidationVideos.csv -o videos",
    ),
    "run": Entry(
        "features, three networks and the report",
        "valar.commands.run",
        "valar run\nvalar run --config trial.cfg",
        is_free=True,
        needs_data=True,
    ),
    "features": Entry(
        "features only",
        "valar.commands.features",
        "valar features\nvalar features --config trial.cfg",
        is_free=True,
        needs_data=True,
    ),
    "status": Entry(
        "what is done, waiting and failed",
        "pipeline.commands.status",
        "valar status --json\nvalar status Features",
        needs_data=True,
    ),
    "report": Entry(
        "the newest report, or compare two",
        "pipeline.commands.report",
        "valar report\nvalar report --compare runs/reports/A runs/reports/B",
    ),
    "predict": Entry(
        "arousal and valence of a video, or of a folder of clips",
        "valar.commands.predict",
        "valar predict talk.mp4\nvalar predict talk.mp4 --over-time 1 -o talk.csv\n"
        "valar predict clips -o predictions.csv\nvalar predict talk.mp4 --checkpoint runs/checkpoints/vnet-1a2b3c",
    ),
    "evaluate": Entry(
        "score predictions as the challenge does",
        "pipeline.commands.evaluate",
        "valar evaluate validation.csv predictions.csv\nvalar evaluate validation.csv mine.csv theirs.csv\n"
        "valar evaluate ratings.csv predictions.csv --label-range 1 9",
    ),
    "faces": Entry(
        "draw what face detection finds in a clip",
        "pipeline.commands.faces",
        "valar faces talk.mp4 -o sheet.png\nvalar faces talk.mp4 -o sheet.png --smallest-face 20",
    ),
    "gc": Entry(
        "remove old checkpoints (old features: valar store gc)",
        "pipeline.commands.gc",
        "valar gc --dry-run\nvalar gc --newest 3",
    ),
    "store": Entry("inspect and maintain the feature store", "valar.commands.store", is_group=True),
    "weights": Entry("list and fetch the published weights", "models.weights.commands", is_group=True),
    "models": Entry("look at the networks", "models.__main__", is_group=True),
    "completion": Entry(
        "print what a shell needs to complete `valar`",
        "valar.commands.completion",
        'eval "$(valar completion bash)"     # in ~/.bashrc; or zsh, in ~/.zshrc',
    ),
}


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if words is None else words)
    if "--json" in words or "completion" in words:  # read by programs, which need lines without breaks
        return _main(words)
    with fitting_lines():
        return _main(words)


def _main(words: list[str]) -> int:
    finder = argparse.ArgumentParser(prog="valar", add_help=False, allow_abbrev=False)
    finder.add_argument("--config")
    found, words = finder.parse_known_args(words)
    parser = make_top_parser()
    if not words:
        parser.print_help()
        return WRONG_USE
    if words[0].startswith("-") or words[0] not in COMMANDS:
        parser.parse_args(words[:1])
    try:
        check_packages()
        use_settings(found.config)
        return _run(words[0], words[1:])
    except (SettingsError, ImportError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("stopped: finished work is kept, and the same command continues from there", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; the interpreter must not print an error at the end
        return 0


def _run(name: str, words: list[str]) -> int:
    entry = COMMANDS[name]
    module = importlib.import_module(entry.module)
    if entry.is_group:
        return _run_group(name, module, words)
    parser = make_parser(name, module)
    if not words and any(action.required for action in parser._actions):
        parser.print_help()
        return WRONG_USE
    if entry.is_free:
        arguments, rest = parser.parse_known_args(words)
        arguments.rest = rest
    else:
        arguments = parser.parse_args(words)
    if entry.needs_data and not any(word.startswith("--dataset") for word in words):
        check_folder("dataset", "videos")
    code = int(module.run(arguments))
    closing.close(name, words, arguments, code)
    return code


def _run_group(name: str, module: Any, words: list[str]) -> int:
    prog = f"valar {name}"
    helper = add_help(module.make_parser(prog), name)
    asked = find_commands(helper).get(words[0]) if words else None
    if asked is not None and {"-h", "--help"} & {*words}:
        helper.parse_args(words)  # ends with the help
    if asked is not None and len(words) == 1 and any(a.required and a.dest != "store" for a in asked._actions):
        asked.print_help()
        return WRONG_USE
    code = int(module.main(words, prog=prog))
    if code in (0, 1) and words:
        whole = module.add_store(words, prog) if hasattr(module, "add_store") else words
        closing.close(f"{name} {words[0]}", words[1:], module.make_parser(prog).parse_args(whole), code)
    return code


def make_top_parser() -> argparse.ArgumentParser:
    """Make the parser that has the names of all commands and lists them."""
    parser = argparse.ArgumentParser(
        prog="valar", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"valar {__version__}")
    parser.add_argument("--config", metavar="FILE", help="settings, instead of valar.cfg")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, entry in COMMANDS.items():
        commands.add_parser(name, help=entry.summary, add_help=False)
    return parser


def make_parser(name: str, module: object) -> argparse.ArgumentParser:
    """Make the parser of one command that is not a group."""
    entry = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"valar {name}",
        description=textwrap.fill(begin_sentence(getattr(module, "HELP", entry.summary)), 79),
        epilog=f"Examples:\n{_indent(entry.examples)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments: Callable[[argparse.ArgumentParser], None] = module.add_arguments  # type: ignore[attr-defined]
    add_arguments(parser)
    parser.add_argument("--config", metavar="FILE", help="settings, instead of valar.cfg")
    return parser


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

"""Start of a Luigi task, as `luigi --module pipeline.tasks TASK` does it."""

import argparse
import contextlib
import difflib
import io
import re
import sys
from collections.abc import Iterator, Sequence

from valar.cli import WRONG_USE

#: The command of `valar` for each task.
COMMANDS = {"FullRun": "run", "Features": "features", "Predict": "predict"}


def run_task(task: str, words: Sequence[str] = ()) -> int:
    """Run a task of `pipeline.tasks` in this process.

    Args:
        task: Its name.
        words: Luigi's options, and the task's.

    Returns:
        The code of [retcode]; 2 when settings or data have to be mended first.
    """
    from luigi.cmdline import luigi_run

    try:
        import pipeline.tasks  # noqa: F401 (registers the tasks; settings are checked when the first one is made)

        if told := find_wrong_words(task, words):
            print(told, file=sys.stderr)
            return WRONG_USE
        luigi_run(["--module", "pipeline.tasks", task, *words])
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return WRONG_USE
        return ended.code or 0
    return 0


def find_wrong_words(task: str, words: Sequence[str]) -> str:
    """Say in one sentence which words Luigi would not accept; "" if it accepts all.

    Luigi itself prints lines of usage, which name neither the user's command nor the right option.

    Args:
        task: Its name, one of `pipeline.tasks`.
        words: Luigi's options, and the task's.
    """
    from luigi.cmdline_parser import CmdlineParser

    command = f"valar {COMMANDS[task]}"
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            parsed = CmdlineParser([task, *words]).known_args
    except SystemExit as ended:
        if ended.code != WRONG_USE:
            raise
        return _explain_usage(task, told.getvalue().partition("error: ")[2].strip())
    for option, value in _find_bad_values(parsed):
        return f"`{command}` cannot read {option} {value}; `{command} --help` says more"
    return ""


def _explain_usage(task: str, reason: str) -> str:
    """Say which option is unknown, with the nearest right name; for any other fault, repeat argparse's message."""
    from luigi.cmdline_parser import CmdlineParser

    command = f"valar {COMMANDS[task]}"
    found = re.match(r"(?:unrecognized arguments: (.*)|ambiguous option: (\S+) could match)", reason)
    if found is None:
        return f"`{command}`: {reason}; `{command} --help` says more"
    unknown = (found[1] or found[2]).split()
    option = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
    known = {"config", "help"}
    known |= {
        name.lstrip("-") for action in CmdlineParser._build_parser(task)._actions for name in action.option_strings
    }
    nearest = difflib.get_close_matches(option.lstrip("-"), sorted(known), n=1)
    meant = f"; did you mean --{nearest[0]}?" if nearest else "."
    return f"`{command}` does not know {option or ' '.join(unknown)}{meant} `{command} --help` says more"


def _find_bad_values(parsed: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield each option and value that Luigi would refuse only later, and with a traceback."""
    from luigi.task_register import Register

    for section, is_without_section, name, parameter in Register.get_all_params():
        value = getattr(parsed, f"{section}_{name}", None)
        if isinstance(value, str):
            try:
                parameter.parse(value)
            except Exception:
                yield f"--{name if is_without_section else f'{section}-{name}'}".replace("_", "-"), value

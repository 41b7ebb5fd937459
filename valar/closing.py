"""The commands to give next, which a command prints at its end on a terminal."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.settings.files import name_overlay

#: Returns the commands to give next, from the words of a command, its arguments and its exit code.
Advice = Callable[[Sequence[str], argparse.Namespace, int], list[str]]

#: Smallest face to try next if no face of the usual size was found.
_SMALL_FACE_PX = 20


def say_next(steps: Sequence[str]) -> None:
    """Print the commands to give next, one per line, ready to be copied.

    Args:
        steps: Whole commands; without any, nothing is printed.
    """
    if steps:
        print("next:", *(f"  {step}" for step in steps), sep="\n")


def close(command: str, words: Sequence[str], arguments: argparse.Namespace, code: int) -> None:
    """Print what to do after a command, but only on a terminal: programs that read a pipe get nothing more.

    Args:
        command: Its name, such as "report" or "store gc".
        words: The words after the name.
        arguments: The arguments parsed from these words.
        code: The command's exit code.
    """
    advise = _ADVICE.get(command) if code in (0, 1) else None
    if advise is not None and sys.stdout.isatty() and not getattr(arguments, "json", False):
        say_next([*map(name_overlay, advise(["valar", *command.split(), *words], arguments, code))])


def _join(*words: str | Path) -> str:
    """Join words for a shell; a file whose name begins with a hyphen must not be read as an option."""
    return shlex.join(
        f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words
    )


def _after_report(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    if arguments.compare:
        return [_join("valar", "report", arguments.compare[1])]
    return ["valar report --compare A B     # folders of two reports", "valar predict VIDEO"]


def _after_evaluate(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    if code or len(arguments.predictions) > 1:
        return [f"{shlex.join(words)} --json"]
    place = max(k for k, word in enumerate(words) if Path(word) == arguments.predictions[0]) + 1
    return [shlex.join([*words[:place], "OTHER.csv", *words[place:]])]


def _after_faces(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    sheet = ["valar", "faces", arguments.video, "-o", arguments.output]
    if code:  # a video that cannot be read gives no sheet
        is_finer = arguments.smallest_face is None and arguments.output.is_file()
        return [f"{_join(*sheet)} --smallest-face {_SMALL_FACE_PX}"] if is_finer else []
    return [_join("valar", "predict", arguments.video)]


def _after_predict(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    # The run of a folder says itself what to do next.
    if arguments.video.is_dir():
        return []
    look = _join("valar", "faces", arguments.video, "-o", Path(f"{arguments.video.stem}.png"))
    if code == 1 or arguments.over_time is not None:
        return [look]
    return [_join("valar", "predict", arguments.video, "--over-time", "1")]


def _after_status(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    if code:  # status itself has named the command that continues
        return []
    return ["valar store ls"] if arguments.task == "Features" else ["valar report"]


def _after_list(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    return ["valar store show VIDEO/UTTERANCE", "valar store browse -o pages"]


def _after_show(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    return [] if arguments.plot else [f"{shlex.join(words)} --plot clip.png"]


def _after_verify(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    if code == 0:
        return []
    return ["valar run"] if arguments.repair else [f"{shlex.join(words)} --repair"]


def _after_fetch(words: Sequence[str], arguments: argparse.Namespace, code: int) -> list[str]:
    from models.weights.commands import list_weights

    if code:
        return []
    absent = [row["name"] for row in list_weights(arguments.folder) if row["state"] == "absent"]
    return [f"valar weights fetch {name}" for name in absent] or ["valar run"]


_ADVICE: dict[str, Advice] = {
    "report": _after_report,
    "evaluate": _after_evaluate,
    "faces": _after_faces,
    "predict": _after_predict,
    "status": _after_status,
    "store ls": _after_list,
    "store show": _after_show,
    "store verify": _after_verify,
    "weights fetch": _after_fetch,
}

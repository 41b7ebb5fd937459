"""`valar predict`: one video directly, or a folder of clips as a Luigi run."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from pipeline.commands import predict
from valar.cli import WRONG_USE
from valar.commands.luigi_task import run_task

HELP = "Predict arousal and valence of a video, or of all clips in a folder, with a trained network."
#: Help of the arguments that mean something else for a folder.
_HELP_OF_BOTH = {
    "video": "a video, a sound file, or a folder of clips",
    "output": "CSV file of --over-time (default: <video>-over-time.csv, plot beside) or of a folder's predictions",
}
_OF_VIDEOS = ("over_time", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments for a video and for a folder."""
    predict.add_arguments(parser)
    for action in parser._actions:
        action.help = _HELP_OF_BOTH.get(action.dest, action.help)


def run(arguments: argparse.Namespace) -> int:
    """Predict a video, or the clips of a folder; a folder's features are kept in the store."""
    if not arguments.video.is_dir():
        return predict.run(arguments)
    for name in _OF_VIDEOS:
        if getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            print(f"{option} is for one video, and {arguments.video} is a folder", file=sys.stderr)
            return WRONG_USE
    words = ["--videos", str(arguments.video)]
    if arguments.checkpoint:
        words += ["--checkpoint", json.dumps([str(path) for path in arguments.checkpoint])]
    code = run_task("Predict", words)
    if code == 0 and arguments.output:
        _copy_predictions(arguments.output)
        print(f"{arguments.output}: the same predictions")
    return code


def _copy_predictions(target: Path) -> None:
    from pipeline.session.process_session import current_session

    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(current_session().predictions.folder / "predictions.csv", target)

"""What a run predicted of its clips, as the pages show it: `pages.json`, which a run leaves beside its report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.json_files import check_list, check_object, check_text, reading_json

#: Beside a report, reached as `<[run] root>/latest/pages.json`.
RESULTS_NAME = "pages.json"
FORMAT_VERSION = 1
_MOST_POINTS = 100_000

Pair = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A prediction over time.

    Args:
        seconds: Middle of each window.
        arousal: One value per window; None where nothing could be seen or heard.
        valence: One value per window, None where nothing could be predicted.
    """

    seconds: list[float]
    arousal: list[float | None]
    valence: list[float | None]


@dataclass(frozen=True)
class ClipResult:
    """What a run says of one clip.

    Args:
        file: Its video's path, relative to the folder of the videos; "" if it is not known.
        start: The second of that file at which the clip begins, where it is a part of a recording.
        predictions: Model to (arousal, valence).
        curve: The best model's prediction over time; only some clips have one.
    """

    file: str = ""
    start: float = 0.0
    predictions: Mapping[str, Pair] = field(default_factory=dict)
    curve: Curve | None = None


@dataclass(frozen=True)
class Results:
    """What a run says of its clips.

    Args:
        videos: The folder of the videos; "" where it is not known.
        best: The model whose error the index shows; "" where nothing was predicted.
        clips: By utterance.
    """

    videos: str = ""
    best: str = ""
    clips: Mapping[str, ClipResult] = field(default_factory=dict)


def read_results(path: Path) -> Results:
    """Read a run's results; empty results if there is no such file.

    Raises:
        StoreError: The file cannot be read, is damaged, or is of a later version.
    """
    try:
        with reading_json(path, FORMAT_VERSION, "remove it; the pages are then made without predictions") as value:
            clips = check_object(value["clips"], "clips")
            return Results(
                check_text(value["videos"], "videos"),
                check_text(value["best"], "best", 100),
                {check_text(name, "a clip's name"): _parse_clip(clip) for name, clip in clips.items()},
            )
    except FileNotFoundError:
        return Results()


def results_as_json(results: Results) -> dict[str, Any]:
    """Give results as the plain data of the file."""
    clips: dict[str, Any] = {}
    for name, clip in results.clips.items():
        predictions = {model: list(pair) for model, pair in clip.predictions.items()}
        clips[name] = {"file": clip.file, "start": clip.start, "predictions": predictions}
        if clip.curve is not None:
            clips[name]["curve"] = dict(vars(clip.curve))
    return {"format_version": FORMAT_VERSION, "videos": results.videos, "best": results.best, "clips": clips}


def _parse_clip(value: Any) -> ClipResult:
    clip = check_object(value, "a clip")
    file = check_text(clip["file"], "file")
    if file.startswith("/") or ".." in Path(file).parts:
        raise ValueError(f"file is {file!r:.80}; it must be in the folder of the videos")
    predictions = check_object(clip["predictions"], "predictions")
    return ClipResult(
        file,
        _parse_number(clip["start"]),
        {check_text(model, "a model's name", 100): _parse_pair(pair) for model, pair in predictions.items()},
        _parse_curve(clip["curve"]) if "curve" in clip else None,
    )


def _parse_pair(value: Any) -> Pair:
    arousal, valence = (_parse_number(number) for number in check_list(value, "a prediction"))
    return arousal, valence


def _parse_curve(value: Any) -> Curve:
    curve = check_object(value, "curve")
    lists = [check_list(curve[key], key) for key in ("seconds", "arousal", "valence")]
    if len({len(found) for found in lists}) != 1 or len(lists[0]) > _MOST_POINTS:
        raise ValueError(f"a curve has {[len(found) for found in lists]} points; it must have the same number of each")
    seconds, arousal, valence = lists
    return Curve([_parse_number(number) for number in seconds], _parse_gaps(arousal), _parse_gaps(valence))


def _parse_gaps(values: list[Any]) -> list[float | None]:
    return [None if value is None else _parse_number(value) for value in values]


def _parse_number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.80} is not a finite number")
    return float(value)

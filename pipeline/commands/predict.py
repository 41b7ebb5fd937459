"""`python -m pipeline predict VIDEO`: arousal and valence of one video, as a whole or over time."""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.inputs.clips import Clips
from pipeline.dataset.unlabelled import is_clip
from pipeline.dataset.utterances import USUAL_RANGE, map_label
from pipeline.errors import UserError
from pipeline.prediction.known_clips import find_known
from pipeline.progress import show_steps
from pipeline.report.rows import as_csv
from pipeline.report.tables import title_of
from pipeline.runs.opening import open_run
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.settings import config
from pipeline.training.combining import MEAN
from pipeline.training.data import TrainingData
from pipeline.training.windows import cut_windows, measure_seconds, place_windows, read_face_times
from store.files import replacing, write_text
from store.text import escape_lines, format_count

if TYPE_CHECKING:
    from pipeline.prediction.predictors import Ensemble

HELP = "arousal and valence of one video, with a trained network"
#: Length of the moving window: the median utterance of OMG-Emotion's training split.
WINDOW_SECONDS = 7.6
COLUMNS = ("start_seconds", "end_seconds", "arousal", "valence", "rests_on")


@dataclass(frozen=True)
class Answer:
    """The prediction for a video, or for a window of it.

    Attributes:
        start_seconds: where the window begins.
        end_seconds: where the window ends.
        arousal: from -1 to 1; None where no network has an input.
        valence: from -1 to 1; None where no network has an input.
        rests_on: the network that made the prediction, or "".
    """

    start_seconds: float
    end_seconds: float
    arousal: float | None
    valence: float | None
    rests_on: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("video", type=Path, help="a video, or a sound file")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        metavar="DIR",
        help="folder of a trained network, by default Joint of the newest report; repeat it to take the mean of "
        "several",
    )
    parser.add_argument("--over-time", type=float, metavar="STEP", help="apply a moving window every STEP seconds")
    parser.add_argument(
        "--window",
        type=float,
        default=WINDOW_SECONDS,
        metavar="SECONDS",
        help="length of that window (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="CSV of --over-time (default: <video>-over-time.csv, plot beside)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the prediction; return 1 where there is neither sound nor a face, 2 where something must be corrected."""
    try:
        return _predict(arguments)
    except UserError as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2


def _predict(arguments: argparse.Namespace) -> int:
    video, step = arguments.video, arguments.over_time
    if not video.is_file():
        raise UserError(f"{video} is not a file; name one video (a folder of clips: `valar predict DIR`)")
    if step is not None and not (step > 0 and arguments.window > 0):
        raise UserError(f"--over-time {step:g} and --window {arguments.window:g} must both be above 0 seconds")
    predictor = find_predictor(arguments.checkpoint)
    for note in predictor.notes:
        print(f"! {note}", file=sys.stderr)
    with open_scratch() as folder:
        data = extract_features(video, folder, predictor, store=Path(config.store().root))
        (row,) = data.ledger.values()
        seconds = measure_seconds(data, row)
        if step is None:
            return _print_answer(video, answer_video(predictor, data), row, arguments.json)
        clips = data.load_clips(
            "unlabelled", finetune=predictor.needs_crops, faces=predictor.faces, sound=predictor.sound
        )
        windows = place_windows(seconds, step, arguments.window)
        cut = cut_windows(clips, read_face_times(data, row), windows)
        with show_steps(1) as steps:
            steps.start(f"predicting {format_count(len(windows), 'window')}")
            answers = answer_windows(predictor, cut, windows, steps.advance)
    return _write_answers(answers, arguments.output or Path(f"{video.stem}-over-time.csv"), arguments.json)


@contextlib.contextmanager
def open_scratch() -> Iterator[Path]:
    """Make a temporary folder for one video's features, in `[run] scratch` if that is set; remove it at the end."""
    place = config.run().scratch or None
    if place is not None:
        Path(place).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="valar-", dir=place) as folder:
        yield Path(folder)


def extract_features(
    video: Path,
    folder: Path,
    predictor: "Ensemble | None" = None,
    *,
    progress: bool = True,
    store: Path | None = None,
) -> TrainingData:
    """Compute one video's features into a store of its own, with the stages that a whole data set goes through.

    Args:
        video: the file.
        folder: an empty folder, for the new store.
        predictor: the checkpoints that will use the features; other settings than those of their training are refused.
        progress: whether to show the progress.
        store: a store in which the features are looked for first, by the file's content.

    Raises:
        UserError: The settings do not fit the checkpoint, or something else must be corrected first.
    """
    from pipeline import stages
    from pipeline.stages.ready import check_ready

    if not is_clip(video):
        raise UserError(f"{video} is neither video nor sound; name one file that ffmpeg reads")
    place = folder / "videos" / (video.resolve().parent.name or "video")
    place.mkdir(parents=True)
    (place / video.name).symlink_to(video.resolve())
    found = open_run(place, store=folder / "store")
    check_ready(found, trains=False)
    if predictor is not None:
        predictor.check_features(found.stages, crops=found.settings.faces.crops)
    if store is not None and not (predictor is not None and predictor.needs_crops):
        known = find_known(found, video, store)
        if known is not None:
            print(f"{video}: uses its features in {store}", file=sys.stderr)
            return TrainingData.read(known)
    with show_steps(len(found.titles), progress=progress) as steps:
        for stage, title in found.titles.items():
            steps.start(title)
            for shard in found.plan.shards:
                stages.work_on(stage, stages.ShardJob(found, shard, seen=steps.advance))
    return TrainingData.read(found)


def find_predictor(checkpoints: Sequence[Path] | None) -> "Ensemble":
    """Load the named checkpoints, or else Joint of the newest report.

    Raises:
        UserError: There is no checkpoint, or the settings must be corrected first.
    """
    config.load()
    from pipeline.prediction.predictors import find_newest_checkpoints, load_ensemble

    return load_ensemble(checkpoints or find_newest_checkpoints(Path(config.run().root)))


def answer_video(predictor: "Ensemble", data: TrainingData) -> Answer:
    """Predict the one video, as a whole."""
    (row,) = data.ledger.values()
    clips = data.load_clips("unlabelled", finetune=predictor.needs_crops, faces=predictor.faces, sound=predictor.sound)
    return answer_windows(predictor, clips, [(0.0, measure_seconds(data, row))])[0]


def answer_windows(
    predictor: "Ensemble",
    clips: Clips,
    windows: Sequence[tuple[float, float]],
    seen: Callable[[float], None] = lambda share: None,
) -> list[Answer]:
    """Predict each window; `seen` is called with the share of the work that is done, from 0 to 1."""
    total, done = len(windows) * len(predictor.paths), 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        seen(done / total)

    values, sources = predictor.predict(clips, tick)
    return [
        Answer(start, end, None, None, "")
        if source == MEAN
        else Answer(start, end, round(float(pair[0]), 6), round(float(pair[1]), 6), source)
        for (start, end), pair, source in zip(windows, values, sources, strict=True)
    ]


def _print_answer(video: Path, answer: Answer, row: LedgerRow, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"video": str(video), **asdict(answer), "sound": row.sound, "picture": row.picture}))
    elif answer.rests_on:
        print(
            f"{video}: arousal {answer.arousal:.4f}, valence {answer.valence:.4f} "
            f"({title_of(answer.rests_on)}; {answer.end_seconds:.1f} s, "
            f"{format_count(row.num_faces, 'frame')} with a face)"
        )
        if own := _say_own_scale(answer):
            print(own)
    if not answer.rests_on:
        reasons = "; ".join(dict.fromkeys(filter(None, (row.sound_message, row.picture_message))))
        print(
            f"{video}: neither sound nor a face to predict from: sound {row.sound}, picture {row.picture}; {reasons}",
            file=sys.stderr,
        )
    return 0 if answer.rests_on else 1


def _say_own_scale(answer: Answer) -> str:
    """Give the prediction on the scale of the data set's labels; "" where that is -1 to 1, or without a prediction."""
    low, high = label_range = config.dataset().label_range
    if label_range == USUAL_RANGE or answer.arousal is None or answer.valence is None:
        return ""
    arousal, valence = (map_label(value, USUAL_RANGE, label_range) for value in (answer.arousal, answer.valence))
    return f"on the labels' scale, {low:g} to {high:g}: arousal {arousal:.4f}, valence {valence:.4f}"


def _write_answers(answers: Sequence[Answer], path: Path, as_json: bool) -> int:
    from pipeline.report.figures.drawing import save_figure
    from pipeline.report.figures.plots import draw_over_time

    rows = [
        [f"{answer.start_seconds:g}", f"{answer.end_seconds:g}", *_numbers(answer), answer.rests_on]
        for answer in answers
    ]
    write_text(path, as_csv([COLUMNS, *rows]))
    centres = np.array([(answer.start_seconds + answer.end_seconds) / 2 for answer in answers])
    values = np.array([[answer.arousal, answer.valence] for answer in answers], np.float64)
    picture = path.with_suffix(".png")
    with replacing(picture) as partial:
        save_figure(draw_over_time(centres, values), partial, kind="png")
    seen = sum(bool(answer.rests_on) for answer in answers)
    if as_json:
        print(json.dumps([asdict(answer) for answer in answers]))
    else:
        print(f"{path} and {picture}: {format_count(len(answers), 'window')}, {seen} with sound or a face")
    return 0 if seen else 1


def _numbers(answer: Answer) -> list[str]:
    return ["" if value is None else f"{value:.6f}" for value in (answer.arousal, answer.valence)]

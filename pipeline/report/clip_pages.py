"""What the clips' pages say of the run: labels, predictions, the videos, and the predictions over time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.inputs.clips import Clips
from pipeline.chain import NETWORKS
from pipeline.dataset.overrides import parse_text
from pipeline.dataset.utterances import utterance_name
from pipeline.report.report_files import Report
from pipeline.report.rows import DetailRow
from pipeline.report.tables import title_of
from pipeline.runs.run import Run
from pipeline.training.combining import average
from pipeline.training.data import TrainingData
from pipeline.training.experiment import Experiment
from pipeline.training.windows import cut_windows, measure_seconds, place_windows, read_face_times
from store import FeatureStore, files
from store.looking.browse import write_pages
from store.looking.results import ClipResult, Curve, Results

#: Of the pages, in the folder of runs; in each report's folder a link of that name leads there.
FOLDER = "browse"
#: Clips of each split that the report lists as the worst.
MOST_WORST = 10
#: Length of the moving window, seconds: shorter than an utterance, or there would be nothing to see in one.
WINDOW_SECONDS = 3.0
_STEP_SECONDS = 0.5
_MOST_WINDOWS = 200


def write_clip_pages(experiment: Experiment, show: Callable[[int, int], None]) -> None:
    """Write the pages of the clips that are new or have changed, and let the report's folder lead to them.

    Args:
        experiment: Whose report is linked as the newest.
        show: See `write_pages`.

    Raises:
        StoreError: The folder for the pages holds something else, or the store cannot be read.
        OSError: They cannot be written.
    """
    run = experiment.data.run
    write_pages(FeatureStore(run.store, run.name), run.folder / FOLDER, show=show)
    files.point_link(experiment.report_folder / FOLDER, Path("..", "..", FOLDER))


def find_worst(rows: Iterable[DetailRow]) -> list[tuple[float, DetailRow]]:
    """Find the utterances whose prediction is farthest from the truth, with the distance, the farthest first."""
    seen = [(row, row.truth) for row in rows if row.is_seen and row.truth is not None]
    found = [(float(np.hypot(row.values[0] - a, row.values[1] - v)), row) for row, (a, v) in seen]
    return sorted(found, key=lambda item: item[0], reverse=True)[:MOST_WORST]


def find_best_model(models: Iterable[str]) -> str:
    """Name the model whose errors are shown; "" where there is none."""
    given = set(models)
    return next((model for model in reversed(NETWORKS) if model in given), "")


def collect_results(experiment: Experiment, report: Report) -> Results:
    """Compose what the pages say of every utterance of the report."""
    run = experiment.data.run
    best = find_best_model(model for model, _ in report.rows)
    predictions: dict[str, dict[str, tuple[float, float]]] = {}
    shown: list[str] = []  # over time
    for (model, split), rows in report.rows.items():
        if model not in NETWORKS:
            continue
        for row in rows:
            name = utterance_name(row.video, row.utterance)
            of_clip = predictions.setdefault(name, {})
            if not row.is_seen:
                continue
            of_clip[title_of(model)] = row.values
            # Not of the training split: it is the largest, and its windows would take longer than all the rest.
            if model == best and split != "train":
                shown.append(name)
    curves = predict_over_time(experiment, shown)
    clips = {
        name: ClipResult(*_find_video(run, name), predictions=found, curve=curves.get(name))
        for name, found in predictions.items()
    }
    return Results(str(run.videos.resolve()), title_of(best) if best else "", clips)


def _find_video(run: Run, name: str) -> tuple[str, float]:
    """Give a clip's file below the folder of videos, "" where it is gone, and the second of it at which it begins."""
    clip = run.clips.get(name)
    if clip is None:
        return "", 0.0
    cut = parse_text(clip.override).cut
    return clip.path, cut[0] if cut else 0.0


def predict_over_time(experiment: Experiment, names: list[str]) -> dict[str, Curve]:
    """Predict clips in a moving window, by the mean of all seeds.

    Args:
        experiment: With its networks trained.
        names: The clips.

    Returns:
        By clip what `valar predict --over-time` says with the same window and step; clips of which nothing can be said
        are left out.
    """
    data, asked = experiment.data, set(names)
    parts: list[Clips] = []
    middles: dict[str, list[float]] = {}
    for split in data.splits:
        wanted = [k for k, utterance in enumerate(data.utterances(split)) if utterance.name in asked]
        clips = data.load_clips(split) if wanted else None
        for k in wanted:
            assert clips is not None
            windows = _place(data, clips.names[k])
            parts.append(cut_windows(_take(clips, [k]), read_face_times(data, data.ledger[clips.names[k]]), windows))
            middles[clips.names[k]] = [(start + end) / 2 for start, end in windows]
    if not parts:
        return {}
    values = _predict(experiment, _join(parts))
    curves, start = {}, 0
    for name, seconds in middles.items():
        pairs = values[start : start + len(seconds)]
        start += len(seconds)
        if np.isnan(pairs).all():
            continue  # seen as a whole, but only behind the last window that fits
        columns = [[None if np.isnan(value) else round(float(value), 4) for value in column] for column in pairs.T]
        curves[name] = Curve([round(middle, 3) for middle in seconds], *columns)
    return curves


def _place(data: TrainingData, name: str) -> list[tuple[float, float]]:
    seconds = measure_seconds(data, data.ledger[name])
    return place_windows(seconds, max(_STEP_SECONDS, seconds / _MOST_WINDOWS), WINDOW_SECONDS)


def _join(parts: list[Clips]) -> Clips:
    return Clips(
        [name for part in parts for name in part.names],
        None,
        [array for part in parts for array in part.stft],
        [array for part in parts for array in part.embeddings],
        [array for part in parts for array in part.crops],
        parts[0].hop_seconds,
    )


def _predict(experiment: Experiment, clips: Clips) -> np.ndarray:
    """Predict clips as the report does: (U, 2), NaN where no network could see anything.

    Joint sees most windows: the others are asked for the rest alone, since each window is a pass through VGG-16.
    """
    values = np.full((len(clips), 2), np.nan)
    for network in reversed(NETWORKS):
        left = np.flatnonzero(np.isnan(values).any(axis=1))
        if len(left):
            some = _take(clips, left.tolist())
            values[left] = average([trainings.predict_clips(network, some) for trainings in experiment.trainings])
    return values


def _take(clips: Clips, rows: Sequence[int]) -> Clips:
    return replace(
        clips,
        names=[clips.names[k] for k in rows],
        labels=None,
        stft=[clips.stft[k] for k in rows],
        embeddings=[clips.embeddings[k] for k in rows],
        crops=[clips.crops[k] for k in rows],
    )

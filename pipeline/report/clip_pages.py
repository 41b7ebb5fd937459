"""The run's part of the clips' pages: predictions, predictions over time, and the videos' places."""

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

#: The folder of the pages, in the folder of runs; each report's folder has a link of this name to it.
FOLDER = "browse"
#: The number of worst clips that the report lists for each split.
MOST_WORST = 10
#: Length of the moving window in seconds. It is shorter than most utterances, so that a prediction changes within one.
WINDOW_SECONDS = 3.0
_STEP_SECONDS = 0.5
_MOST_WINDOWS = 200


def write_clip_pages(experiment: Experiment, show: Callable[[int, int], None]) -> None:
    """Write the pages of the clips that are new or have changed, and link them from the report's folder.

    Args:
        experiment: The experiment of the newest report.
        show: See `write_pages`.

    Raises:
        StoreError: The folder for the pages contains other files, or the store cannot be read.
        OSError: The pages cannot be written.
    """
    run = experiment.data.run
    write_pages(FeatureStore(run.store, run.name), run.folder / FOLDER, show=show)
    files.point_link(experiment.report_folder / FOLDER, Path("..", "..", FOLDER))


def find_worst(rows: Iterable[DetailRow]) -> list[tuple[float, DetailRow]]:
    """Find the utterances whose prediction is farthest from the truth, each with that distance, the farthest first."""
    seen = [(row, row.truth) for row in rows if row.is_seen and row.truth is not None]
    found = [(float(np.hypot(row.values[0] - a, row.values[1] - v)), row) for row, (a, v) in seen]
    return sorted(found, key=lambda item: item[0], reverse=True)[:MOST_WORST]


def find_shown_model(models: Iterable[str]) -> str:
    """Name the model whose errors are shown: Joint, else VNet, else ANet; "" where there is none."""
    given = set(models)
    return next((model for model in reversed(NETWORKS) if model in given), "")


def collect_results(experiment: Experiment, report: Report) -> Results:
    """Collect the predictions and the video's place of every utterance of the report, for the pages."""
    run = experiment.data.run
    shown_model = find_shown_model(model for model, _ in report.rows)
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
            # The training split is left out: it is the largest, and its windows would take longer than all others.
            if model == shown_model and split != "train":
                shown.append(name)
    curves = predict_over_time(experiment, shown)
    clips = {
        name: ClipResult(*_find_video(run, name), predictions=found, curve=curves.get(name))
        for name, found in predictions.items()
    }
    return Results(str(run.videos.resolve()), title_of(shown_model) if shown_model else "", clips)


def _find_video(run: Run, name: str) -> tuple[str, float]:
    """Give a clip's path below the folder of videos, "" where it is gone, and its start in that file in seconds."""
    clip = run.clips.get(name)
    if clip is None:
        return "", 0.0
    cut = parse_text(clip.override).cut
    return clip.path, cut[0] if cut else 0.0


def predict_over_time(experiment: Experiment, names: list[str]) -> dict[str, Curve]:
    """Predict clips in a moving window, as the mean over all seeds.

    Args:
        experiment: An experiment whose networks are trained.
        names: The clips.

    Returns:
        For each clip what `valar predict --over-time` gives with the same window and step. Clips that no network can
        predict are left out.
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
            continue  # the clip's face or sound lies only after the last window
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
    """Predict clips as the report does: (U, 2), NaN where no network has an input.

    Joint predicts most windows, and VNet and ANet only the rest, because each window costs a pass through VGG-16.
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

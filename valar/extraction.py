"""The features or the prediction of one video, in one call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.paper import STFT_HOP_SECONDS
from pipeline.commands.predict import answer_video, extract_features, find_predictor, open_scratch
from pipeline.errors import UserError
from pipeline.settings import config
from store.features import is_feature, name_of, order_stages
from store.schema import SCHEMAS
from store.text import format_count
from valar.settings import SettingsError, use_settings


@dataclass(frozen=True)
class Extraction:
    """The features of one video. T STFT frames, 100 per second; N frames in which the speaker's face was found.

    Attributes:
        video: The file.
        stft: (T, 257, 2) float32, (real, imaginary); T is 0 if there is no sound.
        stft_times: (T,) float64, seconds since the clip's beginning.
        faces: (N, 112, 96, 3) uint8, blue, green, red, aligned; None if they were not asked for, or `[faces] crops` is
            not raw.
        boxes: (N, 4) float32, (x1, y1, x2, y2) in pixels of the upright frame.
        landmarks: (N, 5, 2) float32, (x, y) in pixels of the upright frame: eyes, nose, corners of the mouth.
        face_times: (N,) float64, seconds since the clip's beginning.
        embeddings: (N, 512) float32.
        status: Stage to its status: "ok", or the word for what is wrong.
        messages: Stage to a sentence, if there is one.
        features: Name of each declared feature (`[features.NAME]`) to its rows, (N, D) float32: one row for each row
            of `embeddings`, or for each piece of sound.
        feature_times: Name of each feature to the times of its rows, (N,) float64, seconds since the clip's beginning.
    """

    video: Path
    stft: np.ndarray
    stft_times: np.ndarray
    faces: np.ndarray | None
    boxes: np.ndarray
    landmarks: np.ndarray
    face_times: np.ndarray
    embeddings: np.ndarray
    status: dict[str, str]
    messages: dict[str, str]
    features: Mapping[str, np.ndarray] = field(default_factory=dict)
    feature_times: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Say how much sound and how many faces there are, and which status is not ok."""
        bad = "".join(f", {stage} {status}" for stage, status in self.status.items() if status != "ok")
        seconds = len(self.stft) * STFT_HOP_SECONDS
        frames = format_count(len(self.embeddings), "frame")
        return f"<Extraction of {self.video}: {seconds:.1f} s of sound, {frames} with a face{bad}>"


@dataclass(frozen=True)
class Prediction:
    """A network's prediction for one video.

    Attributes:
        arousal: From -1 to 1; None if there is neither a face nor sound.
        valence: From -1 to 1; None if there is neither a face nor sound.
        rests_on: The network that predicted: joint, or anet or vnet if the face or the sound is missing; "" for none.
        seconds: The video's length.
        notes: What to know before using the numbers, for example that weights are random.
    """

    arousal: float | None
    valence: float | None
    rests_on: str
    seconds: float
    notes: tuple[str, ...] = ()


def extract(video: Path, *, crops: bool, progress: bool) -> Extraction:
    """Compute what `valar.extract` returns."""
    _prepare(video)
    config.load()
    with open_scratch() as folder:
        run = extract_features(video, folder, progress=progress).run
        ((name, shard),) = run.plan.assigned.items()
        known = order_stages([*SCHEMAS, *run.chain])
        opened = {stage: rows for stage in known if (rows := run.shard(stage, shard)) is not None}

        def copy(stage: str, dataset: str) -> np.ndarray:
            return np.array(opened[stage].rows(name, dataset))  # copied: the file is removed when this function ends

        declared = {name_of(stage): stage for stage in opened if is_feature(stage)}
        stft = copy("stft", "stft")
        return Extraction(
            video=video,
            stft=stft,
            stft_times=np.arange(len(stft)) * STFT_HOP_SECONDS,
            faces=copy("crops", "crop") if crops and "crops" in opened else None,
            boxes=copy("faces", "box"),
            landmarks=copy("faces", "landmarks"),
            face_times=copy("faces", "time"),
            embeddings=copy("embeddings", "embedding"),
            status={stage: rows.fact(name, "status") for stage, rows in opened.items()},
            messages={stage: text for stage, rows in opened.items() if (text := rows.fact(name, "message"))},
            features={feature: copy(stage, "value") for feature, stage in declared.items()},
            feature_times={feature: copy(stage, "time") for feature, stage in declared.items()},
        )


def predict(video: Path, checkpoints: list[Path], *, progress: bool) -> Prediction:
    """Compute what `valar.predict` returns."""
    _prepare(video)
    predictor = find_predictor(checkpoints)
    with open_scratch() as folder:
        experiment = extract_features(video, folder, predictor, progress=progress)
        answer = answer_video(predictor, experiment)
    return Prediction(answer.arousal, answer.valence, answer.rests_on, answer.end_seconds, tuple(predictor.notes))


def _prepare(video: Path) -> None:
    if not video.is_file():
        raise UserError(f"{video} is not a file; name one video or sound file")
    try:
        use_settings()
    except SettingsError as error:
        raise UserError(str(error)) from error

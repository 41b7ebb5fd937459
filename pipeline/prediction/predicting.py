"""Predictions of a checkpoint for a folder of clips without labels, as files for a submission."""

import contextlib
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.unlabelled import UNLABELLED
from pipeline.dataset.utterances import tell_label_range
from pipeline.errors import UserError
from pipeline.prediction.predictors import Ensemble, find_newest_checkpoints, load_ensemble
from pipeline.report.publish import count_coverage, list_split
from pipeline.report.report_files import ModelPredictions, Report, build_report, write_report
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.opening import open_run
from pipeline.runs.outcome.ledger import format_ledger
from pipeline.runs.outcome.report_json import open_report_json
from pipeline.runs.run import compute_file_digest
from pipeline.settings import config
from pipeline.stages.device import describe_machine
from pipeline.training.data import TrainingData
from store.text import escape, format_count


@dataclass(frozen=True)
class Predictions:
    """Predictions of checkpoints for a folder of clips, in a folder that clips, checkpoints and features name.

    Args:
        data: The clips, with all their features.
        predictor: The checkpoints, which were trained on features with the same settings.
    """

    data: TrainingData
    predictor: Ensemble

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of these predictions."""
        run = self.data.run
        fingerprint = compute_fingerprint(
            {
                "checkpoints": {name: compute_file_digest(found) for name, found in self.predictor.paths.items()},
                "stages": run.fingerprints,
                "utterances": [
                    [u.name, u.utterance, row.sound, row.picture, row.identity]
                    for u in run.dataset.utterances
                    for row in [self.data.ledger[u.name]]
                ],
            }
        )
        return run.folder / "predictions" / f"{run.dataset.utterances[0].csv_path.name}-{fingerprint}"

    @property
    def are_there(self) -> bool:
        """Whether the predictions have been written."""
        return (self.folder / "predictions.csv").exists()

    def write(self) -> None:
        """Write predictions.csv, the details of each row, the ledger, and the record of how they were made."""
        write_report(self.folder, compose_predictions(self.data, self.predictor), replace=True)

    def print(self) -> None:
        """Print the notes about the predictions, how many there are, and where they are."""
        content = open_report_json(self.folder / "prediction.json")
        for note in content["notes"]:
            print(f"! {escape(note)}")
        entry = content["models"].get(self.predictor.kind, {}).get(UNLABELLED, {})
        if "predicted" not in entry:
            raise UserError(
                f"{self.folder} does not contain predictions of {self.predictor.kind}: remove it, then run again"
            )
        print(
            f"{entry['predicted']} of {format_count(entry['listed'], 'clip')} predicted; the rest get the training mean"
        )
        print(f"predictions: {self.folder / 'predictions.csv'}", flush=True)


def compose_predictions(data: TrainingData, predictor: Ensemble) -> Report:
    """Predict all clips of a run and make the texts of the files; nothing is written."""
    values, sources = predictor.predict(
        data.load_clips(UNLABELLED, finetune=predictor.needs_crops, faces=predictor.faces, sound=predictor.sound)
    )
    listing = list_split(data, UNLABELLED)
    report = build_report(
        [ModelPredictions(predictor.kind, UNLABELLED, listing.names, values, sources)],
        [listing],
        training_mean=predictor.training_mean,
        provenance={
            "checkpoints": {
                name: f"{path} sha256:{compute_file_digest(path)}" for name, path in predictor.paths.items()
            },
            "stages": data.run.fingerprints,
            "device": describe_machine(data.run.settings),
        },
        notes=[*predictor.notes, *tell_label_range(config.dataset().label_range)],
        extra={"coverage": count_coverage(data.ledger.values())},
    )
    stem = f"predictions/{predictor.kind}-{UNLABELLED}"
    names = {"report.json": "prediction.json", f"{stem}.csv": "predictions.csv", f"{stem}.detail.csv": "detail.csv"}
    files = {names[path]: text for path, text in report.files.items()}
    return Report(report.content, {**files, "ledger.csv": format_ledger(data.ledger.values())}, report.rows)


def prepare_predictions(videos: str, checkpoint: str) -> Callable[[TrainingData], Predictions]:
    """Read the checkpoints that are to predict a folder of clips, and give a function that makes the predictions.

    Args:
        videos: the folder.
        checkpoint: see `split_checkpoints`; "" for Joint of the newest report.

    Raises:
        UserError: Settings, clips or a checkpoint must be corrected first, or they do not fit each other.
    """
    if not videos:
        raise UserError("Predict needs --videos DIR, a folder of clips or a folder of folders of clips")
    predictor = load_ensemble(split_checkpoints(checkpoint) or find_newest_checkpoints(Path(config.run().root)))
    # Checked now, before the session writes a plan or takes the lock.
    run = open_run(Path(videos))
    predictor.check_features(run.stages, crops=run.settings.faces.crops)
    return functools.partial(Predictions, predictor=predictor)


def split_checkpoints(text: str) -> list[Path]:
    """Read the folders of trained networks: one path, several paths with commas between them, or a JSON list.

    If the whole text is an existing path, it is one path. Paths that contain commas can be given as a JSON list, such
    as '["a,b", "c"]'.

    Raises:
        UserError: A JSON list contains anything but paths.
    """
    with contextlib.suppress(OSError):  # the whole text may be too long for a path
        if text and Path(text).exists():
            return [Path(text)]
    if not text.startswith("["):
        return [Path(part.strip()) for part in text.split(",") if part.strip()]
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        parts = None
    if not (isinstance(parts, list) and parts and all(isinstance(part, str) and part for part in parts)):
        raise UserError(
            f"--checkpoint {text:.200} is neither a path nor a list of paths; write several with commas between them "
            """or, where a path holds a comma, as '["a,b", "c"]'"""
        )
    return [Path(part) for part in parts]

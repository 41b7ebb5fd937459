"""The Predict task: a folder of clips without labels, and a checkpoint, become a submission."""

import functools
import json
from pathlib import Path

from pipeline import config
from pipeline.dataset.unlabelled import UNLABELLED
from pipeline.errors import UserError
from pipeline.prediction.predictors import Ensemble, find_newest_checkpoints, load_ensemble
from pipeline.report.publish import count_coverage, list_split
from pipeline.report.report_files import ModelPredictions, Report, build_report, write_report
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.ledger import format_ledger
from pipeline.runs.run import Run, compute_file_digest, current_run, open_run
from pipeline.session import Session
from pipeline.stages.device import describe_machine
from pipeline.training.experiment import Experiment

TITLE = "predict"


class PredictionSession(Session):
    """What the tasks of this process share when it predicts.

    Args:
        run: On the clips to predict.
        predictor: The checkpoints, made on features as the run's.
    """

    def __init__(self, run: Run, predictor: Ensemble) -> None:
        super().__init__(run)
        self.predictor = predictor

    @functools.cached_property
    def experiment(self) -> Experiment:
        """The clips' ledger and features; not to be asked for before they are there."""
        experiment = Experiment(self.run)
        self.progress.expect(TITLE, 0 if (self.find_folder(experiment) / "predictions.csv").exists() else 1, "files")
        return experiment

    @property
    def folder(self) -> Path:
        """Where the predictions go: named after the clips, the checkpoint and the features."""
        return self.find_folder(self.experiment)

    def find_folder(self, experiment: Experiment) -> Path:
        """Give the folder of these predictions."""
        fingerprint = compute_fingerprint(
            {
                "checkpoints": {name: compute_file_digest(found) for name, found in self.predictor.paths.items()},
                "stages": self.run.fingerprints,
                "utterances": [
                    [u.name, u.utterance, row.sound, row.picture, row.source_sha256]
                    for u in self.run.dataset.utterances
                    for row in [experiment.ledger[u.name]]
                ],
            }
        )
        listed_from = self.run.dataset.utterances[0].csv_path
        return self.run.folder / "predictions" / f"{listed_from.name}-{fingerprint}"

    @property
    def is_predicted(self) -> bool:
        """Whether the file is there."""
        return not self.run.pending and (self.folder / "predictions.csv").exists()

    def predict(self) -> None:
        """Write predictions.csv, what each row rests on, and the record of how they were made."""
        folder = self.folder
        with self.progress.working(TITLE):
            write_report(folder, compose_predictions(self.experiment, self.predictor), replace=True)
            self.progress.tick(TITLE)

    def print_results(self) -> None:
        """Print where the predictions are."""
        if not self.is_predicted:
            return
        content = json.loads((self.folder / "prediction.json").read_text(encoding="utf-8"))
        for note in content["notes"]:
            print(f"! {note}")
        entry = content["models"][self.predictor.kind][UNLABELLED]
        print(f"{entry['predicted']} of {entry['listed']} clips predicted; the rest are given the training mean")
        print(f"predictions: {self.folder / 'predictions.csv'}", flush=True)


def compose_predictions(experiment: Experiment, predictor: Ensemble) -> Report:
    """Predict all clips of a run and compose the files; nothing is written."""
    values, sources = predictor.predict(experiment.load_clips(UNLABELLED, finetune=predictor.needs_crops))
    listing = list_split(experiment, UNLABELLED)
    report = build_report(
        [ModelPredictions(predictor.kind, UNLABELLED, listing.names, values, sources)],
        [listing],
        training_mean=predictor.training_mean,
        provenance={
            "checkpoints": {
                name: f"{path} sha256:{compute_file_digest(path)}" for name, path in predictor.paths.items()
            },
            "stages": experiment.run.fingerprints,
            "device": describe_machine(),
        },
        notes=predictor.notes,
        extra={"coverage": count_coverage(experiment.ledger.values())},
    )
    stem = f"predictions/{predictor.kind}-{UNLABELLED}"
    names = {"report.json": "prediction.json", f"{stem}.csv": "predictions.csv", f"{stem}.detail.csv": "detail.csv"}
    files = {names[path]: text for path, text in report.files.items()}
    return Report(report.content, {**files, "ledger.csv": format_ledger(experiment.ledger.values())}, report.rows)


def open_prediction(videos: str, checkpoint: str) -> PredictionSession:
    """Open this process's work on a folder of clips.

    Args:
        videos: the folder.
        checkpoint: a trained network's folder; several with commas between them for their mean; "" for Joint of the
            newest report.

    Raises:
        UserError: Settings, clips or checkpoint have to be mended first, or do not fit each other.
    """
    if not videos:
        raise UserError("Predict needs --videos DIR, a folder of clips or of folders of clips")
    predictor = load_ensemble(split_checkpoints(checkpoint) or find_newest_checkpoints(Path(config.run().root)))
    # Before anything is planned or locked.
    predictor.check_features(open_run(Path(videos)).stages)
    return PredictionSession(current_run(Path(videos)), predictor)


def split_checkpoints(text: str) -> list[Path]:
    """Read the paths between commas; what exists as a whole is one path."""
    if text and Path(text).exists():
        return [Path(text)]
    return [Path(part.strip()) for part in text.split(",") if part.strip()]

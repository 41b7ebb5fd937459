"""From checkpoints to the report: every split predicted by every network, written whole, linked as the newest."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.experiment import NETWORKS, Experiment
from pipeline.fingerprints import describe_packages
from pipeline.ledger import format_ledger
from pipeline.report import ModelPredictions, Report, SplitListing, build_report, write_report


def publish(experiment: Experiment, seconds: dict[str, float]) -> None:
    """Predict, score and write `<[run] root>/reports/<fingerprint>/`, then link `<[run] root>/latest` to it.

    Args:
        experiment: With its three networks trained.
        seconds: Time spent per stage in this run, for the record.
    """
    listings = [_list_split(experiment, split) for split in experiment.splits]
    predictions = [found for split in experiment.splits for found in _predict_split(experiment, split)]
    labels = experiment.labels("train")
    assert labels is not None  # check_trainable has seen some
    report = build_report(
        predictions,
        listings,
        training_mean=np.nanmean(labels, axis=0),
        provenance={
            **experiment.describe(),
            "packages": {
                name: version for stage in ("stft", "faces") for name, version in describe_packages(stage).items()
            },
            "checkpoints": {network: str(experiment.folder(network)) for network in NETWORKS},
            "seconds": {stage: round(value, 1) for stage, value in seconds.items()},
        },
        notes=experiment.notes(),
    )
    files = {**report.files, "ledger.csv": format_ledger(experiment.ledger.values())}
    write_report(experiment.report_folder, Report(report.content, files), replace=True)
    link_latest(experiment.report_folder)


def link_latest(folder: Path) -> None:
    """Let `latest`, beside the reports' folder, point to a report; the link is replaced, never absent."""
    link = folder.parent.parent / "latest"
    beside = link.with_name(f".latest-{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(Path(folder.parent.name) / folder.name)
    beside.replace(link)


def _list_split(experiment: Experiment, split: str) -> SplitListing:
    utterances = experiment.utterances(split)
    rows = [experiment.ledger[u.name] for u in utterances]
    return SplitListing(
        split=split,
        names=[u.name for u in utterances],
        videos=[u.video for u in utterances],
        utterances=[u.utterance for u in utterances],
        labels=experiment.labels(split),
        sound=[row.sound for row in rows],
        picture=[row.picture for row in rows],
    )


def _predict_split(experiment: Experiment, split: str) -> Iterator[ModelPredictions]:
    names = [u.name for u in experiment.utterances(split)]
    values = {network: experiment.predict(network, split) for network in NETWORKS}
    for network in ("anet", "vnet"):
        yield ModelPredictions(network, split, names, values[network], [network] * len(names))
    yield ModelPredictions("joint", split, names, *fall_back(values))


def fall_back(values: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Fill in the single networks' predictions where Joint lacks sound or face.

    Args:
        values: Network to (U, 2) predictions, NaN where it could see nothing.

    Returns:
        (U, 2) values, NaN where no network could see anything, and the network that each row is of.
    """
    filled = np.full_like(values["joint"], np.nan)
    sources = np.full(len(filled), "joint", dtype=object)
    for network in ("anet", "vnet", "joint"):
        seen = ~np.isnan(values[network]).any(axis=1)
        filled[seen] = values[network][seen]
        sources[seen] = network
    return filled, sources.tolist()

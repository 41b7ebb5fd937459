"""From checkpoints to the report: every network predicts every split, and the report is written as a whole."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from models import paper
from pipeline.chain import NETWORKS, STAGES
from pipeline.dataset.omg import NAME, find_official_splits
from pipeline.report.baselines.closed_form import make_baselines
from pipeline.report.baselines.opensmile_baseline import make_opensmile_baselines
from pipeline.report.clip_pages import collect_results
from pipeline.report.constant import note_constant
from pipeline.report.cross_validation import score_folds
from pipeline.report.ensemble import Members, score_members
from pipeline.report.history.history_page import keep_history
from pipeline.report.page import render_page
from pipeline.report.report_files import ModelPredictions, SplitListing, build_report, write_report
from pipeline.report.selection import describe_selection
from pipeline.report.speech import describe_speech
from pipeline.runs.fingerprints import describe_packages
from pipeline.runs.outcome.ledger import LedgerRow, count_statuses, format_ledger
from pipeline.runs.run import Run
from pipeline.stages.device import describe_machine
from pipeline.training.combining import average, fall_back
from pipeline.training.data import TrainingData
from pipeline.training.experiment import Experiment
from pipeline.training.records.metrics_lines import read_metrics
from store.looking.results import RESULTS_NAME, results_as_json
from store.text import format_count


def publish(experiment: Experiment, seconds: dict[str, float], folds: Sequence[Experiment] = ()) -> None:
    """Predict, score and write `<[run] root>/reports/<fingerprint>/`.

    Args:
        experiment: An experiment whose networks are trained.
        seconds: Stage to the seconds that it took in this run, for the record.
        folds: The trained experiments of cross-validation; empty for none.
    """
    data, settings = experiment.data, experiment.data.run.settings
    listings = [list_split(data, split) for split in data.splits]
    predicted = {split: _predict_split(experiment, split) for split in data.splits}
    predictions = [found for listing in listings for found in _average_split(predicted[listing.split], listing)]
    report = build_report(
        predictions,
        listings,
        training_mean=data.training_mean(),
        provenance=_describe_making(experiment, seconds),
        baselines=[
            *make_baselines(data, predictions, listings),
            *(make_opensmile_baselines(data, listings) if settings.run.opensmile else ()),
        ],
        notes=[
            *data.notes(),
            *describe_speech(data),
            *experiment.notes(),
            *note_constant(experiment, folds),
            *note_missing_files(data.ledger.values()),
            *note_recordings(listings),
        ],
        extra={
            "coverage": count_coverage(data.ledger.values()),
            "curves": {network: read_curve(experiment.trainings[0].folder(network)) for network in NETWORKS},
            "official_splits": find_official_splits(data.run.dataset.utterances),
            "data": describe_data(data),
            "changed": settings.find_changed(),
            "recordings": describe_recordings(data.run.dataset.grouping.by, listings),
            "selection": describe_selection(
                data,
                _predict_by_other_choice(experiment, listings),
                listings,
                [] if experiment.other_choice is None else _name_folders([experiment.other_choice]),
            ),
            **({"cross_validation": _describe_folds(folds)} if folds else {}),
            **({"ensemble": _describe_ensemble(experiment, predicted, listings)} if settings.run.seeds > 1 else {}),
        },
    )
    report.files["ledger.csv"] = format_ledger(data.ledger.values())
    if settings.run.pages:
        results = results_as_json(collect_results(experiment, report))
        report.files[RESULTS_NAME] = json.dumps(results, ensure_ascii=False, separators=(",", ":")) + "\n"
    report.files["report.html"] = render_page(report, has_pages=settings.run.pages)
    write_report(experiment.report_folder, report, replace=True)
    keep_history(data.run.folder)


def count_coverage(rows: Iterable[LedgerRow]) -> dict[str, dict[str, Any]]:
    """Count for each split the "listed" utterances, and the statuses of their "sound" and "picture"."""
    found: dict[str, dict[str, Any]] = {}
    for (split, part), statuses in count_statuses(rows).items():
        found.setdefault(split, {"listed": statuses.total()})[part] = dict(statuses.most_common())
    return found


def note_missing_files(rows: Iterable[LedgerRow]) -> Iterator[str]:
    """Say in which splits clips have no file that can be read."""
    for split, found in count_coverage(rows).items():
        missing = found["sound"].get("missing_file", 0)
        if missing:
            listed = format_count(found["listed"], f"listed {split} utterance")
            yield f"PARTIAL DATA: {missing} of {listed} {'has' if missing == 1 else 'have'} no file that can be read"


def describe_data(data: TrainingData) -> str:
    """Name the data set: OMG-Emotion by its own splits, any other by its CSV files."""
    utterances = data.run.dataset.utterances
    official = find_official_splits(utterances)
    if official and set(official) == set(data.splits):
        return NAME
    paths = dict.fromkeys(str(u.csv_path) for u in utterances)
    others = f", of which {' and '.join(official)} are {NAME}'s own" if official else ""
    return ", ".join(paths) + others


def describe_recordings(by: str, listings: Sequence[SplitListing]) -> dict[str, Any]:
    """Describe the recordings, which are the units of intervals, tests and folds.

    Returns:
        "by", which says how clips are grouped into recordings, and for each split its number of recordings.
    """
    return {"by": by, **{listing.split: len(set(listing.groups)) for listing in listings}}


def note_recordings(listings: Sequence[SplitListing]) -> Iterator[str]:
    """Say which splits have too few recordings for intervals, and which share recordings with training clips."""
    for listing in listings:
        count = len(set(listing.groups))
        if listing.labels is not None and count < paper.FEWEST_GROUPS:
            yield (
                f"NO INTERVALS on {listing.split}: its utterances are parts of {format_count(count, 'recording')}, "
                f"and an interval needs {paper.FEWEST_GROUPS}"
            )
        if any(listing.shared):
            of = {group for group, shared in zip(listing.groups, listing.shared, strict=True) if shared}
            recordings = format_count(len(of), "recording")
            listed = format_count(len(listing.names), f"{listing.split} utterance")
            shared = sum(listing.shared)
            told = f"{shared} of {listed} {'comes' if shared == 1 else 'come'} from {recordings}"
            seen = "that the networks were trained or chosen on; the others are also scored alone"
            yield f"SHARED RECORDINGS: {told} {seen}"


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """Read a training's metrics.jsonl as plain data; an empty list where it is missing."""
    return [metrics.as_plain() for metrics in read_metrics(folder)]


def _describe_making(experiment: Experiment, seconds: dict[str, float]) -> dict[str, Any]:
    return {
        "written": f"{datetime.now():%Y-%m-%d %H:%M}",
        "device": describe_machine(experiment.data.run.settings),
        "store": str(experiment.data.run.store),
        **experiment.data.describe(),
        "packages": {
            name: version for stage in ("stft", "faces") for name, version in describe_packages(STAGES[stage]).items()
        },
        "checkpoints": {
            network
            if trainings.seed == experiment.data.run.settings.run.seed
            else f"{network}, seed {trainings.seed}": str(trainings.folder(network))
            for trainings in experiment.trainings
            for network in NETWORKS
        },
        "seconds": {stage: round(value, 1) for stage, value in seconds.items()},
    }


def list_split(data: TrainingData, split: str) -> SplitListing:
    """Give a split in the order of its CSV file, with the statuses and lengths of its clips."""
    utterances = data.utterances(split)
    rows = [data.ledger[u.name] for u in utterances]
    groups = data.run.dataset.grouping.take(u.name for u in utterances)
    learnt = _find_learnt(data, split)
    return SplitListing(
        split=split,
        names=[u.name for u in utterances],
        videos=[u.video for u in utterances],
        utterances=[u.utterance for u in utterances],
        labels=data.labels(split),
        sound=[row.sound for row in rows],
        picture=[row.picture for row in rows],
        seconds=[_measure_seconds(data.run, row) for row in rows],
        face_shares=[_measure_face_share(data.run, row) for row in rows],
        groups=groups,
        shared=[group in learnt for group in groups],
    )


def _find_learnt(data: TrainingData, split: str) -> set[str]:
    """Give the recordings on which the networks were trained or chosen, as far as they matter for a split's scores."""
    dataset = data.run.dataset
    used = (u for u in dataset.utterances if u.split == "train" or (split != "validation" and data.find_part(u)))
    return set() if split == "train" else set(dataset.grouping.take(u.name for u in used))


def _measure_seconds(run: Run, row: LedgerRow) -> float | None:
    """Give a clip's length in seconds by its sound, else by the time of its last frame; None where it has neither."""
    if row.has_sound:
        return row.num_stft_frames * paper.STFT_HOP_SECONDS
    frames = run.shard("frames", row.shard) if row.shard else None
    if frames is None or row.utterance not in frames or not frames.fact(row.utterance, "length"):
        return None
    return float(frames.rows(row.utterance, "time")[-1])


def _measure_face_share(run: Run, row: LedgerRow) -> float | None:
    """Give the share of a clip's frames with the speaker's face; None where no frame was read."""
    faces = run.shard("faces", row.shard) if row.shard else None
    if faces is None or row.utterance not in faces:
        return None
    num_frames = faces.fact(row.utterance, "num_frames")
    return row.num_faces / num_frames if num_frames > 0 else None


def _predict_split(experiment: Experiment, split: str) -> Members:
    return [{network: trainings.predict(network, split) for network in NETWORKS} for trainings in experiment.trainings]


def _average_split(members: Members, listing: SplitListing) -> Iterator[ModelPredictions]:
    """Give each network's mean over the members' predictions; Joint falls back to VNet or ANet."""
    names = listing.names
    values = {network: average([member[network] for member in members]) for network in NETWORKS}
    for network in ("anet", "vnet"):
        yield ModelPredictions(network, listing.split, names, values[network], [network] * len(names))
    yield ModelPredictions("joint", listing.split, names, *fall_back(values))


def _predict_by_other_choice(experiment: Experiment, listings: Sequence[SplitListing]) -> list[ModelPredictions]:
    """Predict the scored splits with the trainings of the other `[run] select_on`; empty where there are none."""
    other = experiment.other_choice
    scored = [listing for listing in listings if listing.split != "train" and listing.labels is not None]
    if other is None:
        return []
    return [each for listing in scored for each in _average_split(_predict_split(other, listing.split), listing)]


def _describe_folds(folds: Sequence[Experiment]) -> dict[str, Any]:
    """Give the folds' scores, the clips that chose their epochs, and the names of their checkpoints' folders."""
    chosen_on = folds[0].data.run.settings.run.select_on
    return {**score_folds(folds, seed=0), "chosen_on": chosen_on, "checkpoints": _name_folders(folds)}


def _name_folders(experiments: Sequence[Experiment]) -> list[str]:
    return [each.folder(network).name for one in experiments for each in one.trainings for network in NETWORKS]


def _describe_ensemble(
    experiment: Experiment, predicted: Mapping[str, Members], listings: Sequence[SplitListing]
) -> dict[str, Any]:
    """Give the seeds of the mean, their checkpoints, and the scores of each seed alone."""
    seeds = [trainings.seed for trainings in experiment.trainings]
    alone = {
        split: [{**member, "joint": fall_back(member)[0]} for member in members] for split, members in predicted.items()
    }
    return {
        "seeds": seeds,
        "checkpoints": {
            network: [str(trainings.folder(network)) for trainings in experiment.trainings] for network in NETWORKS
        },
        "models": score_members(alone, listings, seeds),
        "curves": {
            network: [read_curve(trainings.folder(network)) for trainings in experiment.trainings[1:]]
            for network in NETWORKS
        },
    }

"""What a run will train, why, and how long that may take, for `status` and for the beginning of a run."""

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.training.data import TrainingData
from pipeline.training.experiment import Experiment
from pipeline.training.records.metrics_lines import read_metrics
from pipeline.training.records.record import RESTS_ON, TrainingRecord, explain, find_last

_TOLD_BEFORE = "data or settings have changed since the last training"


@dataclass(frozen=True)
class Outlook:
    """The trainings of one network that are still to be done.

    Attributes:
        done: number of finished trainings; each seed has one training.
        waiting: number of trainings that are not finished.
        reasons: phrases that say why these are to be done.
        seconds: estimated wall time of the waiting trainings, from the pace of the last one; None where no pace is
            known.
    """

    done: int
    waiting: int
    reasons: tuple[str, ...] = ()
    seconds: float | None = 0.0


def look_ahead(experiment: Experiment, network: str, stages: Collection[str]) -> Outlook:
    """Say which trainings of a network are still to be done, and why.

    Args:
        experiment: the trainings on the present features, or on a forecast of them.
        network: anet, vnet or joint.
        stages: the stages that have something to do before the trainings.
    """
    waiting = [trainings for trainings in experiment.trainings if not trainings.is_done(network)]
    done = len(experiment.trainings) - len(waiting)
    if not waiting:
        return Outlook(done, 0)
    if experiment.report_path.exists():
        return Outlook(done, 0, ("removed since the report was written; a run does not need it again",))
    first = waiting[0]
    now = first.record(network)
    last = find_last(now.folder.parent, network, first.seed)
    reasons = [f"not trained yet with seed {', '.join(str(each.seed) for each in waiting)}"] if done else []
    if not done:
        reasons = _explain(last, now, experiment.data)
    if set(stages) & set(RESTS_ON[network]):
        reasons = ["features first"] if last is None else [*reasons, "features first"]
    seconds = [estimate_seconds(last, each.record(network)) for each in waiting]
    known = [value for value in seconds if value is not None]
    return Outlook(done, len(waiting), tuple(reasons), sum(known) if len(known) == len(seconds) else None)


def _explain(last: TrainingRecord | None, now: TrainingRecord, data: TrainingData) -> list[str]:
    if last is None:
        return ["never trained"]
    if not last.made_of:
        return [f"{_TOLD_BEFORE}, by an earlier version that kept no record of it"]
    return explain(last, now, _find_places(data)) or [_TOLD_BEFORE]


def _find_places(data: TrainingData) -> dict[str, str]:
    """Say for each listed clip in which split it is, or for a clip of the training's splits what it lacks."""
    places = {}
    for utterance in data.run.dataset.utterances:
        row = data.ledger[utterance.name]
        lacks = [
            f"{part} {status}"
            for part, status in (("sound", row.sound), ("picture", row.picture))
            if status not in ("ok", "source_missing")
        ]
        is_used = bool(data.find_part(utterance))
        places[utterance.name] = (" and ".join(lacks) or utterance.split) if is_used else utterance.split
    return places


def estimate_seconds(last: TrainingRecord | None, now: TrainingRecord) -> float | None:
    """Estimate the wall time of a training in seconds, for a stopped one of its rest; None without a measured pace.

    Args:
        last: the finished training whose pace is used: seconds per clip and epoch, validation included.
        now: the training whose clips and remaining epochs count. Other settings that change the pace are ignored.
    """
    measured = [] if last is None else read_metrics(last.folder)
    clips = sum(epoch.num_train + epoch.num_validation for epoch in measured)
    if not clips:
        return None
    epochs = int(now.made_of["settings"]["epochs"]) - len(read_metrics(now.folder))
    return sum(epoch.seconds for epoch in measured) / clips * len(now.made_of["members"]) * max(0, epochs)

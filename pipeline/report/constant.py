"""Finds networks that predicted the same for every clip, from their metrics.jsonl."""

from collections.abc import Iterator, Sequence

from models.training.constant import SMALLEST_SPREAD, find_constant
from models.training.metrics import EpochMetrics, find_best
from pipeline.chain import NETWORKS
from pipeline.report.tables import title_of
from pipeline.training.experiment import Experiment
from pipeline.training.records.metrics_lines import read_metrics

_ADVICE = "docs/training.md says what to try"


def note_constant(experiment: Experiment, folds: Sequence[Experiment] = ()) -> Iterator[str]:
    """Say which networks predicted the same for every clip in their last epoch, or in the chosen one."""
    for network in NETWORKS:
        for trainings in experiment.trainings:
            found = describe_constant_end(read_metrics(trainings.folder(network)))
            if found:
                seed = f", seed {trainings.seed}" if len(experiment.trainings) > 1 else ""
                yield f"CONSTANT PREDICTIONS: {title_of(network)}{seed} {found}; {_ADVICE}"
        parts = [trainings for fold in folds for trainings in fold.trainings]
        count = sum(bool(describe_constant_end(read_metrics(part.folder(network)))) for part in parts)
        if count:
            yield f"CONSTANT PREDICTIONS: {title_of(network)} in {count} of {len(parts)} trainings of folds; {_ADVICE}"


def describe_constant_end(history: Sequence[EpochMetrics]) -> str:
    """Say in how many epochs a network predicted the same for all clips; "" if not in the last or the chosen epoch."""
    epochs = [metrics.epoch for metrics in find_constant(history)]
    best = find_best(list(history))
    is_chosen, is_last = best is not None and best.epoch in epochs, bool(epochs) and epochs[-1] == history[-1].epoch
    if not is_chosen and not is_last:
        return ""
    which = " and ".join([*(["the chosen one"] if is_chosen else []), *(["the last one"] if is_last else [])])
    return (
        f"predicted the same for all clips (with a deviation of at most {SMALLEST_SPREAD:g}) in {len(epochs)} of its "
        f"{len(history)} epochs, among them {which}"
    )

"""Checks the features before hours of training: too many bad clips, nothing to train on, or a missing package."""

from pipeline.errors import UserError
from pipeline.report.baselines.opensmile_baseline import check_packages
from pipeline.runs.outcome.ledger import LedgerRow, find_bad
from pipeline.training.data import TrainingData
from pipeline.training.folds import make_folds
from store.text import format_count


def check_features(data: TrainingData) -> None:
    """Stop before training where its result would not be what the user wants.

    Raises:
        UserError: More than the share `[run] max_bad_fraction` of the files are bad, there is nothing to train on, a
            package that `[run] opensmile` needs is missing, or `[run] folds` are not possible.
    """
    run, ledger = data.run, data.ledger
    bad, limit = [*find_bad(ledger.values()), *find_unread(data)], run.settings.run.max_bad_fraction
    if len(bad) > limit * len(run.clips):
        raise UserError(
            f"{len(bad)} of the {len(run.clips)} files have no usable sound or picture, more than [run] "
            f"max_bad_fraction = {limit:g} of them (the first: {bad[0].utterance}, sound {bad[0].sound}, picture "
            f"{bad[0].picture}); see {run.folder / 'ledger.csv'}, then correct them or raise the limit"
        )
    data.check_trainable()
    if run.settings.run.opensmile:
        check_packages()
    if run.settings.run.folds:
        make_folds(run, run.settings.run.folds)  # raises UserError where they are not possible


def find_unread(data: TrainingData) -> list[LedgerRow]:
    """Pick the utterances whose file existed when the run was planned, and was then gone or could not be read."""
    rows = (data.ledger[name] for name in data.run.clips)
    return [row for row in rows if "missing_file" in (row.sound, row.picture)]


def describe_unread(data: TrainingData) -> str:
    """Say how many clips could not be read, and what to do; "" where all could be read."""
    rows = find_unread(data)
    if not rows:
        return ""
    first = rows[0]
    why = first.sound_message if first.sound == "missing_file" else first.picture_message
    return (
        f"{format_count(len(rows), 'clip')} could not be read and had no influence on these results (the first: "
        f"{first.utterance}: {why}); see {data.run.folder / 'ledger.csv'}, and correct or remove the files that it "
        "names"
    )

"""Whether the features can be what the user wants, asked before hours of training."""

from pipeline.errors import TransientError, UserError
from pipeline.report.baselines.opensmile_baseline import check_packages
from pipeline.runs.ledger import find_bad
from pipeline.training.data import TrainingData
from pipeline.training.folds import make_folds
from store.text import format_count


def check_features(data: TrainingData) -> None:
    """Stop before training when the features cannot be what the user wants.

    Raises:
        TransientError: Clips that were there when the run was planned could not be read, or were gone by then.
        UserError: More than `[run] max_bad_fraction` of the files are bad, there is nothing to train on, or a setting
            cannot be followed.
    """
    run, ledger = data.run, data.ledger
    lost = [name for name in run.clips if "missing_file" in (ledger[name].sound, ledger[name].picture)]
    if lost:
        row = ledger[lost[0]]
        why = row.sound_message if row.sound == "missing_file" else row.picture_message
        raise TransientError(
            f"{format_count(len(lost), 'clip that is', 'clips that are')} there could not be read (the first: "
            f"{lost[0]}: {why}); mend or remove what is named, and run again"
        )
    bad, limit = find_bad(ledger.values()), run.settings.run.max_bad_fraction
    if len(bad) > limit * len(run.clips):
        raise UserError(
            f"{len(bad)} of the {len(run.clips)} files have no usable sound or picture, more than [run] "
            f"max_bad_fraction = {limit:g} of them (the first: {bad[0].utterance}, sound {bad[0].sound}, picture "
            f"{bad[0].picture}); see {run.folder / 'ledger.csv'}, then mend them or raise the limit"
        )
    data.check_trainable()
    if run.settings.run.opensmile:
        check_packages()
    if run.settings.run.folds:
        make_folds(run, run.settings.run.folds)  # refuses what cannot be split

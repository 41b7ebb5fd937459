"""A forecast of the trainings' data, before any clip is read.

A clip that was read before is expected to have the same statuses again, as in the last run's ledger. A clip that was
never read is expected to have both sound and a face. So a changed setting of the faces is not announced as a change of
ANet's data, and files that are kept beside the features change no network's data.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from pipeline.runs.changes.clip_changes import UNREAD
from pipeline.runs.outcome.ledger import FeatureState, LedgerRow, parse_ledger, read_ledger
from pipeline.runs.run import Run
from pipeline.training.data import TrainingData

#: The expected state of a declared feature that is to be made.
_WILL_BE = FeatureState("ok", 1, "")


def forecast_data(run: Run, work: Mapping[str, Collection[str]]) -> TrainingData:
    """Give a run's utterances with the statuses that are expected.

    Args:
        run: an opened run.
        work: shard id to the stages that have something to do for it.
    """
    if not any(work.values()):
        return TrainingData.read(run)
    # What was planned just now has never been read, so that the last run knew nothing of it.
    before = read_last_ledger(run) if any(work.get(shard) for shard in work.keys() - run.plan.new) else {}
    ledger = read_ledger(run)
    for name, shard in run.plan.assigned.items():
        stages = work.get(shard, ())
        if stages and name not in run.plan.vanished and name in ledger:
            ledger[name] = _forecast(ledger[name], stages, _recall(run, before, name, shard))
    return TrainingData(run, ledger, is_forecast=True)


def read_last_ledger(run: Run) -> dict[str, LedgerRow]:
    """Read the ledger of the last run; empty where there is none or it cannot be read."""
    try:
        return parse_ledger((run.folder / "ledger.csv").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _recall(run: Run, before: Mapping[str, LedgerRow], name: str, shard: str) -> LedgerRow:
    """Give a clip's row of the last ledger, or the row that is expected of a clip that was never read."""
    row = before.get(name)
    if row is not None and row.shard == shard and row.source_sha256 and shard not in run.plan.new:
        return row
    return LedgerRow(name, "", "ok", "ok", 1, 1, shard=shard, source_sha256=UNREAD)


def _forecast(row: LedgerRow, stages: Collection[str], known: LedgerRow) -> LedgerRow:
    if "stft" in stages:
        row = replace(row, sound=known.sound, sound_message=known.sound_message)
        row = replace(row, num_stft_frames=known.num_stft_frames)
    if "embeddings" in stages:
        row = replace(row, picture=known.picture, picture_message=known.picture_message, num_faces=known.num_faces)
    features = {stage: _WILL_BE if stage in stages else state for stage, state in row.features.items()}
    return replace(row, shard=known.shard, source_sha256=row.source_sha256 or known.source_sha256, features=features)

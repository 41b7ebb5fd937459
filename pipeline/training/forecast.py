"""What the trainings will be made of once the features are there, told before a clip is read.

A clip that has been read before is taken to be as it was, by the last run's ledger; one that has not to have both sound
and a face. So a setting of the faces concerns no network of sound, and what is kept beside the features no network.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from pipeline.runs.changes.clip_changes import UNREAD
from pipeline.runs.outcome.ledger import FeatureState, LedgerRow, parse_ledger, read_ledger
from pipeline.runs.run import Run
from pipeline.training.data import TrainingData

#: A declared feature that is to be made.
_WILL_BE = FeatureState("ok", 1, "")


def forecast_data(run: Run, work: Mapping[str, Collection[str]]) -> TrainingData:
    """Give a run's utterances as they will be.

    Args:
        run: opened.
        work: shard to the stages that have something to do for it.
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
    """Read the ledger that the last run left; empty where there is none that can be read."""
    try:
        return parse_ledger((run.folder / "ledger.csv").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _recall(run: Run, before: Mapping[str, LedgerRow], name: str, shard: str) -> LedgerRow:
    """Give what is known of a clip, or what a clip that was never read may be."""
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

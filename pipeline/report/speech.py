"""How much of the scored sound is speech, where a declared feature detects speech (`model = voice_activity`)."""

from collections.abc import Iterator

from models.features.voice_activity import THRESHOLD
from models.paper import STFT_HOP_SECONDS
from pipeline.settings.features import Feature
from pipeline.training.data import TrainingData
from store.text import format_count


def describe_speech(data: TrainingData) -> Iterator[str]:
    """Say for each split with labels how many seconds of speech are scored; nothing without such a feature."""
    feature = next((each for each in data.run.features.values() if each.is_voice_activity), None)
    for split in data.splits if feature is not None else []:
        labels = data.labels(split)
        if feature is not None and labels is not None:
            yield _describe_split(data, feature, split)


def _describe_split(data: TrainingData, feature: Feature, split: str) -> str:
    speech = sound = 0.0
    lacking = 0
    for utterance in data.utterances(split):
        row = data.ledger[utterance.name]
        if utterance.arousal is None or not row.has_sound:
            continue
        state, shard = row.features[feature.stage], data.run.shard(feature.stage, row.shard)
        if shard is None or not state.is_there:
            lacking += 1
            continue
        values = shard.rows(utterance.name, "value")
        seconds = row.num_stft_frames * STFT_HOP_SECONDS
        # The last row may extend beyond the sound's end.
        speech += min(seconds, float((values[:, 0] >= THRESHOLD).sum()) * feature.hop_seconds)
        sound += seconds
    lack = format_count(lacking, "clip with sound lacks", "clips with sound lack")
    missing = f"; {lack} the feature" if lacking else ""
    return f"{split}: scored on {speech:.1f} s of speech in {sound:.1f} s of sound ({feature.name}){missing}"

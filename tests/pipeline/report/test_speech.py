"""Seconds of speech per split, by the rows of a voice activity feature."""

from types import SimpleNamespace

import numpy as np

from pipeline.report.speech import describe_speech
from pipeline.runs.outcome.ledger import FeatureState, LedgerRow
from pipeline.settings.features import read_feature

FEATURE = read_feature("features.talk", {"input": "waveform", "model": "voice_activity"})


def make_data(features):
    rows = {"v/a": np.array([[0.9], [0.5], [0.1]]), "v/b": np.array([[0.0]]), "v/c": np.array([[1.0]])}
    states = {name: FeatureState("ok", len(values), "") for name, values in rows.items()}
    states["v/d"] = FeatureState("decode_error", 0, "")
    ledger = {
        name: LedgerRow(name, "train", "ok", "ok", 0 if name == "v/e" else 50, features={"sound_talk": state})
        for name, state in {**states, "v/e": FeatureState("no_stream", 0, "")}.items()
    }
    utterances = {
        "train": [SimpleNamespace(name=n, arousal=0.1) for n in ledger],
        "test": [SimpleNamespace(name="v/a")],
    }
    utterances["train"][2].arousal = None  # v/c has no label, and is not scored
    shard = SimpleNamespace(rows=lambda name, dataset: rows[name])
    return SimpleNamespace(
        run=SimpleNamespace(features=features, shard=lambda stage, name: shard),
        splits=["train", "test"],
        labels=lambda split: None if split == "test" else [],
        utterances=utterances.__getitem__,
        ledger=ledger,
    )


def test_speech_is_counted_on_what_is_scored():
    (note,) = describe_speech(make_data({"sound_talk": FEATURE}))
    assert note == "train: scored on 0.1 s of speech in 1.0 s of sound (talk); 1 clip with sound lacks the feature"


def test_without_such_a_feature_nothing_is_said():
    other = read_feature("features.low", {"input": "waveform", "model": "egemaps"})
    assert list(describe_speech(make_data({"sound_low": other}))) == []

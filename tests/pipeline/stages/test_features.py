"""A declared feature of a shard's clips: their rows, their times, and what is wrong with a clip or with the network."""

import re
import wave

import numpy as np
import pytest

from pipeline.chain import STAGES
from pipeline.errors import UserError
from pipeline.runs.plan import Plan
from pipeline.settings.config import Settings
from pipeline.settings.features import read_feature
from pipeline.stages.features import compute_feature, load_network
from pipeline.stages.shard_job import ShardJob
from store.layout import wav_path
from store.records.plans import plan_of
from store.shard.writer import ShardWriter
from tests.pipeline.made_runs import assemble_run
from tests.store.stores import digest, member

STAGE = "sound_loud"
FINGERPRINTS = {
    "wav": "b1",
    "stft": "b2",
    "frames": "b3",
    "faces": "b4",
    "crops": "b4",
    "embeddings": "b5",
    STAGE: "b6",
}
#: Samples of each clip, all of one value; None without sound.
CLIPS = {"v/a": (16000, 0.5), "v/b": None, "v/c": (20000, -0.25), "v/d": (0, 0.0)}


def gives_means(device):
    """The mean of each piece, and how many pieces the batch has."""
    del device
    return lambda batch: np.stack([batch.mean(1), np.full(len(batch), 9)], axis=1)


def gives_whole_means(device):
    """One row for each 8000 samples of a whole sound."""
    del device
    return lambda sound: sound[:, : sound.size // 8000 * 8000].reshape(-1, 8000).mean(1, keepdims=True)


def is_lost_below(device):
    """NaN for pieces of a negative mean: not what it is tried on, whose mean is about 0."""
    del device
    return lambda batch: np.where(batch.mean(1, keepdims=True) < -0.1, np.nan, 1.0)


def changes_width(device):
    """Another number of columns for loud pieces."""
    del device
    return lambda batch: np.zeros((len(batch), 3 if batch.max() == 0.5 else 2))


def declare(network, **options):
    model = f"tests.pipeline.stages.test_features:{network.__name__}"
    given = {"input": "waveform", "window_seconds": "0.5", "hop_seconds": "0.25", "batch_size": "2"}
    return read_feature("features.loud", {**given, "model": model, **options})


def make_job(tmp_path, feature):
    """A shard whose sound is extracted."""
    plan, store = plan_of(member(name) for name in CLIPS), tmp_path / "store"
    path = store / "wav" / FINGERPRINTS["wav"] / f"{plan.shard}.h5"
    with ShardWriter(path, stage="wav", shard=plan.shard, fingerprint=FINGERPRINTS["wav"], provenance={}) as writer:
        for name, sound in CLIPS.items():
            with writer.utterance(name, source_sha256=digest(name)) as rows:
                if sound is None:
                    rows.set_status("no_stream", "there is no sound")
                    continue
                wav = wav_path(store, FINGERPRINTS["wav"], plan.shard, name)
                wav.parent.mkdir(parents=True, exist_ok=True)
                with wave.open(str(wav), "wb") as file:
                    file.setparams((1, 2, 16000, 0, "NONE", ""))
                    file.writeframes(np.full(sound[0], sound[1] * 32768, "<i2").tobytes())
                rows.length, rows.facts = sound[0], {"wav_sha256": "0" * 64}
    run = assemble_run(
        tmp_path,
        settings=Settings.read().replace("run", device="cpu", threads=1),
        store=store,
        videos=tmp_path,
        stages={STAGE: {}},
        fingerprints=FINGERPRINTS,
        plan=Plan({plan.shard: plan}, dict.fromkeys(CLIPS, plan.shard), frozenset(), frozenset(), {}),
        chain={**STAGES, STAGE: feature.as_stage()},
        features={STAGE: feature},
    )
    return ShardJob(run, plan.shard)


def compute(tmp_path, feature):
    job = make_job(tmp_path, feature)
    compute_feature(job, STAGE)
    return job.rows(STAGE)


def test_rows_and_times_are_those_of_the_pieces_and_of_no_filling(tmp_path):
    rows = compute(tmp_path, declare(gives_means))
    np.testing.assert_allclose(rows.rows("v/a", "value"), [[0.5, 9]] * 3)
    np.testing.assert_allclose(rows.rows("v/a", "time"), [0, 0.25, 0.5])
    np.testing.assert_allclose(rows.rows("v/c", "value"), [[-0.25, 9]] * 4)
    assert rows.rows("v/a", "value").dtype == np.float32
    assert rows.fact("v/c", "source_sha256") == digest("v/c")
    assert rows.provenance["device"]


def test_what_has_no_sound_says_so_and_what_is_too_short_for_a_row_too(tmp_path):
    rows = compute(tmp_path, declare(gives_means))
    assert (rows.fact("v/b", "status"), rows.fact("v/b", "message")) == ("no_stream", "there is no sound")
    assert (rows.fact("v/d", "status"), rows.fact("v/d", "length")) == ("too_short", 0)


def test_a_whole_sound_has_the_times_of_its_rows(tmp_path):
    rows = compute(tmp_path, declare(gives_whole_means, window_seconds="0", hop_seconds="0.5"))
    np.testing.assert_allclose(rows.rows("v/c", "value"), [[-0.25]] * 2)
    np.testing.assert_allclose(rows.rows("v/c", "time"), [0, 0.5])


def test_numbers_that_are_none_cost_that_clip_alone(tmp_path):
    rows = compute(tmp_path, declare(is_lost_below))
    assert rows.fact("v/c", "status") == "decode_error"
    assert rows.fact("v/c", "message") == "the network gives NaN or infinite numbers for row 0"
    assert (rows.fact("v/a", "status"), rows.fact("v/a", "length")) == ("ok", 3)


def test_a_network_that_changes_its_width_stops_the_run_and_names_the_clip(tmp_path):
    told = "[features.loud] on v/a: it gives 3 numbers a row, but gave 2 before"
    with pytest.raises(UserError, match=re.escape(told)):
        compute(tmp_path, declare(changes_width))
    assert not list((tmp_path / "store" / STAGE).rglob("*.h5")), "a file that exists is whole"


def test_a_network_that_cannot_be_used_is_refused_by_its_section():
    feature = read_feature("features.loud", {"input": "waveform", "model": "nowhere.to:be", "hop_seconds": "1"})
    with pytest.raises(UserError, match=r"^\[features\.loud\] model = nowhere\.to:be: there is no module nowhere"):
        load_network(feature, "cpu", 1)

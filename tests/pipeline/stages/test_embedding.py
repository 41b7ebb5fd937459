"""Embeddings of a shard's crops: each clip's own, whatever stands beside it, and what is kept of the crops."""

from types import SimpleNamespace

import numpy as np
import pytest

from models.weights.table import ResolvedWeights
from pipeline.errors import UserError
from pipeline.media.jpeg import decode_jpeg
from pipeline.runs.kept_crops import PASSING
from pipeline.runs.plan import Plan
from pipeline.settings.config import Settings
from pipeline.stages.embedding import _divide, cache_face_features, check_weights, embed_all, load_embedder
from pipeline.stages.shard_job import ShardJob
from store.records.plans import plan_of
from store.shard.writer import ShardWriter
from tests.pipeline.made_runs import assemble_run
from tests.store.stores import digest, member

#: Faces of each clip.
CLIPS = {"v/a": 3, "v/b": 0, "v/c": 2}
FINGERPRINTS = {
    **{"wav": "a1", "stft": "a2", "frames": "a3", "embeddings": "a5", "pixels": "a3"},
    **dict.fromkeys(("faces", "crops", "crops_jpeg"), "a4"),
}
SETTINGS = (
    Settings.read().replace("run", device="cpu", threads=2).replace("embeddings", precision="float32", batch_size=2)
)
#: Squares of 16 pixels, each of another colour.
CROPS = np.random.default_rng(0).integers(0, 256, (5, 7, 6, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)


@pytest.fixture(scope="module")
def expected():
    """Each crop's embedding, computed alone."""
    embedder = load_embedder(None, "float32", "cpu", seed=SETTINGS.run.seed)
    order = SETTINGS.embeddings.channel_order
    return np.concatenate([embedder.embed(crop[None], channel_order=order, batch_size=2) for crop in CROPS])


def write_file(store, stage, shard, provenance):
    path = store / stage / FINGERPRINTS[stage] / f"{shard}.h5"
    start = 0
    with ShardWriter(path, stage=stage, shard=shard, fingerprint=FINGERPRINTS[stage], provenance=provenance) as writer:
        for name, count in CLIPS.items():
            with writer.utterance(name, source_sha256=digest(name)) as rows:
                if stage == "crops" and count:
                    rows.append(crop=CROPS[start : start + count])
                if not count:
                    rows.set_status("no_face", "no face of 40 pixels or more in 9 frames")
            start += count
    return path


def make_job(tmp_path, kept=(), passing=False, tick=lambda: None):
    """A shard whose sound is done and whose faces are found."""
    plan = plan_of(member(name) for name in CLIPS)
    for stage in ("stft", "faces"):
        write_file(tmp_path / "store", stage, plan.shard, {})
    write_file(tmp_path / "store", "crops", plan.shard, PASSING if passing else {})
    run = assemble_run(
        tmp_path,
        settings=SETTINGS.replace("faces", jpeg_quality=90),
        videos=tmp_path,
        weights={"sphereface20": SimpleNamespace(path=None)},
        stages={"embeddings": {}, "faces": {}},
        fingerprints=FINGERPRINTS,
        plan=Plan({plan.shard: plan}, dict.fromkeys(CLIPS, plan.shard), frozenset(), frozenset(), {}),
        kept=frozenset(kept),
    )
    return ShardJob(run, plan.shard, tick)


def test_each_clip_has_the_embeddings_of_its_own_crops(tmp_path, expected):
    ticks = []
    job = make_job(tmp_path, passing=True, tick=lambda: ticks.append(1))
    cache_face_features(job)
    rows = job.rows("embeddings")
    np.testing.assert_allclose(rows.rows("v/a", "embedding"), expected[:3], atol=1e-4)
    np.testing.assert_allclose(rows.rows("v/c", "embedding"), expected[3:], atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 0.01, "or the rows would not be told apart"
    assert [rows.fact(name, "status") for name in CLIPS] == ["ok", "no_face", "ok"]
    assert rows.fact("v/b", "message") == "no face of 40 pixels or more in 9 frames"
    assert rows.fact("v/c", "source_sha256") == digest("v/c")
    made_in = rows.provenance
    assert (made_in["arithmetic"], made_in["engine"]) == ("float32", load_embedder(None, "float32", "cpu").engine)
    assert len(ticks) == 3
    assert not job.run.path("crops", job.shard).exists(), "they were made only to be embedded"


def test_kept_crops_become_jpeg_and_a_clip_counts_once(tmp_path):
    ticks = []
    job = make_job(tmp_path, kept=["crops_jpeg"], passing=True, tick=lambda: ticks.append(1))
    cache_face_features(job)
    kept = job.rows("crops_jpeg")
    assert [kept.fact(name, "length") for name in CLIPS] == [3, 0, 2]
    assert kept.provenance["jpeg_quality"] == "90"
    image = decode_jpeg(bytes(kept.images("v/c")[1]))
    assert np.abs(image.astype(int) - CROPS[4]).mean() < 10
    assert np.abs(image.astype(int) - CROPS[3]).mean() > 60
    assert len(ticks) == 3
    assert kept.fact("v/b", "status") == "no_face"


@pytest.mark.parametrize("batch_size", [0, 2, 4])
def test_blocks_come_in_order_whatever_their_size(expected, batch_size):
    settings = SETTINGS.replace("embeddings", batch_size=batch_size)
    blocks = list(embed_all(CROPS, None, settings))
    assert all(0 < len(block) <= (batch_size or 5) for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-4)
    assert list(embed_all(CROPS[:0], None, settings)) == []


@pytest.mark.parametrize(
    ("crops", "workers", "size"), [(0, 2, 1), (1, 2, 1), (5, 2, 3), (64, 2, 32), (1000, 1, None), (1000, 4, None)]
)
def test_the_kernels_parts_are_as_many_for_each_worker(crops, workers, size):
    found = _divide(crops, workers)
    if size is not None:
        assert found == size
    parts = -(-crops // found)
    assert found >= 1
    assert crops < 2 or parts % workers == 0, "no worker waits for another's part"


def test_a_file_that_is_no_sphereface_is_refused_by_the_settings_name(tmp_path):
    path = tmp_path / "mine.pt"
    path.write_bytes(b"no weights")
    weights = ResolvedWeights("sphereface20", path, "0" * 64, is_random=False, verified=False)
    with pytest.raises(UserError, match=r"^\[embeddings\] weights: .*mine\.pt"):
        check_weights(weights, SETTINGS)

"""Which crops a network is given, that its checkpoints are named after them, and which crops a run removes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.dataset.utterances import Dataset, Utterance
from pipeline.errors import UserError
from pipeline.runs.kept_crops import PASSING, describe_crops, find_crops, remove_passing_crops
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.runs.plan import Plan
from pipeline.settings.config import Settings
from pipeline.training.data import TrainingData
from pipeline.training.seed_trainings import Trainings
from store.records.listings import Listing
from store.shard.reader import Shard
from store.shard.writer import ShardWriter
from tests.pipeline.made_runs import assemble_run

SHARD = "5a"
FINGERPRINTS = {
    **{"wav": "b0", "stft": "b1", "frames": "b4", "embeddings": "b3"},
    **dict.fromkeys(("faces", "crops", "crops_jpeg"), "b2"),
}


def write_file(store, stage, **provenance):
    path = store / stage / FINGERPRINTS[stage] / f"{SHARD}.h5"
    with (
        ShardWriter(path, stage=stage, shard=SHARD, fingerprint=FINGERPRINTS[stage], provenance=provenance) as writer,
        writer.utterance("v/a") as rows,
    ):
        if stage == "crops":
            rows.append(crop=np.zeros((1, 112, 96, 3), np.uint8))
        elif stage == "crops_jpeg":
            rows.append_bytes([b"jpeg"])
        elif stage == "faces":
            pass
        else:
            rows.append(embedding=np.zeros((1, 512), np.float32))
    return path


def make_run(store, *kept, backbone="frozen"):
    """A run on one clip, whose store holds what the test has written."""
    utterance = Utterance("v", "a.mp4", "train", 0.5, 0.1, None, None, None, Path("train.csv"), 2)
    return assemble_run(
        store.parent,
        store=store,
        fingerprints=FINGERPRINTS,
        kept=frozenset(kept),
        settings=Settings.read().replace("vnet", backbone=backbone),
        dataset=Dataset((utterance,), ()),
        weights={name: SimpleNamespace(sha256="0") for name in ("vgg16", "sphereface20")},
        plan=Plan({}, {"v/a": SHARD}, frozenset(), frozenset(), {"v/a": (1, 1)}),
        name="runs-1",
    )


def list_run(store, name, kept):
    Listing(name, FINGERPRINTS, {"v/a": SHARD}, {"v/a": (1, 1)}, kept=kept).write(store)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def test_files_say_what_their_crops_are(store):
    assert describe_crops(Shard(write_file(store, "crops"))) == "raw"
    assert describe_crops(Shard(write_file(store, "crops_jpeg", jpeg_quality="80"))) == "jpeg 80"
    (store / "crops_jpeg" / "b2" / f"{SHARD}.h5").unlink()
    assert describe_crops(Shard(write_file(store, "crops_jpeg"))) == "jpeg of unknown quality"  # of an earlier release


def test_of_two_forms_the_one_that_the_settings_keep_is_read(store):
    with pytest.raises(UserError, match=r"crops/b2/5a\.h5 is not there: .* set \[faces\] crops = raw or jpeg, and run"):
        find_crops(make_run(store, "crops"), SHARD)
    write_file(store, "crops")
    assert find_crops(make_run(store, "crops_jpeg"), SHARD).stage == "crops", "what there is"
    write_file(store, "crops_jpeg")
    assert find_crops(make_run(store, "crops"), SHARD).stage == "crops"
    assert find_crops(make_run(store, "crops_jpeg"), SHARD).stage == "crops_jpeg"


def test_networks_trained_from_other_crops_are_others(store):
    row = LedgerRow("v/a", "train", "ok", "ok", 100, 1, shard=SHARD, source_sha256="3")

    def fingerprint(*kept, backbone="finetune"):
        return Trainings(TrainingData(make_run(store, *kept, backbone=backbone), {"v/a": row}), 0).fingerprints

    write_file(store, "crops")
    write_file(store, "crops_jpeg", jpeg_quality="95")
    found = [fingerprint("crops"), fingerprint("crops_jpeg")]
    (store / "crops_jpeg" / "b2" / f"{SHARD}.h5").unlink()
    write_file(store, "crops_jpeg", jpeg_quality="80")
    found.append(fingerprint("crops_jpeg"))
    for network, number in (("vnet", 3), ("joint", 3), ("anet", 1)):
        assert len({fingerprints[network] for fingerprints in found}) == number, network
    assert fingerprint("crops", backbone="frozen") == fingerprint("crops_jpeg", backbone="frozen")


@pytest.mark.parametrize(
    ("provenance", "kept", "others", "stays"),
    [
        (PASSING, (), [], False),
        (PASSING, ("crops_jpeg",), [], True),  # the JPEGs are not there yet
        (PASSING, ("crops",), [], True),  # the settings want them by now
        (PASSING, (), [frozenset()], False),
        (PASSING, (), [frozenset({"crops"})], True),  # another run keeps them
        (PASSING, (), [None], True),  # another run's listing does not say
        ({}, (), [], True),  # an earlier run kept them for good: only gc removes them
    ],
)
def test_a_run_removes_crops_that_were_made_only_to_be_embedded(store, provenance, kept, others, stays):
    path = write_file(store, "crops", **provenance)
    write_file(store, "embeddings")
    run = make_run(store, *kept)
    list_run(store, run.name, frozenset(kept))
    for number, other in enumerate(others):
        list_run(store, f"other-{number}", other)
    remove_passing_crops(run, SHARD)
    assert path.exists() == stays
    assert path.with_name(path.name + ".sums").exists() == stays


def test_another_run_that_keeps_crops_from_now_on_is_seen(store):
    run = make_run(store)
    list_run(store, run.name, frozenset())
    for others, stays in ((frozenset(), False), (frozenset({"crops"}), True), (frozenset(), False)):
        path = write_file(store, "crops", **PASSING)
        write_file(store, "embeddings")
        list_run(store, "other", others)
        remove_passing_crops(run, SHARD)
        assert path.exists() == stays
        run.close_shards(SHARD)
        path.unlink(missing_ok=True)
        run.path("embeddings", SHARD).unlink()


def test_crops_that_are_not_embedded_yet_stay(store):
    path = write_file(store, "crops", **PASSING)
    remove_passing_crops(make_run(store), SHARD)
    assert path.exists()


def test_a_listing_that_gc_removes_meanwhile_keeps_nothing(store, monkeypatch):
    path = write_file(store, "crops", **PASSING)
    write_file(store, "embeddings")
    run = make_run(store)
    monkeypatch.setattr("pipeline.runs.kept_crops.find_listings", lambda folder: [folder / "roots" / "gone.json"])
    remove_passing_crops(run, SHARD)
    assert not path.exists()

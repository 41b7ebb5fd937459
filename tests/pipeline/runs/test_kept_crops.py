"""Which crops a network is given, and that its checkpoints are named after them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.runs.kept_crops import describe_crops, find_crops
from pipeline.training.data import TrainingData
from pipeline.training.seed_trainings import Trainings
from store.shard.reader import Shard
from store.shard.writer import ShardWriter


@pytest.fixture
def settings(monkeypatch):
    """The settings that matter here, to be changed."""
    found = SimpleNamespace(crops="raw", backbone="finetune")
    monkeypatch.setattr("pipeline.config.faces", lambda: SimpleNamespace(crops=found.crops))
    monkeypatch.setattr("pipeline.config.vnet", lambda: SimpleNamespace(backbone=found.backbone))
    return found


def write_crops(path, stage, **provenance):
    with (
        ShardWriter(path, stage=stage, shard="s", fingerprint="f", provenance=provenance) as writer,
        writer.utterance("v/a") as rows,
    ):
        if stage == "crops":
            rows.append(crop=np.zeros((1, 112, 96, 3), np.uint8))
        else:
            rows.append_bytes([b"jpeg"])
    return Shard(path)


@pytest.fixture
def crops(tmp_path):
    """Files of crops, by name: as they are, at two qualities, and of an earlier release."""
    return {
        "raw": write_crops(tmp_path / "raw.h5", "crops"),
        "jpeg 95": write_crops(tmp_path / "95.h5", "crops_jpeg", jpeg_quality="95"),
        "jpeg 80": write_crops(tmp_path / "80.h5", "crops_jpeg", jpeg_quality="80"),
        "jpeg of unknown quality": write_crops(tmp_path / "old.h5", "crops_jpeg"),
    }


def make_run(*shards):
    """A run whose one shard keeps these crops."""
    kept = {shard.stage: shard for shard in shards}
    utterance = SimpleNamespace(name="v/a", arousal=0.5, valence=0.1, split="train")
    return SimpleNamespace(
        fingerprints={"stft": "1", "embeddings": "2"},
        weights={name: SimpleNamespace(sha256="0") for name in ("vgg16", "sphereface20")},
        dataset=SimpleNamespace(utterances=[utterance]),
        shard=lambda stage, shard: kept.get(stage),
        path=lambda stage, shard: Path(stage) / f"{shard}.h5",
    )


def compute_fingerprints(*shards):
    row = SimpleNamespace(source_sha256="3", shard="s", has_sound=True, has_face=True)
    return Trainings(TrainingData(make_run(*shards), {"v/a": row}), 0).fingerprints


def test_files_say_what_their_crops_are(crops):
    assert {name: describe_crops(shard) for name, shard in crops.items()} == {name: name for name in crops}


def test_of_two_forms_the_one_that_the_settings_keep_is_read(settings, crops):
    run = make_run(crops["raw"], crops["jpeg 95"])
    assert find_crops(run, "s").stage == "crops"
    settings.crops = "jpeg"
    assert find_crops(run, "s").stage == "crops_jpeg"
    assert find_crops(make_run(crops["raw"]), "s").stage == "crops", "what there is"
    with pytest.raises(UserError, match=r"crops/s\.h5 is not there: .* set \[faces\] crops = raw or jpeg, remove"):
        find_crops(make_run(), "s")


def test_networks_trained_from_other_crops_are_others(settings, crops):
    found = [compute_fingerprints(shard) for shard in crops.values()]
    assert len(found) == 4
    for network, number in (("vnet", 4), ("joint", 4), ("anet", 1)):
        assert len({fingerprints[network] for fingerprints in found}) == number, network


def test_networks_trained_from_embeddings_need_no_crops(settings, crops):
    settings.backbone = "frozen"
    assert compute_fingerprints() == compute_fingerprints(crops["raw"]) == compute_fingerprints(crops["jpeg 95"])

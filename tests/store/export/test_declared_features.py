"""Declared features in the exports that tables and MMSA read, and in the data set for PyTorch."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import valar
from store import FeatureStore, StoreError
from store.__main__ import main
from store.records.listings import Listing
from tests.store.stores import SHARDS, make_store
from tests.store.test_features import write_feature

LEDGER = "utterance,split,arousal,valence\nv/a,train,0.5,-0.25\nv/b,train,0.1,0\nw/a,validation,-0.5,0.75\n"


@pytest.fixture
def folder(tmp_path):
    """A store with a feature of 7 numbers a face, which breaks off in v/a, and one of 3 numbers a piece of sound."""
    assigned = make_store(tmp_path)
    for clips in SHARDS.values():
        shard = assigned[next(iter(clips))]
        faces = {name: (None, min(length, 4)) for name, (_, length) in clips.items()}
        write_feature(tmp_path, "face_mini", shard, faces, 7)
        write_feature(
            tmp_path, "sound_loud", shard, {name: (None, length // 10) for name, (length, _) in clips.items()}, 3
        )
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ledger.csv").write_text(LEDGER, encoding="utf-8")
    path = tmp_path / "roots" / "runs-1.json"
    listing = Listing.read(path)
    fingerprints = {**listing.fingerprints, "face_mini": "fe01", "sound_loud": "fe01"}
    changed = {"fingerprints": fingerprints, "runs": str(tmp_path / "runs")}
    Listing(**{**vars(listing), **changed}).write(tmp_path, path)
    return tmp_path


@pytest.mark.parametrize("to", ["npz", "csv", "csd"])
def test_an_export_says_of_how_many_utterances_it_has_no_rows(folder, capsys, to):
    assert main(["export", str(folder), "--to", to, "-o", str(folder / "out")]) == 0
    # v/b has no face, and none of the feature that is made of faces; all have sound.
    told = {line for line in capsys.readouterr().err.splitlines() if "no rows" in line}
    assert told == {f"{stage}: no rows for 1 of 3 utterances" for stage in ("faces", "embeddings", "face_mini")}


def test_parquet_has_faces_features_beside_the_faces_and_sounds_in_a_table(folder):
    table = pytest.importorskip("pyarrow.parquet")
    assert main(["export", str(folder), "--to", "parquet", str(folder / "out")]) == 0
    assert {path.name for path in (folder / "out").iterdir()} == {
        *("utterances.parquet", "faces.parquet", "sound_loud.parquet"),
    }
    faces = table.read_table(folder / "out" / "faces.parquet").to_pylist()
    assert [(row["utterance"], row["face_mini"]) for row in faces] == [
        *[("v/a", [float(sum(b"v/a"))] * 7)] * 4,
        ("v/a", None),
        *[("w/a", [float(sum(b"w/a"))] * 7)] * 3,
    ]
    sounds = table.read_table(folder / "out" / "sound_loud.parquet").to_pylist()
    assert [row["utterance"] for row in sounds] == ["v/a"] * 3 + ["v/b"] * 2 + ["w/a"]
    assert sounds[2] == {
        "utterance": "v/a",
        "split": "train",
        "arousal": 0.5,
        "valence": -0.25,
        "time_seconds": 2 / 25,
        "sound_loud": [float(sum(b"v/a"))] * 3,
    }


def test_mmsa_takes_the_features_that_are_named(folder, capsys):
    words = ["export", str(folder), "--to", "mmsa", str(folder / "out")]
    assert main([*words, "--audio", "loud", "--vision", "sphereface20", "--vision", "mini"]) == 0
    content = pickle.loads((folder / "out" / "features.pkl").read_bytes())
    train = content["train"]
    assert train["audio"].shape == (2, 3, 3)
    assert train["audio_lengths"] == [3, 2]
    assert train["vision"].shape == (2, 4, 519)  # as far as both go
    assert train["vision_lengths"] == [4, 1]
    assert "vision is all zeros for 1 of 3 utterances\n" in capsys.readouterr().err
    clip = FeatureStore(folder)["v/a"]
    np.testing.assert_array_equal(train["vision"][0, :, :512], clip.embeddings[:4])
    np.testing.assert_array_equal(train["vision"][0, :, 512:], clip.feature("mini"))
    np.testing.assert_array_equal(train["audio"][0], clip.feature("loud"))
    capsys.readouterr()
    for option, name, known in (
        ("--vision", "loud", "sphereface20, mini"),
        ("--audio", "sphereface20", "stft, loud"),
    ):
        assert main([*words[:-1], str(folder / "other"), option, name]) == 2
        assert capsys.readouterr().err.strip().endswith(f"{option} {name} must be one of {known}")


def test_the_data_set_gives_them_with_masks(folder):
    clips = valar.dataset(folder, split="train")
    assert clips.shapes == {"stft": (257, 2), "embeddings": (512,), "face_mini": (7,), "sound_loud": (3,)}
    (batch,) = torch.utils.data.DataLoader(clips, batch_size=2, collate_fn=clips.collate)
    assert batch["face_mini"].shape == (2, 4, 7)
    assert batch["face_mini_mask"].tolist() == [[True] * 4, [False] * 4]
    assert batch["sound_loud_mask"].tolist() == [[True] * 3, [True] * 2 + [False]]
    np.testing.assert_array_equal(batch["sound_loud"][1, :2], FeatureStore(folder)["v/b"].feature("loud"))
    assert valar.dataset(folder, features=["mini", "face_mini"]).shapes.keys() == {"stft", "embeddings", "face_mini"}
    assert valar.dataset(folder, features=[]).shapes.keys() == {"stft", "embeddings"}
    with pytest.raises(StoreError, match="has no feature 'other'; it has mini, loud"):
        valar.dataset(folder, features=["other"])


def test_two_runs_that_declare_a_feature_differently_are_told(folder, capsys):
    assigned = Listing.read(folder / "roots" / "runs-1.json").shards
    shard = assigned["w/a"]
    write_feature(folder, "face_mini", shard, {"w/a": (None, 3)}, 5, fingerprint="fe02")
    first = Listing.read(folder / "roots" / "runs-1.json")
    fingerprints = {**first.fingerprints, "face_mini": "fe02"}
    listed = {key: {"w/a": getattr(first, key)["w/a"]} for key in ("shards", "sources")}
    Listing(**{**vars(first), **listed, "run": "runs-2", "fingerprints": fingerprints}).write(folder)
    with pytest.raises(StoreError, match="face_mini has 7 numbers a row for v/a and 5 for w/a: two runs declare it"):
        valar.dataset(folder)
    assert valar.dataset(FeatureStore(Path(folder), run="runs-1")).shapes["face_mini"] == (7,)
    for kind in ("csv", "csd"):
        assert main(["export", str(folder), "--to", kind, str(folder / kind)]) == 2
        assert "face_mini has 7 numbers a row for v/a and 5 for w/a" in capsys.readouterr().err
        assert not (folder / kind).exists()

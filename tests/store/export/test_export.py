"""Exports, opened by what reads them: NumPy, csv, h5py as the SDK does, MMSA's own loader where it is installed."""

import csv
import importlib.util
import json
import pickle

import h5py
import numpy as np
import pytest

from store import FeatureStore
from store.__main__ import main


@pytest.fixture
def export(store, tmp_path, capsys):
    def run(to, *arguments):
        code = main(["export", str(store[0]), "--to", to, str(tmp_path / "out"), *arguments])
        return code, tmp_path / "out", capsys.readouterr()

    return run


def test_npz(store, export):
    code, folder, printed = export("npz")
    assert (code, printed.out) == (0, f"3 utterances in 3 files in {folder}\n")
    clip = FeatureStore(store[0])["v/a"]
    with np.load(folder / "v" / "a.npz") as found:
        assert sorted(found) == ["boxes", "embeddings", "face_times", "landmarks", "scores", "stft"]
        np.testing.assert_array_equal(found["stft"], clip.stft)
        np.testing.assert_array_equal(found["landmarks"], clip.landmarks)
    with np.load(folder / "v" / "b.npz") as found:
        assert sorted(found) == ["stft"]


def test_csv(store, export):
    folder = export("csv")[1]
    tables = {}
    for path in folder.iterdir():
        with path.open(newline="", encoding="utf-8") as file:
            tables[path.name] = list(csv.DictReader(file))
    assert {name: len(rows) for name, rows in tables.items()} == {
        "utterances.csv": 3,
        "faces.csv": 8,
        "embeddings.csv": 2,
    }
    assert tables["utterances.csv"][1]["faces_status"] == "no_face"
    clip = FeatureStore(store[0])["w/a"]
    last = tables["faces.csv"][-1]
    assert (last["utterance"], last["frame_index"]) == ("w/a", "2")
    assert float(last["mouth_right_y"]) == pytest.approx(clip.landmarks[2, 4, 1], rel=1e-6)
    assert float(tables["embeddings.csv"][1]["feature_511"]) == pytest.approx(clip.embeddings[:, 511].mean(), rel=1e-5)


def test_csd_has_the_layout_that_the_sdk_reads(store, export):
    folder = export("csd")[1]
    clip = FeatureStore(store[0])["v/a"]
    with h5py.File(folder / "stft.csd") as file:
        [root] = file
        data = dict(file[root]["data"])
        metadata = {key: json.loads(value[0]) for key, value in file[root]["metadata"].items()}
        assert set(data) == {"v[a]", "v[b]", "w[a]"}
        for entry in data.values():
            assert entry["intervals"].shape == (len(entry["features"]), 2)
        np.testing.assert_array_equal(data["v[a]"]["features"][:, :257], clip.stft[..., 0])
        np.testing.assert_array_equal(data["v[a]"]["features"][:, 257:], clip.stft[..., 1])
        np.testing.assert_allclose(data["v[a]"]["intervals"][29], [0.29, 0.30])
        assert metadata["root name"] == root
        assert len(metadata["dimension names"]) == 514
    with h5py.File(folder / "landmarks.csd") as file:
        assert set(file["valar_landmarks/data"]) == {"v[a]", "w[a]"}
        assert file["valar_landmarks/data/v[a]/features"].shape == (5, 10)


@pytest.fixture
def labels(tmp_path):
    head = "video,utterance,arousal,valence\n"
    (tmp_path / "train.csv").write_text(head + "v,a.mp4,0.5,-0.25\nv,b.mp4,0.1,0\nv,missing.mp4,0,0\n")
    (tmp_path / "validation.csv").write_text(head + "w,a.mp4,-0.5,0.75\n")
    return ["--labels", f"train={tmp_path / 'train.csv'}", "--labels", f"validation={tmp_path / 'validation.csv'}"]


def test_mmsa(store, export, labels):
    code, folder, printed = export("mmsa", *labels)
    assert (code, printed.err) == (0, "")
    content = pickle.loads((folder / "features.pkl").read_bytes())
    assert set(content) == {"train", "valid"}
    train = content["train"]
    assert train["id"] == ["v$_$a", "v$_$b"]
    assert train["audio"].shape == (2, 3, 257)
    assert (train["audio_lengths"], train["vision_lengths"]) == ([3, 2], [5, 1])
    assert train["regression_labels"].tolist() == [-0.25, 0]
    clip = FeatureStore(store[0])["v/a"]
    magnitude = np.abs(clip.stft[10:20, 100, 0] + 1j * clip.stft[10:20, 100, 1])
    assert train["audio"][0, 1, 100] == pytest.approx(np.log(1 + magnitude).mean(), rel=1e-5)
    np.testing.assert_array_equal(train["vision"][0], clip.embeddings)
    assert not train["vision"][1].any()


@pytest.mark.skipif(importlib.util.find_spec("MMSA") is None, reason="pip install --no-deps MMSA")
def test_mmsas_own_loader_reads_it(store, export, labels):
    from pathlib import Path

    # Not the package, which imports every one of its models.
    path = Path(importlib.util.find_spec("MMSA").submodule_search_locations[0]) / "data_loader.py"
    spec = importlib.util.spec_from_file_location("mmsa_data_loader", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    args = {
        "dataset_name": "mosi",
        "custom_feature": str(export("mmsa", *labels)[1] / "features.pkl"),
        "feature_dims": [0, 0, 0],
        "feature_T": "",
        "feature_A": "",
        "feature_V": "",
        "need_data_aligned": False,
    }
    data = module.MMDataset(args, mode="train")
    assert args["feature_dims"] == [1, 257, 512]
    assert data[0]["audio"].shape == (3, 257)
    assert float(data[0]["labels"]["M"]) == -0.25


def test_what_cannot_be_exported_is_said(store, export, labels, tmp_path):
    assert "MMSA wants splits and labels: give --labels train=TRAIN.csv" in export("mmsa")[2].err
    assert "must be SPLIT=CSV, where SPLIT is one of train, validation" in export("mmsa", "--labels", "x")[2].err
    (tmp_path / "none.csv").write_text("video,utterance\n")
    assert (
        "none.csv has no column arousal and no column valence"
        in export("mmsa", "--labels", f"test={tmp_path / 'none.csv'}")[2].err
    )
    (tmp_path / "none.csv").write_text("video,utterance,arousal,valence\nx,y,0,0\n")
    assert (
        "none.csv lists no labelled utterance that"
        in export("mmsa", "--labels", f"test={tmp_path / 'none.csv'}")[2].err
    )
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "mine").touch()
    assert export("npz")[0] == 2
    assert "out is not empty; name a new folder for the export" in export("npz")[2].err

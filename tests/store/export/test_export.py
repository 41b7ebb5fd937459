"""Exports, opened by what reads them: NumPy, csv, h5py as the SDK does, MMSA's own loader where it is installed."""

import collections
import csv
import dataclasses
import importlib.util
import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from store import FeatureStore
from store.__main__ import main
from store.export.csd import make_key
from store.export.formats import export_csv
from store.labels import Label
from store.records.listings import Listing
from valar.commands import store as store_commands

LEDGER = """utterance,split,sound,picture,arousal,valence,EmotionMaxVote
v/a,train,ok,ok,0.5,-0.25,4
v/b,train,ok,no_face,0.1,0,
w/a,validation,ok,ok,-0.5,0.75,3
"""


@pytest.fixture
def labelled(store, tmp_path):
    """The store with the ledger of its run."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ledger.csv").write_text(LEDGER, encoding="utf-8")
    listing = Listing.read(store[0] / "roots" / "runs-1.json")
    dataclasses.replace(listing, runs=str(tmp_path / "runs")).write(store[0])
    return store


def read_table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def export(store, tmp_path, capsys):
    def run(to, *arguments):
        code = main(["export", str(store[0]), "--to", to, str(tmp_path / "out"), *arguments])
        return code, tmp_path / "out", capsys.readouterr()

    return run


def test_npz(labelled, store, export):
    code, folder, printed = export("npz")
    assert (code, printed.out) == (0, f"3 utterances in 4 files in {folder}\n")
    clip = FeatureStore(store[0])["v/a"]
    with np.load(folder / "v" / "a.npz") as found:
        assert sorted(found) == ["boxes", "embeddings", "face_times", "landmarks", "scores", "stft"]
        np.testing.assert_array_equal(found["stft"], clip.stft)
        np.testing.assert_array_equal(found["landmarks"], clip.landmarks)
    with np.load(folder / "v" / "b.npz") as found:
        assert sorted(found) == ["stft"]
    assert read_table(folder / "labels.csv")[2] == {
        "utterance": "w/a",
        "split": "validation",
        "arousal": "-0.5",
        "valence": "0.75",
        "EmotionMaxVote": "3",
    }


def test_the_folder_may_be_named_by_o_as_in_all_commands(labelled, store, tmp_path, capsys):
    for number, words in enumerate((["--to", "npz", "-o"], ["-o", "{}", "--to", "npz"], ["--to", "npz", "--output"])):
        folder = str(tmp_path / f"out{number}")
        words = [word.format(folder) for word in words] + ([] if "{}" in words else [folder])
        assert main(["export", str(store[0]), *words]) == 0
        assert "3 utterances in" in capsys.readouterr().out
        assert (tmp_path / f"out{number}").is_dir()
    with pytest.raises(SystemExit, match="2"):
        main(["export", str(store[0]), "--to", "npz"])
    assert "DIR" in capsys.readouterr().err


def test_a_further_column_that_is_called_like_one_of_the_table_leaves_one_of_that_name(store, tmp_path):
    labels = {
        "v/a": Label("train", 0.5, 0.0, {"stft_status": "mine", "utterance": "mine", "split": "mine", "room": "4"})
    }
    export_csv(FeatureStore(store[0]), tmp_path, collections.defaultdict(Label, labels))
    head, first, *_ = (tmp_path / "utterances.csv").read_text().splitlines()
    assert (head.count("stft_status"), head.split(",").count("utterance"), head.count("split")) == (1, 1, 1)
    assert head.split(",")[:5] == ["utterance", "split", "arousal", "valence", "room"]
    assert "mine" not in first


def test_csv(labelled, store, export):
    folder = export("csv")[1]
    tables = {path.name: read_table(path) for path in folder.iterdir()}
    assert {name: len(rows) for name, rows in tables.items()} == {
        "utterances.csv": 3,
        "faces.csv": 8,
        "embeddings.csv": 2,
    }
    assert tables["utterances.csv"][1]["faces_status"] == "no_face"
    assert tables["utterances.csv"][0]["EmotionMaxVote"] == "4"
    for table in tables.values():
        told = [(row["utterance"], row["split"], row["arousal"], row["valence"]) for row in table]
        assert told[-1] == ("w/a", "validation", "-0.5", "0.75")
    clip = FeatureStore(store[0])["w/a"]
    last = tables["faces.csv"][-1]
    assert (last["utterance"], last["frame_index"]) == ("w/a", "2")
    assert float(last["mouth_right_y"]) == pytest.approx(clip.landmarks[2, 4, 1], rel=1e-6)
    assert float(tables["embeddings.csv"][1]["feature_511"]) == pytest.approx(clip.embeddings[:, 511].mean(), rel=1e-5)


def test_csd_has_the_layout_that_the_sdk_reads(labelled, store, export):
    folder = export("csd")[1]
    clip = FeatureStore(store[0])["v/a"]
    with h5py.File(folder / "stft.csd") as file:
        [root] = file
        data = dict(file[root]["data"])
        metadata = {key: json.loads(value[0]) for key, value in file[root]["metadata"].items()}
        assert set(data) == {"v:a:", "v:b:", "w:a:"}
        for entry in data.values():
            assert entry["intervals"].shape == (len(entry["features"]), 2)
        np.testing.assert_array_equal(data["v:a:"]["features"][:, :257], clip.stft[..., 0])
        np.testing.assert_array_equal(data["v:a:"]["features"][:, 257:], clip.stft[..., 1])
        np.testing.assert_allclose(data["v:a:"]["intervals"][29], [0.29, 0.30])
        assert metadata["root name"] == root
        assert len(metadata["dimension names"]) == 514
    with h5py.File(folder / "landmarks.csd") as file:
        assert set(file["valar_landmarks/data"]) == {"v:a:", "w:a:"}
        assert file["valar_landmarks/data/v:a:/features"].shape == (5, 10)
    with h5py.File(folder / "labels.csd") as file:
        np.testing.assert_allclose(file["valar_labels/data/w:a:/features"], [[-0.5, 0.75]])
        np.testing.assert_allclose(file["valar_labels/data/w:a:/intervals"], [[0, 0.12]])
    rows = read_table(folder / "labels.csv")
    assert [(row["key"], row["split"]) for row in rows] == [
        ("v:a:", "train"),
        ("v:b:", "train"),
        ("w:a:", "validation"),
    ]


NAMES = ("v/1", "v/10", "v/1:0", "v%3A1/0", "v:1/0", "v/a[1]", "v[1]/a", "v/", "v/1%", "vv/1")


def test_no_key_is_the_beginning_of_another_or_has_what_align_cuts_at():
    keys = [make_key(name) for name in NAMES]
    assert len(set(keys)) == len(keys)
    for key in keys:
        # What `__get_relevant_entries` and `unify` of mmsdk/mmdatasdk/dataset/dataset.py make of a key.
        assert key.split("[")[0] == key
        # What `_remove_id` of mmsdk/mmdatasdk/computational_sequence/computational_sequence.py removes with a key.
        assert [other for other in keys if other[: len(key)] == key] == [key]


@pytest.mark.skipif(importlib.util.find_spec("mmsdk") is None, reason="pip install cmu-multimodal-sdk")
def test_the_sdks_own_align_puts_the_rows_of_an_utterance_beside_its_labels(labelled, store, export):
    from mmsdk import mmdatasdk

    folder = export("csd")[1]
    sequences = {name: str(folder / f"{name}.csd") for name in ("stft", "embeddings", "labels")}
    data = mmdatasdk.mmdataset(sequences)
    data.align("labels")
    clip = FeatureStore(store[0])["w/a"]
    # Of v/b there is no face, so that no sequence keeps it.
    assert set(data.computational_sequences["labels"].data) == {"v:a:[0]", "w:a:[0]"}
    aligned = {name: sequence.data["w:a:[0]"]["features"] for name, sequence in data.computational_sequences.items()}
    np.testing.assert_allclose(aligned["labels"], [[-0.5, 0.75]])
    np.testing.assert_array_equal(aligned["embeddings"], clip.embeddings)
    np.testing.assert_array_equal(aligned["stft"][:, :257], clip.stft[..., 0])


def test_parquet(labelled, store, export):
    table = pytest.importorskip("pyarrow.parquet")
    folder = export("parquet")[1]
    utterances = table.read_table(folder / "utterances.parquet").to_pylist()
    assert [(row["utterance"], row["split"], row["arousal"]) for row in utterances] == [
        ("v/a", "train", 0.5),
        ("v/b", "train", 0.1),
        ("w/a", "validation", -0.5),
    ]
    assert (utterances[1]["EmotionMaxVote"], utterances[2]["EmotionMaxVote"]) == (None, "3")
    assert utterances[1]["faces_status"] == "no_face"
    faces = table.read_table(folder / "faces.parquet").to_pylist()
    clip = FeatureStore(store[0])["w/a"]
    assert [row["utterance"] for row in faces] == ["v/a"] * 5 + ["w/a"] * 3
    assert (faces[-1]["split"], faces[-1]["valence"], faces[-1]["frame_index"]) == ("validation", 0.75, 2)
    np.testing.assert_array_equal(np.float32(faces[-1]["embedding"]), clip.embeddings[2])
    np.testing.assert_array_equal(np.float32(faces[-1]["landmarks"]).reshape(5, 2), clip.landmarks[2])


def test_parquet_of_clips_without_labels_and_without_pyarrow(store, export, monkeypatch):
    table = pytest.importorskip("pyarrow.parquet")
    folder = export("parquet")[1]
    assert {row["arousal"] for row in table.read_table(folder / "faces.parquet").to_pylist()} == {None}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (folder / "utterances.parquet").unlink()
    (folder / "faces.parquet").unlink()
    assert "--to parquet needs pyarrow: pip install 'valar[parquet]'" in export("parquet")[2].err


def test_mmsa(labelled, store, export):
    code, folder, printed = export("mmsa")
    assert (code, printed.err) == (0, "vision is all zeros for 1 of 3 utterances\n")
    content = pickle.loads((folder / "features.pkl").read_bytes())
    assert set(content) == {"train", "valid"}
    train = content["train"]
    assert train["id"] == ["v$_$a", "v$_$b"]
    assert [split["audio"].shape[1:] for split in content.values()] == [(3, 257)] * 2
    assert [split["vision"].shape[1:] for split in content.values()] == [(5, 512)] * 2
    assert (train["audio_lengths"], train["vision_lengths"]) == ([3, 2], [5, 1])
    assert (content["valid"]["audio_lengths"], content["valid"]["vision_lengths"]) == ([1], [3])
    assert not content["valid"]["vision"][0, 3:].any()
    assert train["regression_labels"].tolist() == [-0.25, 0]
    clip = FeatureStore(store[0])["v/a"]
    magnitude = np.abs(clip.stft[10:20, 100, 0] + 1j * clip.stft[10:20, 100, 1])
    assert train["audio"][0, 1, 100] == pytest.approx(np.log(1 + magnitude).mean(), rel=1e-5)
    np.testing.assert_array_equal(train["vision"][0], clip.embeddings)
    assert not train["vision"][1].any()


@pytest.fixture
def from_files(store, tmp_path, capsys):
    """Export with labels of CSV files, as `valar store export` reads them."""

    def run(to, **texts):
        words = ["export", str(store[0]), "--to", to, str(tmp_path / "out")]
        for split, text in texts.items():
            (tmp_path / f"{split}.csv").write_text(text, encoding="utf-8")
            words += ["--labels", f"{split}={tmp_path / f'{split}.csv'}"]
        return store_commands.main(words, "valar store"), tmp_path / "out", capsys.readouterr()

    return run


def test_labels_of_files_are_read_as_a_run_reads_them_and_what_is_left_out_is_said(store, from_files):
    # Blanks, a BOM, semicolons, other case, junk behind: as people have them.
    train = "\ufeffVideo; utterance ;arousal;Valence\nv;a.mp4; 0.5;-0.25\nv;b.mp4;;\n;;0.1;0\nv;missing.mp4;0;0\n"
    code, folder, printed = from_files(
        "mmsa", train=train, validation="video,utterance,arousal,valence\nw,a,-0.5,0.75\n"
    )
    assert code == 0
    content = pickle.loads((folder / "features.pkl").read_bytes())
    assert {split: found["id"] for split, found in content.items()} == {"train": ["v$_$a"], "valid": ["w$_$a"]}
    assert content["train"]["arousal"].tolist() == [0.5]
    assert "train.csv:4: row left out: it has neither a video nor an utterance" in printed.err
    assert "train.csv:3: no labels" in printed.err
    assert "not in the store: 1 of 4 listed utterances (the first: v/missing)" in printed.err
    assert "left out: 1 of 3 utterances, without labels or without a split that MMSA knows" in printed.err


def test_a_row_that_cannot_be_read_ends_the_export(store, from_files):
    code, folder, printed = from_files("npz", train="video,utterance,arousal,valence\nv,a,loud,0\n")
    assert (code, folder.exists()) == (2, False)
    assert "train.csv:2: arousal is 'loud'; it must be a number in [-1, 1]" in printed.err


def test_files_of_labels_go_into_every_export(store, from_files):
    folder = from_files("npz", test="video,utterance,arousal,valence\nw,a,-0.5,0.75\n")[1]
    told = [(row["utterance"], row["split"], row["arousal"]) for row in read_table(folder / "labels.csv")]
    assert told == [("v/a", "", ""), ("v/b", "", ""), ("w/a", "test", "-0.5")]


def test_mmsas_own_loader_reads_it(labelled, store, export):
    # Not the package, which imports every one of its models.
    path = Path(importlib.util.find_spec("MMSA").submodule_search_locations[0]) / "data_loader.py"
    spec = importlib.util.spec_from_file_location("mmsa_data_loader", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    args = {
        "dataset_name": "mosi",
        "custom_feature": str(export("mmsa")[1] / "features.pkl"),
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


def test_what_cannot_be_exported_is_said(store, export, from_files, tmp_path):
    assert "MMSA needs splits and labels, but no utterance of" in export("mmsa")[2].err
    assert "must be SPLIT=CSV, where SPLIT is one of train, validation" in export("mmsa", "--labels", "x")[2].err
    twice = export("mmsa", "--labels", "train=a.csv", "--labels", "train=b.csv")[2].err
    assert "--labels train=b.csv: train is given twice" in twice
    none = "video,utterance,arousal,valence\nx,y,0,0\n"
    assert "has none of these utterances" in from_files("mmsa", test=none)[2].err
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "mine").touch()
    assert export("npz")[0] == 2
    assert "out is not empty; name a new folder for the export" in export("npz")[2].err

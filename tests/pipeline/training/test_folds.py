import json

import numpy as np
import pytest

from pipeline.report.cross_validation import summarise
from pipeline.training.folds import split_folds


def score(arousal, valence):
    total = None if None in (arousal, valence) else arousal + valence
    return {"arousal": {"ccc": arousal}, "valence": {"ccc": valence}, "total_ccc": total}


def test_mean_and_spread_of_the_folds():
    found = summarise([score(0.2, 0.5), score(0.4, None), score(0.6, 0.7)])
    assert found["mean"] == pytest.approx({"arousal": 0.4, "valence": 0.6, "total": 1.0})
    # Divisor K - 1: (.2^2 + 0 + .2^2) / 2, and of two values half their difference times the root of two.
    assert found["spread"] == pytest.approx({"arousal": 0.2, "valence": 0.02**0.5, "total": 0.18**0.5})
    assert summarise([score(None, None)])["mean"] == {"arousal": None, "valence": None, "total": None}


def test_folds_keep_videos_whole_and_are_about_equal():
    videos = [f"v{i}" for i in range(12) for _ in range(i + 1)]
    found = split_folds(videos, 5)
    assert len(set(zip(videos, found.tolist(), strict=True))) == 12
    sizes = np.bincount(found, minlength=5)
    assert sizes.sum() == 78
    assert sizes.max() - sizes.min() <= 4


@pytest.mark.slow  # nine trainings
def test_cross_validation_holds_every_video_out_once(finished):
    finished.configure("[dataset]\ngroup = video\n[run]\nfolds = 3\n")
    before = finished.digests("store")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    assert {k: v for k, v in finished.digests("store").items() if k.endswith(".h5")} == {
        k: v for k, v in before.items() if k.endswith(".h5")
    }
    content = json.loads((finished.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    found = content["cross_validation"]
    assert found["num_folds"] == 3
    listed = sum(content["coverage"][split]["listed"] for split in ("train", "validation"))
    for network in ("anet", "vnet", "joint"):
        scores = found["models"][network]
        assert [fold["scored"] for fold in scores["folds"]] == sorted(
            [fold["scored"] for fold in scores["folds"]], reverse=True
        )
        assert sum(fold["scored"] for fold in scores["folds"]) == scores["pooled"]["scored"] == listed
        folders = list((finished.folder / "runs" / "checkpoints").glob(f"{network}-*"))
        assert len(folders) >= 3
    assert "CCC over 3 folds" in ended.stdout
    assert "Cross-validation" in (finished.folder / "runs" / "latest" / "report.html").read_text(encoding="utf-8")

    finished.configure("[run]\nfolds = 4\n")
    ended = finished.run()
    assert ended.returncode != 0
    assert "[run] folds = 4 must be 0 for none, or from 2 to the number of recordings" in ended.stderr


@pytest.mark.slow  # nine trainings of two processes each
def test_folds_are_trained_by_several_processes_too(finished):
    finished.configure("[dataset]\ngroup = video\n[run]\nfolds = 2\nprocesses = 2\n")
    finished.configure("[anet]\nepochs = 1\n[vnet]\nepochs = 1\n[joint]\nepochs = 1\n")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    content = json.loads((finished.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert content["cross_validation"]["num_folds"] == 2
    for network in ("anet", "vnet", "joint"):
        # One of the first run, one of this run, and two of its folds; one fold may equal the official splits.
        assert len(list((finished.folder / "runs" / "checkpoints").glob(f"{network}-*/training.json"))) >= 3
        assert content["cross_validation"]["models"][network]["pooled"]["scored"] == 7

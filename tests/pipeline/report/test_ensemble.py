"""The mean of several seeds: its arithmetic, and a run with two seeds that is killed between them."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.inputs.clips import Clips
from models.scores.ccc import compute_ccc
from models.training.checkpoints import load_checkpoint
from models.training.inference import predict
from pipeline.errors import UserError
from pipeline.prediction import predictors as predictor
from pipeline.prediction.predicting import split_checkpoints
from pipeline.prediction.predictors import Ensemble, Predictor, find_newest_checkpoints, load_ensemble
from pipeline.report.ensemble import score_members
from pipeline.report.page import render_page
from pipeline.report.report_files import ModelPredictions, SplitListing, build_report
from pipeline.report.tables import format_tables
from pipeline.training.combining import average
from pipeline.training.experiment import Experiment
from store import FeatureStore
from tests.pipeline.conftest import ROOT, Workplace

NAN = float("nan")
LABELS = np.array([[0.1, 0.2], [0.4, -0.3], [0.8, 0.5], [NAN, NAN]])
NAMES = ["v/1", "v/2", "w/1", "w/2"]


def listing(split, labels=LABELS):
    videos, files = (list(parts) for parts in zip(*(name.split("/") for name in NAMES), strict=True))
    return SplitListing(split, NAMES, videos, files, labels, ["ok"] * 4, ["ok"] * 4)


def test_the_mean_is_over_those_that_could_see():
    one = np.array([[0.25, 1.0], [NAN, NAN], [NAN, NAN]], np.float32)
    other = np.array([[0.75, 0.5], [0.5, -0.5], [NAN, NAN]], np.float32)
    np.testing.assert_array_equal(average([one, other]), [[0.5, 0.75], [0.5, -0.5], [NAN, NAN]])
    assert average([one]) is one


def make_members():
    first = np.array([[0.2, 0.1], [0.3, -0.2], [0.9, 0.4], [0.5, 0.5]])
    second = np.array([[0.0, 0.3], [0.6, 0.0], [NAN, NAN], [0.5, 0.5]])
    return first, second, [{"vnet": first}, {"vnet": second}]


def test_each_member_is_scored_on_what_it_could_see():
    first, second, members = make_members()
    predicted = {"validation": members, "test": members}
    found = score_members(predicted, [listing("validation"), listing("test", labels=None)], [3, 4])
    assert list(found["vnet"]) == ["validation"]
    scores = found["vnet"]["validation"]
    assert [member["seed"] for member in scores["members"]] == [3, 4]
    valence = [compute_ccc(LABELS[rows, 1], values[rows, 1]) for values, rows in ((first, [0, 1, 2]), (second, [0, 1]))]
    assert [member["valence"] for member in scores["members"]] == pytest.approx(valence)
    assert scores["mean"]["valence"] == pytest.approx(np.mean(valence))
    # Of two values the deviation with divisor N - 1 is their difference over the root of two.
    assert scores["spread"]["valence"] == pytest.approx(abs(valence[0] - valence[1]) / 2**0.5)
    assert scores["members"][0]["total_ccc"] == pytest.approx(
        scores["members"][0]["arousal"] + scores["members"][0]["valence"]
    )


def test_a_member_that_saw_nothing_has_no_score():
    blind = [{"vnet": np.full((4, 2), NAN)}] * 2
    scores = score_members({"test": blind}, [listing("test")], [0, 1])["vnet"]["test"]
    assert scores["members"][1] == {"seed": 1, "arousal": None, "valence": None, "total_ccc": None}
    assert scores["mean"]["total_ccc"] is scores["spread"]["total_ccc"] is None


def test_table_and_page_say_that_it_is_a_mean_and_what_each_seed_reaches():
    first, second, members = make_members()
    splits = [listing("train"), listing("validation")]
    found = score_members({"train": members, "validation": members}, splits, [3, 4])
    values = average([first, second])
    report = build_report(
        [ModelPredictions("vnet", split, NAMES, values, ["vnet"] * 4) for split in ("train", "validation")],
        splits,
        training_mean=np.zeros(2),
        provenance={},
        notes=[],
        extra={"ensemble": {"seeds": [3, 4], "checkpoints": {}, "models": found}},
    )
    lines = [" ".join(line.split()) for line in format_tables(report.content).splitlines()]
    assert any(line.startswith("VNet, this run: mean of 2 seeds ") for line in lines)
    assert lines[-3] == "CCC of each seed alone (3, 4): mean ± deviation of the seeds"
    scores = found["vnet"]["validation"]
    numbers = [f"{scores['mean'][n]:.3f} ± {scores['spread'][n]:.3f}" for n in ("arousal", "valence", "total_ccc")]
    each = [f"{member['total_ccc']:.3f}" for member in scores["members"]]
    assert lines[-1] == " ".join(["VNet on validation", *numbers, *each])
    page = render_page(report)
    assert "CCC of each seed alone (3, 4)" in page
    assert f"<td>{' '.join(each)}</td>" in page


class Says(Predictor):
    """A predictor that has its answer already."""

    def predict(self, clips, tick=None):
        return clips[self.kind, self.notes]


def says(kind="joint", note="a", mean=0.0):
    return Says(kind, {"anet": f"{note}/anet.pt", kind: f"{note}/best.pt"}, {}, np.full(2, mean), False, (), (note,))


def test_an_ensembles_rows_rest_on_what_its_members_rest_on():
    found = Ensemble((says(note="a", mean=0.5), says(note="b", mean=0.25)))
    clips = {
        ("joint", ("a",)): (np.array([[0.5, 0.5], [0.25, 0.0], [NAN, NAN]]), ["joint", "anet", "mean"]),
        ("joint", ("b",)): (np.array([[0.0, 1.0], [0.75, 0.0], [NAN, NAN]]), ["joint", "anet", "mean"]),
    }
    values, sources = found.predict(clips)
    np.testing.assert_array_equal(values, [[0.25, 0.75], [0.5, 0.0], [NAN, NAN]])
    assert sources == ["joint", "anet", "mean"]
    assert found.training_mean.tolist() == [0.375, 0.375]
    assert list(found.paths) == ["anet 1", "joint 1", "anet 2", "joint 2"]
    assert list(Ensemble((says(),)).paths) == ["anet", "joint"]
    assert found.notes == ["a", "b"]


def test_a_mean_is_taken_of_one_networks_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setattr(predictor, "load_predictor", lambda path: says(kind=path.name))
    assert load_ensemble([tmp_path / "joint"] * 2).kind == "joint"
    with pytest.raises(
        UserError, match="--checkpoint names 3 checkpoints of joint and vnet; a mean needs checkpoints of one"
    ):
        load_ensemble([tmp_path / kind for kind in ("joint", "vnet", "joint")])


def test_checkpoints_are_named_between_commas(tmp_path):
    assert [str(path) for path in split_checkpoints("a, b/c")] == ["a", "b/c"]
    assert split_checkpoints("") == []
    (tmp_path / "a,b").mkdir()
    assert split_checkpoints(f"{tmp_path}/a,b") == [tmp_path / "a,b"]
    # Several paths of which one has a comma are given as a JSON list.
    assert split_checkpoints('["x/a,b", "c"]') == [Path("x/a,b"), Path("c")]
    many = [f"{tmp_path}/runs/checkpoints/joint-{number:016x}" for number in range(200)]
    assert split_checkpoints(",".join(many)) == list(map(Path, many))


@pytest.mark.parametrize("text", ["[", "[]", "[1]", '["a", ""]', '[["a"]]', "[" * 100_000])
def test_a_list_of_checkpoints_that_is_none_is_one_sentence(text):
    with pytest.raises(UserError, match="is neither a path nor a list of paths; write several with commas between"):
        split_checkpoints(text)


KILL_WITHIN_VNET = """
import os, signal
from pipeline import progress
tick = progress.Progress.tick
def tick_and_die(self, name, *notes):
    tick(self, name, *notes)
    if name == "train VNet":
        os.kill(os.getpid(), signal.SIGKILL)
progress.Progress.tick = tick_and_die
"""


@pytest.fixture(scope="module")
def two_seeds(first_run, tmp_path_factory):
    """A finished run raised to two seeds, killed within the second's VNet, and gone on with; and how both ended."""
    place, _ = first_run
    folder = tmp_path_factory.mktemp("seeds") / "work"
    shutil.copytree(place.folder, folder, symlinks=True)
    work = Workplace(folder)
    work.configure("[run]\nseeds = 2\n")
    before = work.digests("runs/checkpoints")
    assert work.run(code=KILL_WITHIN_VNET).returncode == -9
    status = work.command("status", "--json")
    ended = work.run()
    assert ended.returncode == 0, ended.stderr
    return work, before, {stage["stage"]: stage for stage in json.loads(status.stdout)["stages"]}, ended


def read_report(work):
    return json.loads((work.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))


def read_numbers(path):
    with path.open(encoding="utf-8", newline="") as file:
        return np.array([[float(row["arousal"]), float(row["valence"])] for row in csv.DictReader(file)])


def test_a_second_seed_trains_three_networks_more_and_goes_on_where_it_was_killed(two_seeds):
    work, before, status, ended = two_seeds
    assert (status["train ANet"]["done"], status["train ANet"]["waiting"]) == (2, 0)
    assert (status["train VNet"]["done"], status["train VNet"]["waiting"]) == (1, 1)
    assert status["train VNet"]["reason"] == "not trained yet with seed 1"
    after = work.digests("runs/checkpoints")
    assert {path: after[path] for path in before} == before
    new = {path.split("/")[2].partition("-")[0] for path in after if path not in before}
    assert new == {"anet", "vnet", "joint"}
    assert len({path.split("/")[2] for path in after}) == 6
    assert "CCC of each seed alone (0, 1)" in ended.stdout
    content = read_report(work)
    assert content["ensemble"]["seeds"] == [0, 1]
    assert {network: [len(lines) for lines in others] for network, others in content["ensemble"]["curves"].items()} == {
        "anet": [2],
        "vnet": [2],
        "joint": [2],
    }
    for folders in content["ensemble"]["checkpoints"].values():
        assert [(work.folder / folder / "training.json").is_file() for folder in folders] == [True, True]
    assert "Seeds" in (work.folder / "runs" / "latest" / "report.html").read_text(encoding="utf-8")


def test_checkpoints_of_no_seed_are_refused():
    with pytest.raises(UserError, match="clips or settings changed just before the training of vnet; run again"):
        Experiment(data=None, trainings=[]).find_trainings("vnet", "0123456789abcdef")


@pytest.mark.slow  # twelve processes
def test_the_seed_travels_to_the_processes_that_share_a_training(two_seeds, tmp_path):
    work, _, _, _ = two_seeds
    shutil.copytree(work.folder, tmp_path / "work", symlinks=True)
    shared = Workplace(tmp_path / "work")
    shared.configure("[run]\nprocesses = 2\n")
    ended = shared.run()
    assert ended.returncode == 0, ended.stderr
    losses = [
        [
            [json.loads(line)["loss"] for line in (place.folder / folder / "metrics.jsonl").read_text().splitlines()]
            for folder in read_report(place)["ensemble"]["checkpoints"]["vnet"]  # has no dropout
        ]
        for place in (work, shared)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert abs(losses[0][0][0] - losses[0][1][0]) > 1e-3


def test_a_member_is_named_as_the_run_with_its_seed_alone_would_name_it(two_seeds):
    work, _, _, _ = two_seeds
    code = (
        "import dataclasses\n"
        "from pipeline.training.experiment import read_experiment\nfrom pipeline.runs.opening import open_run\n"
        "found = read_experiment(open_run())\n"
        "run = found.data.run\n"
        "alone = dataclasses.replace(run, settings=run.settings.replace('run', seed=1, seeds=1))\n"
        "members = [each.fingerprints for each in found.trainings]\n"
        "assert [each.fingerprints for each in read_experiment(alone).trainings] == members[1:]\n"
        "assert len(members) == 2 and len({*members[0].values(), *members[1].values()}) == 6\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=work.folder, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    for network, folders in read_report(work)["ensemble"]["checkpoints"].items():
        provenance = load_checkpoint(work.folder / folders[1]).provenance
        assert (provenance["seed"], provenance["settings"]["run"]["seed"]) == (1, 1), network
        assert provenance["settings"]["run"]["seeds"] == 1


def test_predictions_are_the_mean_of_the_members(two_seeds):
    work, _, _, _ = two_seeds
    store, content = FeatureStore(work.folder / "store"), read_report(work)
    with (work.folder / "omg_ValidationVideos.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [store[f"{row['video']}/{row['utterance'].removesuffix('.mp4')}"] for row in rows]
    clips = Clips(
        [clip.name for clip in found], None, [c.stft for c in found], [c.embeddings for c in found], [None] * len(found)
    )
    labels = np.array([[float(row["arousal"]), float(row["valence"])] for row in rows])
    for network, folders in content["ensemble"]["checkpoints"].items():
        each = [predict(work.folder / folder, clips) for folder in folders]
        assert np.abs(each[0] - each[1]).max() > 1e-4
        written = read_numbers(work.folder / "runs" / "latest" / "predictions" / f"{network}-validation.csv")
        np.testing.assert_allclose(written, np.mean(each, axis=0), atol=2e-6)
        ccc = [compute_ccc(labels[:, i], written[:, i]) for i in (0, 1)]
        assert content["models"][network]["validation"]["total_ccc"] == pytest.approx(sum(ccc))


def test_predict_takes_the_mean_of_the_newest_report(two_seeds):
    work, _, _, _ = two_seeds
    folders = read_report(work)["ensemble"]["checkpoints"]["joint"]
    assert [str(path) for path in find_newest_checkpoints(work.folder / "runs")] == folders
    path = work.folder / "runs" / "latest" / "predictions" / "joint-test.csv"
    with path.open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    ended = work.command("predict", f"videos/{row['video']}/{row['utterance']}", "--json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    expected = [float(row["arousal"]), float(row["valence"])]
    np.testing.assert_allclose([answer["arousal"], answer["valence"]], expected, atol=2e-5)

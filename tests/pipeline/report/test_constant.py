"""The report's notes on networks that predicted the same for every clip."""

import json
from types import SimpleNamespace

from pipeline.report.constant import note_constant
from tests.models.training.test_constant import history


def trainings(tmp_path, name, *spreads, best=0):
    """Write a training's metrics, and give the object that the report reads them from."""
    folder = tmp_path / name
    folder.mkdir()
    lines = [{**metrics.as_plain(), "is_best": metrics.epoch == best} for metrics in history(*spreads)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    nothing = tmp_path / "nothing"
    return SimpleNamespace(seed=int(name[-1]), folder=lambda network: folder if network == "anet" else nothing)


def note(*experiments):
    first, *folds = (SimpleNamespace(trainings=each) for each in experiments)
    return list(note_constant(first, folds))


def test_a_network_that_ends_constant_is_named_and_one_that_only_began_so_is_not(tmp_path):
    begun = trainings(tmp_path, "begun 0", 0.0, 0.0, 0.0, 0.2, 0.3, best=4)
    ended = trainings(tmp_path, "ended 1", 0.2, 0.3, 0.0, 0.0, 0.0, best=1)
    assert note([begun]) == []
    (told,) = note([begun, ended])
    assert told.startswith(
        "CONSTANT PREDICTIONS: ANet, seed 1 predicted the same for all clips (with a deviation of at most 0.001) in 3 "
        "of its 5 epochs, among them the last one; "
    )


def test_a_chosen_epoch_that_is_constant_is_named_and_folds_are_counted(tmp_path):
    chosen = trainings(tmp_path, "chosen 0", 0.0, 0.0, 0.0, 0.2, 0.3, best=0)
    whole = trainings(tmp_path, "whole 0", 0.2, 0.2, 0.2)
    (told,) = note([whole], [chosen], [whole])
    assert told.startswith("CONSTANT PREDICTIONS: ANet in 1 of 2 trainings of folds; ")
    (told,) = note([chosen])
    assert "in 3 of its 5 epochs, among them the chosen one" in told


def test_what_an_earlier_version_wrote_says_nothing(tmp_path):
    old = trainings(tmp_path, "old 0", 0.0, 0.0, 0.0)
    path = tmp_path / "old 0" / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{k: v for k, v in line.items() if not k.startswith(("spread", "mean"))} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    assert note([old]) == []
    path.write_text("damaged")
    assert note([old]) == []


def test_a_run_tells_of_it_on_the_terminal_in_the_log_and_in_the_report(finished):
    finished.configure("[anet]\nloss = ccc\nlearning_rate = 10\ngradient_clip = 1e9\nepochs = 4\n")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    told = "anet: constant predictions: in epochs "
    assert ended.stderr.count(told) == 1
    assert "or loss = mse" in ended.stderr
    (log,) = (path for path in (finished.folder / "runs/logs").glob("*.log") if told in path.read_text())
    assert "WARNING models.training.loop" in log.read_text()
    latest = finished.folder / "runs" / "latest"
    notes = json.loads((latest / "report.json").read_text())["notes"]
    assert [note[:26] for note in notes if note.startswith("CONSTANT")] == ["CONSTANT PREDICTIONS: ANet"]
    assert "CONSTANT PREDICTIONS: ANet" in ended.stdout
    assert "CONSTANT PREDICTIONS: ANet" in (latest / "report.html").read_text()

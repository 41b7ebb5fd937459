import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.inputs.clips import Clips
from models.networks.vnet import build_vnet
from models.training.checkpoints import load_checkpoint
from models.training.metrics import EpochMetrics, count_epochs_since_best, find_best_total
from models.training.saving import Pace
from models.training.settings import ANetSettings
from models.training.start import RunOptions, train_anet, train_vnet
from models.training.state import TrainingState, check_state_fits, load_state
from tests.models.data import make_clips
from tests.models.training import killed_training

ROOT = Path(__file__).resolve().parents[3]
FILES = ["average.pt", "best.pt", "events.out.tfevents.valar", "last.pt", "metrics.jsonl"]


class Killed(BaseException):
    """An error that no handler of Valar catches."""


def summarise(folder):
    """Everything that a training writes, without times."""
    left = {}
    for name in ("average.pt", "best.pt", "last.pt"):
        if (folder / name).exists():
            checkpoint = load_checkpoint(folder / name)
            scores = {key: value for key, value in checkpoint.scores.items() if not key.endswith("seconds")}
            left[name] = (checkpoint.epoch, scores, {key: v.numpy().tobytes() for key, v in checkpoint.state.items()})
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    left["metrics"] = [{key: value for key, value in line.items() if not key.endswith("seconds")} for line in lines]
    return left


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    killed_training.train(folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    return summarise(folder)


def kill_before_each_renaming(folder, monkeypatch, train):
    """Kill a training before its first renaming and go on with it, another before its second, and so on.

    Yields how many renamings there were before the kill, and the folder.
    """
    rename, num_kills = Path.replace, 0
    while True:
        countdown = num_kills

        def count(self, target):
            nonlocal countdown
            countdown -= 1
            if countdown < 0:
                raise Killed
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", count)
        # No power cut is tested here, so nothing has to be flushed to the disk.
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        try:
            train(folder / str(num_kills))
            return
        except Killed:
            monkeypatch.setattr(Path, "replace", rename)
        train(folder / str(num_kills))
        yield num_kills, folder / str(num_kills)
        shutil.rmtree(folder / str(num_kills))
        num_kills += 1


def test_killed_before_any_renaming_the_rest_ends_with_the_same_bits(tmp_path, uninterrupted, monkeypatch):
    """state.pt, best.pt, metrics.jsonl of each epoch, then the files of the end: every place where files change."""
    renaming = 0
    for renaming, folder in kill_before_each_renaming(tmp_path, monkeypatch, killed_training.train):
        assert summarise(folder) == uninterrupted, f"killed before renaming {renaming}"
        assert sorted(path.name for path in folder.iterdir()) == FILES
    assert renaming + 1 >= 3 * 2 + 3


def make_seldom(monkeypatch):
    """Save only the first epoch after each start and the last epoch, as when saving is slow."""
    known = []

    def is_due(pace):
        if pace in known:
            return False
        known.append(pace)
        return True

    monkeypatch.setattr(Pace, "is_due", is_due)


@pytest.mark.parametrize("every_steps", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_between_seldom_savings_the_rest_ends_with_the_same_bits(tmp_path, monkeypatch, every_steps):
    """The second epoch is the best one and not saved at its end: its weights come to the disk later."""
    settings = replace(killed_training.SETTINGS, learning_rate=0.03)

    def train(folder):
        killed_training.train(folder, settings, seed=4, save_every_steps=every_steps)

    train(tmp_path / "whole")
    whole = summarise(tmp_path / "whole")
    assert [line["is_best"] for line in whole["metrics"]] == [True, True, False]
    make_seldom(monkeypatch)
    renaming = 0
    for renaming, folder in kill_before_each_renaming(tmp_path, monkeypatch, train):
        assert summarise(folder) == whole, f"killed before renaming {renaming}"
        assert sorted(path.name for path in folder.iterdir()) == FILES
    assert renaming + 1 >= 2 * 2 + 3 + 2


def test_best_is_never_ahead_of_the_state(tmp_path, monkeypatch):
    """On a GPU, epochs lost by a kill may differ when repeated: best.pt must not be of a lost epoch."""
    make_seldom(monkeypatch)
    settings = replace(killed_training.SETTINGS, learning_rate=0.03)

    def stop(metrics):
        if metrics.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        killed_training.train(tmp_path, settings, seed=4, on_epoch=stop)
    assert load_state(tmp_path).epoch == 1
    assert load_checkpoint(tmp_path / "best.pt").epoch == 0
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["is_best"] for line in lines] == [True, True], "grows all the same"
    killed_training.train(tmp_path, settings, seed=4)
    assert load_checkpoint(tmp_path / "best.pt").epoch == 1


@pytest.mark.parametrize("renaming", [3, 8])
def test_killed_by_the_system(tmp_path, uninterrupted, renaming):
    command = [sys.executable, "-m", "tests.models.training.killed_training", str(tmp_path / "run"), str(renaming)]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert ended.returncode == -9, ended.stderr
    assert any(path.suffix == ".tmp" for path in (tmp_path / "run").iterdir()), "cut off while writing"
    killed_training.train(tmp_path / "run")
    assert summarise(tmp_path / "run") == uninterrupted
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == FILES


def test_curves_that_were_cut_off_while_they_were_begun_go(tmp_path):
    """TensorBoard's file may lie in a folder of its own."""
    curves = tmp_path / "VNet, seed 0"
    curves.mkdir()
    (curves / ".events.out.tfevents.valar.707.tmp").write_bytes(b"half")
    killed_training.train(tmp_path / "run", curves=curves)
    assert [path.name for path in curves.iterdir()] == ["events.out.tfevents.valar"]


@pytest.mark.parametrize("kind", ["anet", "vnet"])
def test_killed_within_an_epoch_goes_on_from_the_last_saved_step(tmp_path, monkeypatch, kind):
    """With ANet's dropout, which has to continue in the same way too."""
    train, validation = make_clips(8), make_clips(4, seed=1)

    def run(name, **changes):
        if kind == "vnet":
            settings = killed_training.SETTINGS
            train_vnet(train, validation, settings, RunOptions(tmp_path / name, seed=0, **changes))
        else:
            settings = ANetSettings(epochs=2, batch_size=2, channel_scale=1 / 64, num_evaluation_maps=1)
            train_anet(train, validation, settings, RunOptions(tmp_path / name, seed=0, **changes), weights=None)

    run("whole")
    step, num_steps = torch.optim.SGD.step, 0

    def count(*args, **kwargs):
        nonlocal num_steps
        num_steps += 1
        if num_steps == 7:  # of 3 or 4 an epoch: within the second or third
            raise Killed
        return step(*args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", count)
    with pytest.raises(Killed):
        run("parts", save_every_steps=2)
    state = load_state(tmp_path / "parts")
    assert state.step == 2 or kind == "vnet"
    assert len(state.losses) == state.step
    run("parts")
    assert summarise(tmp_path / "parts") == summarise(tmp_path / "whole")
    assert num_steps < 7 + 12, "went on rather than began again"


def test_finished_training_is_not_repeated(tmp_path):
    killed_training.train(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    killed_training.train(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_epochs_before_the_kill_are_reported_again(tmp_path):
    def stop(metrics):
        if metrics.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        killed_training.train(tmp_path, on_epoch=stop)
    seen = []
    killed_training.train(tmp_path, on_epoch=seen.append)
    assert [metrics.epoch for metrics in seen] == [0, 1, 2]


@pytest.mark.parametrize("other", ["settings", "labels", "rows"])
def test_another_training_is_begun_anew(tmp_path, caplog, other):
    def stop(metrics):
        raise Killed

    with pytest.raises(Killed):
        killed_training.train(tmp_path, on_epoch=stop)
    clips, settings = make_clips(8), killed_training.SETTINGS
    if other == "settings":
        settings = replace(settings, momentum=0.5)
    elif other == "labels":
        clips.labels[0] = 0.5
    else:
        clips = replace(clips, embeddings=[array[:-1] for array in clips.embeddings])
    with caplog.at_level(logging.WARNING):
        train_vnet(clips, make_clips(5, seed=1), settings, RunOptions(tmp_path / "new", seed=3))
        train_vnet(clips, make_clips(5, seed=1), settings, RunOptions(tmp_path, seed=3))
    assert f"vnet: {tmp_path / 'state.pt'} is of another training (data or settings); it is replaced" in caplog.text
    shutil.move(tmp_path / "new", tmp_path.with_suffix(".new"))
    assert summarise(tmp_path) == summarise(tmp_path.with_suffix(".new"))


def test_state_that_cannot_be_read_is_replaced(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"cut off")
    assert load_state(tmp_path) is None
    (tmp_path / "best.pt").write_bytes(b"old")
    (tmp_path / "metrics.jsonl").write_text("old\n")
    killed_training.train(tmp_path)
    assert len(summarise(tmp_path)["metrics"]) == 3


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """What state.pt holds after the first of three epochs."""
    folder = tmp_path_factory.mktemp("stopped")

    def stop(metrics):
        raise Killed

    with pytest.raises(Killed):
        killed_training.train(folder, on_epoch=stop)
    return torch.load(folder / "state.pt", weights_only=True)


def with_momentum(content, momentum):
    optimiser = content["optimiser"]
    return optimiser | {"state": optimiser["state"] | {0: {"momentum_buffer": momentum}}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: {"epoch": 2}, "names 1 finished epoch and goes on with epoch 2"),
        (lambda c: {"step": 2}, "has 0 losses of 2 steps"),
        (lambda c: {"history": [{"epoch": 0}]}, "an epoch has no kind"),
        (lambda c: {"history": 3}, "'int' object is not iterable"),
        (lambda c: {"network": [1]}, "network is list: it must be dict"),
        (lambda c: {"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_state_that_no_training_writes_is_named(tmp_path, stopped, caplog, change, reason):
    torch.save(stopped | {"network": {}, "best": {}, "average": {}} | change(stopped), tmp_path / "state.pt")
    with caplog.at_level(logging.WARNING):
        assert load_state(tmp_path) is None
    assert f"{tmp_path / 'state.pt'} cannot be used, so the training begins again: " in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: {"network": {}}, "network does not fit: missing"),
        (lambda c: {"network": c["network"] | {"head.bias": torch.tensor([0, torch.nan])}}, "not finite numbers"),
        (lambda c: {"average": {"head.bias": torch.zeros(2)}}, "average does not fit: missing"),
        (lambda c: {"best": {"head.bias": torch.zeros(2)}}, "best does not fit: missing"),
        (lambda c: {"optimiser": {"state": {}}}, "its optimiser is another one"),
        (lambda c: {"optimiser": with_momentum(c, torch.zeros(3))}, "momentum of parameter 0 has another shape"),
        (lambda c: {"optimiser": with_momentum(c, c["network"]["feature.lstm.weight_ih_l0"] / 0)}, "or is not finite"),
    ],
)
def test_a_state_of_another_network_is_refused(stopped, change, reason):
    content = {name: value for name, value in stopped.items() if name not in ("format", "history")}
    network = build_vnet(None, seed=0)
    settings = killed_training.SETTINGS
    optimiser = torch.optim.SGD(
        network.parameters(), 1.0, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    check_state_fits(TrainingState(**content), network, optimiser)
    with pytest.raises((ValueError, KeyError), match=reason):
        check_state_fits(TrainingState(**(content | change(content))), network, optimiser)


def test_a_state_with_nan_weights_is_named_and_the_training_begins_anew(tmp_path, stopped, caplog):
    weights = stopped["network"] | {"head.bias": torch.tensor([0, torch.nan])}
    torch.save(stopped | {"network": weights}, tmp_path / "state.pt")
    seen = []
    with caplog.at_level(logging.WARNING):
        killed_training.train(tmp_path, on_epoch=seen.append)
    assert [metrics.epoch for metrics in seen] == [0, 1, 2]
    assert "state.pt cannot be used, so the training begins again: network has values that are not fini" in caplog.text


def test_a_state_as_it_was_left_is_gone_on_with(tmp_path, stopped, caplog):
    torch.save(stopped, tmp_path / "state.pt")
    with caplog.at_level(logging.WARNING):
        killed_training.train(tmp_path)
    assert "the training begins again" not in caplog.text


def test_a_foreign_last_file_is_not_replaced(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"precious")
    with pytest.raises(
        FileExistsError, match=r"last.pt exists and is not a checkpoint of Valar: .*; set overwrite to replace it"
    ):
        killed_training.train(tmp_path)
    killed_training.train(tmp_path, overwrite=True)
    assert load_checkpoint(tmp_path / "last.pt").epoch == 2


def test_state_holds_tensors_and_plain_data_only(tmp_path):
    def stop(metrics):
        raise Killed

    with pytest.raises(Killed):
        train_vnet(
            make_clips(3),
            Clips([], None, [], [], []),
            killed_training.SETTINGS,
            RunOptions(tmp_path, seed=0, on_epoch=stop),
        )
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["epoch"] == 1
    assert state["history"][0]["total_ccc"] is None, "undefined"
    assert len(state["optimiser"]["state"]) == 10, "momentum of each of VNet's tensors"


def make_metrics(epoch, total, is_best):
    numbers = dict.fromkeys(("loss", "learning_rate", "ccc_arousal", "ccc_valence"), 0.1)
    times = dict.fromkeys(("seconds", "train_seconds", "wait_seconds"), 1.0)
    return EpochMetrics(
        kind="vnet",
        epoch=epoch,
        num_epochs=9,
        total_ccc=total,
        is_best=is_best,
        num_train=1,
        num_validation=1,
        **numbers,
        **times,
    )


def test_best_total_and_patience():
    nan = float("nan")
    history = [make_metrics(0, nan, False), make_metrics(1, 0.2, True), make_metrics(2, 0.1, False)]
    assert find_best_total(history) == 0.2
    assert find_best_total(history[:1]) == -float("inf")
    assert [count_epochs_since_best(history[:n]) for n in (1, 2, 3)] == [0, 0, 1]

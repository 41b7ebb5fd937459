"""The trainings of each seed and the report on them: what names the report, and which one `latest` links."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.dataset.groups import group_utterances
from pipeline.dataset.utterances import Utterance
from pipeline.errors import UserError
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.training.experiment import Experiment, note_needed


class Seed:
    """The trainings of one seed, as far as an experiment asks them."""

    def __init__(self, seed, folder, says=None, starts=()):
        self.seed, self._folder, self._says, self._starts = seed, folder, says, starts
        self.fingerprints = {network: f"{network}{seed}" for network in ("anet", "vnet", "joint")}

    def predict(self, network, split):
        return np.asarray(self._says[network])

    def start(self, network):
        return SimpleNamespace(folder=Path(f"{network}-old")) if network in self._starts else None

    def folder(self, network):
        return self._folder / "checkpoints" / f"{network}-{self.fingerprints[network]}"


def make_experiment(folder, seeds=(0,), arousal=0.5, status="ok", digest="ab", folds=0, features=None, **more):
    rows = [Utterance(f"v{k}", "a.mp4", "test", arousal, 0.1, None, None, None, Path("t.csv"), k + 2) for k in range(2)]
    ledger = {u.name: LedgerRow(u.name, "test", status, "ok", 9, 9, source_sha256=digest) for u in rows}
    run = SimpleNamespace(
        folder=folder,
        store=folder / "store",
        fingerprints={"sound_talk": "f1"},
        features=features or {},
        dataset=SimpleNamespace(utterances=rows, grouping=group_utterances(rows)),
        settings=SimpleNamespace(run=SimpleNamespace(folds=folds, opensmile=False)),
    )
    return Experiment(SimpleNamespace(run=run, ledger=ledger), [Seed(seed, folder, **more) for seed in seeds])


def test_a_report_is_named_by_everything_it_rests_on(tmp_path):
    talk = {"sound_talk": SimpleNamespace(is_voice_activity=True)}
    other = {"sound_talk": SimpleNamespace(is_voice_activity=False)}
    made = [
        make_experiment(tmp_path),
        make_experiment(tmp_path, seeds=(1,)),
        make_experiment(tmp_path, seeds=(0, 1)),
        make_experiment(tmp_path, arousal=0.25),
        make_experiment(tmp_path, status="decode_error"),
        make_experiment(tmp_path, digest="cd"),
        make_experiment(tmp_path, folds=2),
        make_experiment(tmp_path, features=talk),
    ]
    assert len({one.report_fingerprint for one in made}) == len(made)
    same = make_experiment(tmp_path / "elsewhere", features=other)
    assert same.report_fingerprint == made[0].report_fingerprint


def test_a_report_counts_when_it_is_whole_and_latest_names_it(tmp_path):
    one, other = make_experiment(tmp_path), make_experiment(tmp_path, seeds=(1,))
    one.link_report()
    assert not one.is_reported, "the link alone is no report"
    for experiment in (one, other):
        experiment.report_folder.mkdir(parents=True)
        experiment.report_path.touch()
    assert (one.is_reported, other.is_reported) == (True, False)
    other.link_report()
    assert (one.is_reported, other.is_reported) == (False, True)
    assert (tmp_path / "latest").resolve() == other.report_folder


def test_checkpoints_belong_to_the_seed_that_names_them(tmp_path):
    experiment = make_experiment(tmp_path, seeds=(3, 4))
    assert experiment.find_trainings("vnet", "vnet4").seed == 4
    with pytest.raises(UserError, match="clips or settings changed just before the training of vnet; run again"):
        experiment.find_trainings("vnet", "vnet5")


def test_the_prediction_is_the_mean_of_the_seeds_that_could_see(tmp_path):
    experiment = make_experiment(tmp_path, seeds=(0, 1))
    nan = float("nan")
    for seed, says in zip(experiment.trainings, ([[0.5, 0.0], [nan, nan]], [[0.25, 1.0], [0.5, 0.5]]), strict=True):
        seed._says = {"anet": says}
    np.testing.assert_array_equal(experiment.predict("anet", "test"), [[0.375, 0.5], [0.5, 0.5]])


def test_networks_that_go_on_from_earlier_ones_are_noted(tmp_path):
    assert list(make_experiment(tmp_path).notes()) == []
    (note,) = make_experiment(tmp_path, seeds=(0, 1), starts=("joint",)).notes()
    assert note.startswith("WARM START: the training of joint continued the best weights of joint-old, joint-old; ")


def test_what_gc_leaves_is_written_down_and_a_folder_that_is_closed_stops_nothing(tmp_path):
    experiment = make_experiment(tmp_path)
    note_needed([experiment])
    text = (tmp_path / "needed.json").read_text(encoding="utf-8")
    assert all(f"{network}-{network}0" in text for network in ("anet", "vnet", "joint"))
    note_needed([make_experiment(tmp_path / "needed.json")])

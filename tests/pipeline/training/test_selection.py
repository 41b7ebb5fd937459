"""`[run] select_on = train`: what chooses the epoch is neither trained on nor scored, in runs and in nested folds."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from models.training.checkpoints import load_checkpoint
from pipeline.dataset.utterances import Dataset, read_dataset
from pipeline.runs.old_checkpoints import _list_reports
from pipeline.training import folds
from pipeline.training.data import SELECTION, TrainingData
from pipeline.training.folds import make_folds
from pipeline.training.warm_start import find_start
from tests.pipeline.dataset.test_holding_out import HEADER, write_omgs_shape
from tests.pipeline.training.test_warm_start import TrainingRecord, checkpoints

NETWORKS = ("anet", "vnet", "joint")


@dataclass(frozen=True)
class Place:
    """The parts of a run that decide which clips are trained on."""

    dataset: Dataset
    select_on: str = "train"

    @property
    def settings(self):
        return SimpleNamespace(run=SimpleNamespace(select_on=self.select_on))


def read_omgs_shape(tmp_path):
    """Training and validation of the official sizes, which share 23 recordings."""
    write_omgs_shape(tmp_path / "train.csv")
    sizes = {"num_links": 46, "num_names": 60, "num_clips": 617}
    text = write_omgs_shape(tmp_path / "validation.csv", **sizes, seed=1).read_text()
    # The links get the numbers 102 to 147, so that 23 of the 46 are also links of the training split; names differ.
    for link in range(45, -1, -1):
        text = text.replace(f"v={link:09x},", f"v={link + 102:09x},").replace(f",{link:09x}_", f",f{link:08x}_")
    (tmp_path / "validation.csv").write_text(text)
    dataset = read_dataset({split: tmp_path / f"{split}.csv" for split in ("train", "validation")})
    links = {split: {u.link for u in dataset.utterances if u.split == split} for split in ("train", "validation")}
    assert (len(links["train"] & links["validation"]), len(links["validation"])) == (23, 46)
    return dataset


def divide(data):
    """Give the clips that are trained on, that choose the epoch, and that are only scored."""
    parts = {"train": [], SELECTION: [], "validation": [], "": []}
    for utterance in data.run.dataset.utterances:
        parts[data.find_part(utterance)].append(utterance)
    return parts


def test_the_validation_split_has_no_part_in_it_and_no_recording_of_train_is_divided(tmp_path):
    data = TrainingData(Place(read_omgs_shape(tmp_path)), {})
    parts = divide(data)
    assert {u.split for u in parts["train"]} == {u.split for u in parts[SELECTION]} == {"train"}
    assert {u.split for u in parts[""]} == {"validation"}
    assert not {u.link for u in parts["train"]} & {u.link for u in parts[SELECTION]}
    assert [len(data.list_part(chooses=chooses)) for chooses in (False, True)] == [
        2442 - len(parts[SELECTION]),
        len(parts[SELECTION]),
    ]
    usual = divide(TrainingData(Place(read_omgs_shape(tmp_path), "validation"), {}))
    assert [len(usual[part]) for part in ("train", SELECTION, "validation", "")] == [2442, 0, 617, 0]


def leak(some, others):
    """Give the share of some clips whose link is among those of others."""
    links = {u.link for u in others}
    return np.mean([u.link in links for u in some])


def test_nested_folds_of_omgs_shape_leak_nothing_by_link(tmp_path, monkeypatch):
    monkeypatch.setattr(folds, "read_experiment", lambda run, is_fold: TrainingData(run, {}))
    dataset = read_omgs_shape(tmp_path)
    scored = []
    for fold in make_folds(Place(dataset), 5):
        parts = divide(fold)
        trained, chooses, held_out = parts["train"], parts[SELECTION], parts[""]
        assert not parts["validation"]
        assert len(trained) + len(chooses) + len(held_out) == 3059
        assert leak(held_out, trained) == leak(held_out, chooses) == leak(chooses, trained) == 0
        assert 0.19 < len(chooses) / (len(trained) + len(chooses)) < 0.25
        scored += [u.name for u in held_out]
    assert sorted(scored) == sorted(u.name for u in dataset.utterances)
    # By default, the fold that is scored also chooses the epoch.
    for fold in make_folds(Place(dataset, "validation"), 5):
        parts = divide(fold)
        assert not parts[SELECTION]
        assert not parts[""]
        assert leak(parts["validation"], parts["train"]) == 0


def test_recordings_that_only_a_test_clip_joins_stay_together_in_folds(tmp_path, monkeypatch):
    monkeypatch.setattr(folds, "read_experiment", lambda run, is_fold: TrainingData(run, {}))
    rows = {split: [f"L{i},0,1,{split}{i},1.mp4,0.1,0.2,0" for i in range(6)] for split in ("train", "validation")}
    rows["test"] = ["L0,0,1,joins,1.mp4,0.1,0.2,0", "M,0,1,joins,2.mp4,0.1,0.2,0"]
    rows["validation"][1] = "M,0,1,validation1,1.mp4,0.1,0.2,0"
    for split, lines in rows.items():
        (tmp_path / f"{split}.csv").write_text(HEADER + "\n".join(lines) + "\n")
    dataset = read_dataset({split: tmp_path / f"{split}.csv" for split in rows})
    joined = {"train0/1", "validation0/1", "validation1/1"}
    assert len({dataset.grouping.of[name] for name in joined}) == 1
    for fold in make_folds(Place(dataset), 3):
        assert sum(bool(joined & {u.name for u in part}) for part in divide(fold).values()) == 1


def test_one_recording_is_told_before_any_work(stub_place):
    stub_place.configure("[run]\nselect_on = train\n")
    before = stub_place.digests("store")
    ended = stub_place.run()
    assert ended.returncode == 2
    assert (
        "[run] select_on = train: the labelled clips of the training split come from 1 recording, and holding some out "
        "needs two; set [run] select_on = validation, or name the column" in ended.stderr
    )
    assert stub_place.digests("store") == before
    assert stub_place.run(task="Features").returncode == 0, "features need no choice"


def test_folds_that_cannot_be_made_are_told_before_any_work(stub_place):
    """With three recordings, one of two folds trains on a single recording, of which no part can be held out."""
    rows = [stub_place.row("a/1.mp4", 0.1), stub_place.row("b/1.mp4", 0.2)]
    stub_place.write_rows("train", rows)
    stub_place.write_clip("a/1.mp4")
    stub_place.write_clip("b/1.mp4")
    stub_place.configure("[run]\nfolds = 2\nselect_on = train\n")
    before = stub_place.digests("store")
    ended = stub_place.run()
    assert ended.returncode == 2
    assert "[run] folds = 2 with select_on = train: in a fold the labelled clips of the training split" in ended.stderr
    stub_place.configure("[run]\nfolds = 4\n")
    ended = stub_place.run()
    assert ended.returncode == 2
    assert "[run] folds = 4 must be 0 for none, or from 2 to the number of recordings" in ended.stderr
    assert stub_place.digests("store") == before


def test_nothing_goes_on_from_what_was_chosen_on_a_clip_that_is_only_scored_now(tmp_path):
    made_of = {"network": "anet", "members": [["v/a", "1", 0, 0, SELECTION]], "seed": 0, "stages": {}}
    last = TrainingRecord("anet", "f", made_of, {}, folder=tmp_path / "anet-f")
    last.folder.mkdir()
    last.write(last.folder / "training.json")
    (last.folder / "best.pt").write_bytes(b"x")
    assert find_start(tmp_path, {**made_of, "members": []}, {}, frozenset({"v/b"})) is not None
    assert find_start(tmp_path, {**made_of, "members": []}, {}, frozenset({"v/a"})) is None


def test_warm_start_does_not_go_on_from_what_validation_chose(stub_place):
    stub_place.configure("[dataset]\ngroup = utterance\n[run]\nwarm_start = true\nselect_on = train\n")
    stub_place.read_starts()
    stub_place.run_stubs()
    assert set(stub_place.read_starts().values()) == {"None"}
    # The other way round it may: all clips of the earlier training, and those that chose its epoch, are trained on now.
    first = checkpoints(stub_place)
    stub_place.configure("[run]\nselect_on = validation\n[anet]\nlearning_rate = 0.5\n")
    stub_place.run_stubs()
    assert stub_place.read_starts()["anet"] == first["anet"][-1]


def read_report(place):
    return json.loads((place.folder / "runs/latest/report.json").read_text(encoding="utf-8"))


def test_a_run_says_which_clips_chose_and_sets_both_choices_side_by_side(finished):
    before, first = read_report(finished), set((finished.folder / "runs/checkpoints").iterdir())
    assert before["selection"] == {"split": "validation"}
    finished.configure("[run]\nselect_on = train\n")
    store = finished.digests("store")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    assert {k: v for k, v in finished.digests("store").items() if k.endswith(".h5")} == {
        k: v for k, v in store.items() if k.endswith(".h5")
    }
    content = read_report(finished)
    found = content["selection"]
    assert (found["split"], found["clips"], found["recordings"]) == ("train", 2, 1)
    assert found["other"]["split"] == "validation"
    for network in NETWORKS:
        was, other = before["models"][network]["validation"], found["other"]["models"][network]["validation"]
        assert other == {name: was[name] for name in other}
        (folder,) = (path for path in (finished.folder / "runs/checkpoints").glob(f"{network}-*") if path not in first)
        checkpoint = load_checkpoint(folder)
        assert checkpoint.scores["selected_by"] == "total CCC on training recordings that were held out"
        assert (checkpoint.scores["num_train"], checkpoint.scores["num_validation"]) == (2, 2)
        made_of = json.loads((folder / "training.json").read_text())["made_of"]
        assert sorted(member[4] for member in made_of["members"]) == [SELECTION, SELECTION, "train", "train"]
        assert {member[0].split("/")[0] for member in made_of["members"] if member[4] == SELECTION}.isdisjoint(
            member[0].split("/")[0] for member in made_of["members"] if member[4] == "train"
        )
    assert (
        "CCC on validation, not optimistic: the checkpoints were chosen on 2 held-out training clips of 1 reco"
        in ended.stdout
    )
    assert "CCC with the epochs chosen on validation, and on held-out training clips" in ended.stdout
    assert "[run] select_on" in content["changed"]
    page = (finished.folder / "runs/latest/report.html").read_text(encoding="utf-8")
    assert "This split was not used for the choice, so the choice does not affect its scores" in page
    assert "The effect of the choice of epochs" in page
    assert "held-out training clips" in page
    assert sorted(found["other"]["checkpoints"]) == sorted(folder.name for folder in first)
    assert {name for names in _list_reports(finished.folder / "runs").values() for name in names} == {
        folder.name for folder in (finished.folder / "runs/checkpoints").iterdir()
    }


@pytest.mark.slow
def test_the_choice_that_came_first_shows_both_as_soon_as_it_is_run_again(finished):
    alone, first = read_report(finished), (finished.folder / "runs/latest").resolve()
    finished.configure("[run]\nselect_on = train\n")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    other, trained = read_report(finished), finished.digests("runs/checkpoints")
    finished.configure("[run]\nselect_on = validation\n")
    status = finished.command("status", "--json")
    assert status.returncode == 3, status.stdout
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    again = read_report(finished)
    assert (finished.folder / "runs/latest").resolve() != first
    assert again["models"] == alone["models"]
    assert (again["selection"]["split"], again["selection"]["other"]["split"]) == ("validation", "train")
    for network in NETWORKS:
        scores = again["selection"]["other"]["models"][network]["validation"]
        assert scores == {name: other["models"][network]["validation"][name] for name in scores}
    assert "CCC with the epochs chosen on validation, and on held-out training clips" in ended.stdout
    assert finished.digests("runs/checkpoints") == trained, "nothing is trained for it"
    # Both reports are complete now: a run with one choice does not make the other choice's report stale.
    for choice in ("validation", "train", "validation"):
        finished.configure(f"[run]\nselect_on = {choice}\n")
        before = set((finished.folder / "runs/reports").iterdir())
        assert finished.run().returncode == 0
        assert read_report(finished)["selection"]["split"] == choice
        assert set((finished.folder / "runs/reports").iterdir()) == before


@pytest.mark.slow  # trainings of the run and of three folds
def test_nested_folds_with_several_seeds(finished):
    finished.configure("[run]\nselect_on = train\nfolds = 3\nseeds = 2\n")
    finished.configure("[anet]\nepochs = 1\n[vnet]\nepochs = 1\n[joint]\nepochs = 1\n")
    before = set((finished.folder / "runs/checkpoints").iterdir())
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    content = read_report(finished)
    assert (content["cross_validation"]["chosen_on"], content["selection"]["split"]) == ("train", "train")
    assert "(not optimistic: epochs chosen on other recordings)" in ended.stdout
    assert "epochs does not affect these numbers" in (finished.folder / "runs/latest/report.html").read_text()
    made = set((finished.folder / "runs/checkpoints").iterdir()) - before
    for network in NETWORKS:
        assert content["cross_validation"]["models"][network]["pooled"]["scored"] == 7
        folders = [folder for folder in made if folder.name.startswith(network)]
        # Two seeds of three folds; the fold that holds out the validation split is the same training as the run's.
        assert len(folders) == 2 * 3
        for folder in folders:
            scores = load_checkpoint(folder).scores
            assert scores["selected_by"] == "total CCC on training recordings that were held out"
    seeds_alone = content["ensemble"]["models"]["joint"]["validation"]["members"]
    assert [member["seed"] for member in seeds_alone] == [0, 1]

"""The training that is continued with `[run] warm_start = true`, in whole runs of stubs (tests/pipeline/stubs.py)."""

import json
import shutil

import pytest

from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.training.records.record import DONE, TrainingRecord
from pipeline.training.warm_start import Start, find_start
from tests.pipeline.test_changes import add_clip, move

NETWORKS = ("anet", "vnet", "joint")
FROM_THE_START = dict.fromkeys(NETWORKS, "None")


def checkpoints(place):
    """Give the finished trainings' folders by network, the oldest first."""
    paths = sorted(
        (place.folder / "runs/checkpoints").glob("*/training.json"), key=lambda path: path.stat().st_mtime_ns
    )
    return {
        network: [path.parent.name for path in paths if path.parent.name.startswith(network)] for network in NETWORKS
    }


def waiting(told):
    return {stage["stage"]: stage["reason"] for stage in told if stage["waiting"]}


@pytest.fixture
def place(stub_place):
    """A finished run, in which warm_start is then set."""
    stub_place.configure("[run]\nwarm_start = true\n")
    stub_place.read_starts()
    return stub_place


def test_setting_it_trains_nothing_again(place):
    assert waiting(place.run_stubs()) == {}
    assert place.read_starts() == {}


def test_after_added_clips_each_network_goes_on_from_its_last_training_and_is_then_settled(place):
    first = checkpoints(place)
    add_clip("train", "new/1.mp4")(place)
    reasons = waiting(place.run_stubs())
    starts = {network: first[network][-1] for network in NETWORKS}
    assert place.read_starts() == starts
    assert reasons["train ANet"] == f"1 clip added (new/1), it continues {starts['anet']}, features first"
    second = checkpoints(place)
    assert all(len(second[network]) == 2 for network in NETWORKS)
    assert waiting(place.run_stubs()) == {}
    assert checkpoints(place) == second
    # The third training continues the second.
    add_clip("train", "new/2.mp4")(place)
    place.run_stubs()
    assert place.read_starts() == {network: second[network][-1] for network in NETWORKS}
    # Without warm_start the same clips need another training, which begins from the start.
    place.configure("[run]\nwarm_start = false\n")
    assert set(waiting(place.run_stubs())) >= {"train ANet", "train VNet", "train Joint"}
    assert place.read_starts() == FROM_THE_START


@pytest.mark.parametrize(
    "change",
    [
        move(1, "validation"),
        move(1, "test"),
        lambda place: place.write_rows("train", place.rows("train")[1:]),
        lambda place: place.write_clip("train/1.mp4", "other bytes"),
        lambda place: place.configure("[faces]\ndetect_every = 5\n[anet]\nchannel_scale = 0.5\n"),
        lambda place: place.configure("[run]\nseed = 7\n"),
    ],
    ids=["to validation", "to test", "removed", "changed", "other features and layers", "other seed"],
)
def test_nothing_goes_on_from_what_has_learnt_from_other_clips_or_is_made_in_another_way(place, change):
    change(place)
    place.run_stubs()
    assert place.read_starts() == FROM_THE_START


def test_a_training_that_was_stopped_goes_on_from_what_it_began_with(place):
    first = checkpoints(place)
    add_clip("train", "new/1.mp4")(place)
    place.run_stubs()
    second = checkpoints(place)
    for network in NETWORKS:
        (place.folder / "runs/checkpoints" / second[network][-1] / "training.json").unlink()
    shutil.rmtree(place.folder / "runs/reports")
    place.read_starts()
    assert set(waiting(place.run_stubs())) == {"train ANet", "train VNet", "train Joint", "report"}
    assert place.read_starts() == {network: first[network][-1] for network in NETWORKS}
    assert {network: set(names) for network, names in checkpoints(place).items()} == {
        network: set(names) for network, names in second.items()
    }


@pytest.mark.parametrize("decision", ["[]", "[" * 100_000, '{"begun_as": 1, "start": "f"}', '{"start": "f"}'])
def test_a_damaged_decision_counts_for_none(tmp_path, decision):
    (tmp_path / "anet-1").mkdir()
    (tmp_path / "anet-1" / "start.json").write_text(decision)
    assert find_start(tmp_path, {"network": "anet", "seed": 0}, {}, frozenset()) is None


def test_a_decision_leads_nowhere_else(tmp_path):
    made_of = {"network": "anet", "members": [], "seed": 0, "stages": {}}
    decision = {"begun_as": compute_fingerprint(made_of), "start": "/../../elsewhere"}
    for folder in ("checkpoints/anet-1", "checkpoints/anet-", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "elsewhere" / "best.pt").write_bytes(b"x")
    (tmp_path / "checkpoints" / "anet-1" / "start.json").write_text(json.dumps(decision))
    assert find_start(tmp_path / "checkpoints", made_of, {}, frozenset()) is None


def test_a_validation_clip_that_is_tested_on_now_was_chosen_on(tmp_path):
    made_of = {"network": "anet", "members": [["v/a", "1", 0, 0, "validation"]], "seed": 0, "stages": {}}
    last = TrainingRecord("anet", "f", made_of, {}, folder=tmp_path / "anet-f")
    last.folder.mkdir()
    last.write(last.folder / DONE)
    (last.folder / "best.pt").write_bytes(b"x")
    now = {**made_of, "members": []}
    assert find_start(tmp_path, now, {}, frozenset()) == Start("f", last.folder)
    assert find_start(tmp_path, now, {}, frozenset({"v/a"})) is None

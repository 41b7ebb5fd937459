"""Why a network would be trained again, from what its last training kept of its making."""

import copy
import json
import os

import pytest

from pipeline.training.outlook import estimate_seconds
from pipeline.training.records.record import DONE, TrainingRecord, explain, find_last
from tests.models.training.test_constant import history

MADE_OF = {
    "network": "vnet",
    "version": 2,
    "stages": {"embeddings": "f1"},
    "members": [["v/a", "ab", 0.2, 0.1, "train"], ["v/b", "cd", 0.5, 0.4, "validation"]],
    "settings": {"epochs": 30, "learning_rate_steps": (10, 20), "loss": "mse"},
    "seed": 0,
    "precision": "float32",
    "processes": 1,
    "weights": {},
}
FEATURES = {
    "faces": {"stage": "faces", "version": 5, "settings": {"detect_every": 25, "weights": {"mtcnn-pnet": "ab" * 32}}},
}


def record(made_of=MADE_OF, features=FEATURES, **more):
    return TrainingRecord("vnet", "f", made_of, features, **more)


def kept(tmp_path, found, name="vnet-f", age=0):
    """Write a record and read it again, as the next run does."""
    path = tmp_path / name / DONE
    path.parent.mkdir()
    found.write(path)
    os.utime(path, (10_000 - age, 10_000 - age))
    return TrainingRecord.read(path)


def change(*path, to):
    made_of = copy.deepcopy(MADE_OF)
    inner = made_of
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return record(made_of)


@pytest.mark.parametrize(
    ("now", "reasons"),
    [
        (record(), []),
        (change("settings", "epochs", to=40), ["[vnet] epochs 30 to 40"]),
        (change("settings", "learning_rate_steps", to=()), ["[vnet] learning_rate_steps 10,20 to none"]),
        (change("settings", "mirror", to=True), ["[vnet] mirror False to True"]),
        (change("seed", to=3), ["[run] seed 0 to 3"]),
        (change("precision", to="tf32"), ["[run] precision float32 to tf32"]),
        (change("version", to=3), ["the training's code: version 2 to 3"]),
        (change("weights", "sphereface20", to="ab"), ["the weights sphereface20 are different"]),
        (change("stages", to={"embeddings": "f2"}), ["the features are made differently"]),
        (change("members", 0, 2, to=0.3), ["1 label changed (v/a: arousal 0.2 to 0.3)"]),
        (change("members", to=MADE_OF["members"][::-1]), ["the rows of the CSV files are in another order"]),
        (change("members", to=[[*m, "raw"] for m in MADE_OF["members"]]), ["the crops are kept in another form"]),
        (change("members", to=MADE_OF["members"][:1]), ["1 clip left out (v/b: validation to test)"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else None,
)
def test_every_difference_is_told_in_names_and_numbers(tmp_path, now, reasons):
    assert explain(kept(tmp_path, record()), now, {"v/b": "test"}) == reasons


def test_a_setting_of_the_features_is_named(tmp_path):
    features = copy.deepcopy(FEATURES)
    features["faces"]["version"] = 6
    features["faces"]["settings"] |= {"detect_every": 5, "weights": {"mtcnn-pnet": "cd" * 32}}
    now = record({**MADE_OF, "stages": {"embeddings": "f2"}}, features)
    assert explain(kept(tmp_path, record()), now, {}) == [
        "[faces] detect_every 25 to 5",
        "find faces: version 5 to 6",
        "[faces] weights mtcnn-pnet abababab to cdcdcdcd",
    ]


def test_clips_are_told_before_settings(tmp_path):
    made_of = {**MADE_OF, "members": [*MADE_OF["members"], ["v/c", "ef", 0.0, 0.0, "train"]]}
    now = record({**made_of, "settings": {**MADE_OF["settings"], "epochs": 40}})
    assert explain(kept(tmp_path, record()), now, {}) == ["1 clip added (v/c)", "[vnet] epochs 30 to 40"]


def test_joint_names_the_networks_it_starts_from(tmp_path):
    made_of = {**MADE_OF, "network": "joint", "weights": {"parents": ["a1", "v1"]}}
    last = kept(tmp_path, TrainingRecord("joint", "f", made_of, FEATURES))
    now = TrainingRecord("joint", "g", {**made_of, "weights": {"parents": ["a1", "v2"]}}, FEATURES)
    assert explain(last, now, {}) == ["it starts from another VNet"]


@pytest.mark.parametrize("text", ["{}", "", "[1]", '{"network": "vnet", "fingerprint": "f"}', '{"made_of": 3}'])
def test_a_record_of_an_earlier_release_or_a_damaged_one_says_nothing(tmp_path, text):
    path = tmp_path / DONE
    path.write_text(text)
    assert TrainingRecord.read(path).made_of == {}


def test_a_record_that_says_something_else_is_no_traceback(tmp_path):
    path = tmp_path / DONE
    path.write_text(json.dumps({"network": "vnet", "made_of": {"members": [[]], "settings": {}}}))
    assert explain(TrainingRecord.read(path), record(), {}) == ["the record of the last training cannot be read"]


def test_the_last_one_of_the_seed_counts_and_no_fold(tmp_path):
    kept(tmp_path, record(), "vnet-1", age=3)
    kept(tmp_path, change("seed", to=1), "vnet-2", age=2)
    kept(tmp_path, record(is_fold=True), "vnet-3", age=1)
    kept(tmp_path, record(), "anet-1", age=0)
    found = {seed: find_last(tmp_path, "vnet", seed) for seed in (0, 1, 2)}
    assert {seed: last.folder.name for seed, last in found.items()} == {0: "vnet-1", 1: "vnet-2", 2: "vnet-2"}
    assert find_last(tmp_path, "joint", 0) is None


def test_time_goes_by_clips_and_epochs_of_the_last_training(tmp_path):
    last = kept(tmp_path, record())
    epochs = history(0.1, 0.1)
    lines = [
        {**epoch.as_plain(), "num_train": 15, "num_validation": 5, "seconds": seconds}
        for epoch, seconds in zip(epochs, (3.0, 5.0), strict=True)
    ]
    (last.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    now = record(folder=tmp_path / "vnet-g")
    assert estimate_seconds(last, now) == pytest.approx(30 * 2 * 8 / 40)
    # Stopped after two epochs, it goes on.
    assert estimate_seconds(last, record(folder=last.folder)) == pytest.approx(28 * 2 * 8 / 40)
    (last.folder / "metrics.jsonl").write_text("damaged")
    assert estimate_seconds(last, now) is None
    assert estimate_seconds(None, now) is None

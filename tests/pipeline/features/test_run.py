"""Declared features as a user runs them: computed beside all else, which stays as it is, and looked at and tended."""

import json

import numpy as np
import pytest
import soundfile

from models.training.checkpoints import load_checkpoint
from store import FeatureStore
from store.__main__ import main
from store.shard.reader import Shard
from store.tending.garbage import find_garbage
from tests.made_networks import compute_face_rows, rows_of_sound
from tests.pipeline.features.conftest import STAGES


def test_features_are_added_to_a_finished_store_and_nothing_else_is_computed(finished, declare, capsys):
    assert finished.run(task="Features").returncode == 0  # in its new place the run has a listing of its own
    before = finished.digests("store")
    declare(finished)
    waiting = finished.command("status", "--json")
    assert waiting.returncode == 3
    stages = {each["stage"]: each["waiting"] for each in json.loads(waiting.stdout)["stages"]}
    assert {stage: n for stage, n in stages.items() if n and stage.startswith("compute")} == dict.fromkeys(
        ["compute mini", "compute region", "compute loud", "compute pieces"], 9
    )
    assert not any(stages[stage] for stage in ("extract sound", "transform sound", "find faces", "embed faces"))

    ended = finished.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    after = finished.digests("store")
    assert {path: digest for path, digest in after.items() if path in before and "/roots/" not in path} == {
        path: digest for path, digest in before.items() if "/roots/" not in path
    }
    assert {path.split("/")[1] for path in after.keys() - before.keys()} == STAGES.keys()

    store = FeatureStore(finished.folder / "store")
    check_rows(finished, store)
    row = next(iter(finished.ledger().values()))
    assert {stage: row[f"{stage}_status"] for stage in STAGES} == dict.fromkeys(STAGES, "ok")
    assert set(store.list_labels()[row["utterance"]].more) == {"link", "start", "end", "EmotionMaxVote"}
    check_commands(finished, store, capsys)

    again = finished.run(task="Features")
    assert again.returncode == 0
    assert finished.digests("store").keys() == after.keys()
    finished.configure("[features.loud]\nhop_seconds = 0.5\n")
    assert finished.run(task="Features").returncode == 0
    new = finished.digests("store").keys() - after.keys()
    assert {path.split("/")[1] for path in new} == {"sound_loud"}
    garbage = {item.path.split("/")[0] for item in find_garbage(finished.folder / "store")}
    assert garbage == {"sound_loud"}


def check_rows(place, store):
    """The rows are what the networks give for the store's own crops and sounds."""
    for name in list(store)[:3]:
        clip = store[name]
        crops = np.asarray(clip.crops)[..., ::-1].transpose(0, 3, 1, 2)
        np.testing.assert_allclose(clip.feature("mini"), compute_face_rows((crops - 127.5) / 128), atol=1e-4)
        np.testing.assert_array_equal(clip.feature_times("mini"), clip.face_times)
        assert clip.feature("region").shape == (len(clip.crops), 5)
        wav = next((place.folder / "store" / "wav").glob(f"*/*/{name}.wav"))
        sound, _ = soundfile.read(wav, dtype="float32")
        pieces = np.stack([sound[start : start + 8000] for start in range(0, len(sound) - 8000 + 1, 4000)])
        np.testing.assert_allclose(clip.feature("loud"), rows_of_sound("cpu")(pieces), rtol=1e-5)
        np.testing.assert_array_equal(clip.feature_times("loud"), np.arange(len(pieces)) * 0.25)
        assert len(clip.feature("pieces")) == (len(sound) // 2 - 2000) // 800 + 1


def check_commands(place, store, capsys):
    """Every command knows of them."""
    folder, name = str(place.folder / "store"), next(iter(store))
    assert main(["verify", folder]) == 0
    capsys.readouterr()
    assert main(["ls", folder, "--json"]) == 0
    listed = {each["stage"]: each for each in json.loads(capsys.readouterr().out)}
    assert STAGES.keys() <= listed.keys()
    assert listed["face_mini"]["settings"]["input"] == "crop"
    assert main(["show", folder, name]) == main(["why", folder, name]) == 0
    printed = capsys.readouterr().out
    assert all(f"{stage}: ok" in printed for stage in STAGES)
    for kind in ("npz", "csv", "csd"):
        assert main(["export", folder, "--to", kind, str(place.folder / kind)]) == 0
    with np.load(place.folder / "npz" / f"{name}.npz") as found:
        np.testing.assert_array_equal(found["face_mini"], store[name].feature("mini"))
        assert len(found["sound_loud_times"]) == len(found["sound_loud"])
    assert len((place.folder / "csv" / "sound_pieces.csv").read_text().splitlines()) == 10
    assert (place.folder / "csd" / "face_region.csd").exists()
    path = next((place.folder / "store" / "face_mini").glob("*/*.h5"))
    assert Shard(path).provenance["packages"].keys() >= {"valar", "onnxruntime"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("input = crop\nmodel = none.onnx", "[features.mini] model = none.onnx does not exist"),
        ("input = crop\nmodle = a.onnx", "option modle of [features.mini] is unknown; did you mean model?"),
        ("input = crop\nmodel = tests.made_networks:no_rows", "it must give (32, numbers)"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_written(workplace, options, sentence):
    workplace.configure(f"[features.mini]\n{options}\n")
    ended = workplace.run(task="Features")
    assert (ended.returncode, sentence in ended.stderr) == (2, True), ended.stderr
    assert not (workplace.folder / "store" / "wav").exists()


def test_vnet_and_joint_are_trained_on_several_features_and_anet_is_left_alone(finished, declare):
    assert finished.run().returncode == 0  # in its new place the run has a listing of its own
    declare(finished)
    finished.configure("[vnet]\nfeatures = mini, sphereface20, region\n")
    before = finished.digests("runs/checkpoints")
    told = {stage["stage"]: stage for stage in json.loads(finished.command("status", "--json").stdout)["stages"]}
    assert told["train ANet"]["waiting"] == 0
    assert "[vnet] features sphereface20 to mini, sphereface20, region" in told["train VNet"]["reason"]
    assert "removed" not in told["train VNet"]["reason"]
    assert "left out" not in told["train VNet"]["reason"]
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    new = {path.split("/")[2].partition("-")[0] for path in finished.digests("runs/checkpoints").keys() - before.keys()}
    assert new == {"vnet", "joint"}
    report = json.loads((finished.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert "VNet and Joint use mini, sphereface20, region of each face" in report["notes"]
    checkpoint = load_checkpoint(next(iter((finished.folder / "runs" / "checkpoints").glob("joint-*/best.pt"))).parent)
    widths = {
        load_checkpoint(path).architecture.get("face_size") for path in finished.folder.glob("runs/checkpoints/vnet-*")
    }
    assert (widths, checkpoint.kind) == ({None, 6 + 512 + 5}, "joint")
    again = finished.run()
    assert again.returncode == 0
    assert finished.command("status").returncode == 0
    predicted = finished.run("--videos", "videos", task="Predict")
    assert predicted.returncode == 0, predicted.stderr
    finished.configure("[vnet]\nfeatures = sphereface20\n")
    refused = finished.run("--videos", "videos", task="Predict")
    assert refused.returncode == 0, refused.stderr  # the checkpoint says which features it sees
    finished.configure("[vnet]\nfeatures = mini, loud\n")
    wrong = finished.run()
    assert (wrong.returncode, "loud is not a feature of faces" in wrong.stderr) == (2, True), wrong.stderr


@pytest.mark.slow
def test_anet_and_joint_are_trained_on_a_feature_of_sound_and_vnet_is_left_alone(finished, declare):
    assert finished.run().returncode == 0  # in its new place the run has a listing of its own
    declare(finished)
    finished.configure("[anet]\nfeatures = pieces\nvgg_weights = nowhere.pth\nchannel_scale = 1\n")
    before = finished.digests("runs/checkpoints")
    told = {stage["stage"]: stage for stage in json.loads(finished.command("status", "--json").stdout)["stages"]}
    assert told["train VNet"]["waiting"] == 0
    assert "[anet] features stft to pieces" in told["train ANet"]["reason"]
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    new = {path.split("/")[2].partition("-")[0] for path in finished.digests("runs/checkpoints").keys() - before.keys()}
    assert new == {"anet", "joint"}
    report = json.loads((finished.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert "ANet and Joint use pieces of the sound" in report["notes"]
    assert not any("vgg16" in note for note in report["notes"])
    predicted = finished.run("--videos", "videos", task="Predict")
    assert predicted.returncode == 0, predicted.stderr
    video = next((finished.folder / "videos").glob("*/*.mp4"))
    over_time = finished.command("predict", str(video), "--over-time", "0.5", "--window", "1", "--json")
    assert over_time.returncode == 0, over_time.stderr
    assert all(answer["rests_on"] == "joint" for answer in json.loads(over_time.stdout))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("[anet]\nfeatures = mini\n", "[anet] features = mini: mini is not a feature of sound"),
        ("[anet]\nfeatures = loud\nchannel_scale = 0.5\n", "channel_scale (0.5) needs features = stft"),
        ("[anet]\nfeatures = loud\n[joint]\nmask_frames = 3\n", "need an ANet of features = stft"),
    ],
)
def test_features_that_anet_cannot_hear_are_refused_at_once(workplace, declare, options, sentence):
    declare(workplace)
    workplace.configure("[anet]\nchannel_scale = 1\n" + options)
    ended = workplace.run()
    assert (ended.returncode, sentence in ended.stderr) == (2, True), ended.stderr

import csv
import dataclasses
import json
import types
import typing

import numpy as np
import pytest

from models.inputs.clips import Clips
from models.inputs.plan import InputPlan
from models.networks.vnet import build_vnet
from models.training.checkpoints import Checkpoint, save_checkpoint
from pipeline.__main__ import main
from pipeline.commands.predict import Answer, answer_windows
from pipeline.dataset.clip_files import find_clips
from pipeline.dataset.unlabelled import list_unlabelled
from pipeline.dataset.utterances import utterance_name
from pipeline.errors import UserError
from pipeline.prediction.predicting import prepare_predictions
from pipeline.prediction.predictors import Predictor, find_newest_checkpoints, load_ensemble, load_predictor
from pipeline.runs.outcome.ledger import LedgerRow
from pipeline.training import windows
from pipeline.training.clips import JpegCrops
from pipeline.training.windows import cut_windows, place_windows
from store.records.plans import Member, StoredPlan
from tests.models.training.test_checkpoints import make_checkpoint
from tests.modes import modes_obeyed

NAN = float("nan")


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(rows):
    return np.array([[float(row["arousal"]), float(row["valence"])] for row in rows])


def make_files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def test_folders_of_clips_are_listed_and_what_is_no_clip_is_not(tmp_path):
    make_files(tmp_path / "in", "b/2.mp4", "b/1.mov", "a/1.mp4", "a/1.srt", "a/.hidden.mp4", ".cache/x.mp4", "note.txt")
    videos, dataset = list_unlabelled(tmp_path / "in")
    assert videos == (tmp_path / "in").resolve()
    assert [(u.video, u.utterance) for u in dataset.utterances] == [("a", "1.mp4"), ("b", "1.mov"), ("b", "2.mp4")]
    assert {u.split for u in dataset.utterances} == {"unlabelled"}


def test_names_that_are_not_utf8_are_left_out_and_told(tmp_path):
    latin = "caf\udce9"  # é as Latin-1 writes it, as Python reads it from the disk
    make_files(tmp_path / "in", f"b/{latin}.mp4", "b/1.mp4", f"{latin}/2.mp4")
    _, dataset = list_unlabelled(tmp_path / "in")
    assert [u.name for u in dataset.utterances] == ["b/1"]
    StoredPlan(tuple(Member(u.name, u.utterance, 1, 1) for u in dataset.utterances)).shard.encode()
    assert dataset.warnings == tuple(
        f"{tmp_path / 'in'}: {name} is left out: its name is not UTF-8; rename it"
        for name in (r"b/caf\xe9.mp4", r"caf\xe9/2.mp4")
    )
    (tmp_path / "in" / "b" / "1.mp4").unlink()
    with pytest.raises(UserError, match=r"b/caf\\xe9.mp4 is left out: its name is not UTF-8; rename it\n"):
        list_unlabelled(tmp_path / "in")
    with pytest.raises(UserError, match=r"in/caf\\xe9 is not UTF-8; rename the folder"):
        list_unlabelled(tmp_path / "in" / latin)


def test_names_with_control_characters_are_left_out_and_told(tmp_path):
    make_files(tmp_path / "in", "b/1.mp4", "b/a\x1b[2J.mp4")
    _, dataset = list_unlabelled(tmp_path / "in")
    assert [u.name for u in dataset.utterances] == ["b/1"]
    assert dataset.warnings == (
        rf"{tmp_path / 'in'}: b/a\x1b[2J.mp4 is left out: its name has control characters; rename it",
    )


def test_a_plain_folder_of_clips_is_one_video(tmp_path):
    make_files(tmp_path / "in", "z.mp4", "ä b.webm")
    videos, dataset = list_unlabelled(tmp_path / "in")
    assert videos == tmp_path.resolve()
    assert [u.name for u in dataset.utterances] == ["in/z", "in/ä b"]


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ((), "contains no clips; expected in/CLIP or in/VIDEO/CLIP"),
        (("1.mp4", "a/2.mp4"), r"contains clips \(1.mp4\) and folders of clips \(a/2.mp4\); keep one kind"),
        (("a/Thumbs.db",), "in: left out 1 file that is neither video nor sound: a/Thumbs.db"),
    ],
)
def test_refuses_folders_that_say_no_clear_names(tmp_path, names, match):
    (tmp_path / "in").mkdir()
    make_files(tmp_path / "in", *names)
    with pytest.raises(UserError, match=match):
        list_unlabelled(tmp_path / "in")


def test_what_is_no_media_is_left_out_and_counted(tmp_path):
    make_files(tmp_path / "in", "a/1.mp4", "a/Thumbs.db", "a/desktop.ini", "a/README", "b/2.ogg", "b/notes.xyz", "NEWS")
    (tmp_path / "in" / "b" / "nameless").write_bytes(b"\0\0\0\x20ftypisom")
    (tmp_path / "in" / "b" / "radio").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    _, dataset = list_unlabelled(tmp_path / "in")
    assert [u.name for u in dataset.utterances] == ["a/1", "b/2", "b/nameless", "b/radio"]
    names = "NEWS, a/README, a/Thumbs.db, ..."
    assert dataset.warnings == (f"{tmp_path / 'in'}: left out 5 files that are neither video nor sound: {names}",)


def test_of_twins_the_video_counts_and_two_videos_cost_that_clip_alone(tmp_path):
    make_files(tmp_path / "in", "a/1.mp4", "a/1.wav", "a/2.mp4", "a/2.webm", "a/3.mp4", "a/4.b.mkv", "a/4.b.mov")
    videos, dataset = list_unlabelled(tmp_path / "in")
    assert [u.utterance for u in dataset.utterances] == ["1.mp4", "2", "3.mp4", "4.b.any"]
    found = find_clips(videos, dataset.utterances)
    assert {name: clip.path.rpartition("/")[2] for name, clip in found.files.items()} == {
        "a/1": "1.mp4",
        "a/3": "3.mp4",
    }
    assert set(found.hindered) == {"a/2", "a/4.b"}
    assert dataset.warnings == (
        f"{tmp_path / 'in'}: a/1.mp4, a/1.wav differ only in their ending: 1.mp4 counts",
        f"{tmp_path / 'in'}: a/2.mp4, a/2.webm differ only in their ending: none of them is predicted; rename one",
        f"{tmp_path / 'in'}: a/4.b.mkv, a/4.b.mov differ only in their ending: none of them is predicted; rename one",
    )


def test_what_cannot_be_read_in_a_folder_to_predict_is_told_and_does_not_stop_the_rest(tmp_path):
    folder = make_files(tmp_path / "in", "a/1.mp4", "shut/2.mp4")
    (folder / "a" / "loop.mp4").symlink_to("loop.mp4")
    (folder / "shut").chmod(0)
    with modes_obeyed():
        _, dataset = list_unlabelled(folder)
    (folder / "shut").chmod(0o700)
    assert [u.name for u in dataset.utterances] == ["a/1"]
    assert dataset.warnings == (
        f"{folder}: a/loop.mp4 cannot be read and is left out: Too many levels of symbolic links",
        f"{folder}: shut/ cannot be listed and is left out: Permission denied",
    )


def test_refuses_what_is_no_folder(tmp_path):
    with pytest.raises(UserError, match=r"--videos .*none is not a folder"):
        list_unlabelled(tmp_path / "none")


def make_stages(**changed):
    stages = {
        "wav": {"stage": "wav", "version": 1, "settings": {"sample_rate": 16000}},
        "faces": {"stage": "faces", "version": 1, "settings": {"detect_every": 25, "weights": {"pnet": "aa"}}},
        "embeddings": {"stage": "embeddings", "version": 1, "settings": {"channel_order": "bgr"}},
    }
    for stage, settings in changed.items():
        stages[stage] = {**stages[stage], "settings": {**stages[stage]["settings"], **settings}}
    return stages


def make_predictor(tmp_path, stages=("faces", "embeddings")):
    return Predictor("vnet", {"vnet": tmp_path / "best.pt"}, make_stages(), np.zeros(2), False, stages, ())


def test_a_setting_that_was_not_there_yet_has_the_value_of_what_was_done(tmp_path):
    make_predictor(tmp_path).check_features(
        make_stages(faces={"speaker": "largest", "still_faces": "count"}), crops="none"
    )
    with pytest.raises(UserError, match=r"\[faces\] speaker: largest in the checkpoint, speaking here"):
        make_predictor(tmp_path).check_features(make_stages(faces={"speaker": "speaking"}), crops="none")


def test_names_every_setting_that_differs(tmp_path):
    now = make_stages(faces={"detect_every": 10, "weights": {"pnet": "bb"}}, embeddings={"channel_order": "rgb"})
    now["faces"]["version"] = 2
    with pytest.raises(UserError) as raised:
        make_predictor(tmp_path).check_features(now, crops="none")
    assert str(raised.value).splitlines()[1:-1] == [
        "  [faces] detect_every: 25 in the checkpoint, 10 here",
        "  [faces] version: 1 in the checkpoint, 2 here",
        "  [faces] weights pnet: aa in the checkpoint, bb here",
        "  [embeddings] channel_order: bgr in the checkpoint, rgb here",
    ]
    assert "Give your settings the checkpoint's values" in str(raised.value)


def test_settings_of_stages_that_it_does_not_look_at_may_differ(tmp_path):
    make_predictor(tmp_path).check_features(make_stages(wav={"sample_rate": 8000}), crops="none")
    make_predictor(tmp_path, stages=("wav",)).check_features(make_stages(faces={"detect_every": 1}), crops="none")
    with pytest.raises(UserError, match=r"\[wav\] sample_rate: 16000 in the checkpoint, 8000 here"):
        make_predictor(tmp_path, stages=("wav",)).check_features(make_stages(wav={"sample_rate": 8000}), crops="none")


def test_a_network_that_looks_at_crops_needs_them_kept(tmp_path):
    predictor = dataclasses.replace(make_predictor(tmp_path, stages=("faces",)), needs_crops=True)
    predictor.check_features(make_stages(), crops="jpeg")
    with pytest.raises(UserError, match=r"best\.pt reads the crops, and \[faces\] crops = none keeps none; set it to"):
        predictor.check_features(make_stages(), crops="none")


def test_no_checkpoint_is_told(tmp_path):
    with pytest.raises(UserError, match=r"--checkpoint: no checkpoint at .*best.pt"):
        load_predictor(tmp_path)
    (tmp_path / "best.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"--checkpoint: .*best.pt cannot be read as a checkpoint"):
        load_predictor(tmp_path)
    with pytest.raises(UserError, match=r"latest/report.json does not exist: no network has been trained yet"):
        find_newest_checkpoints(tmp_path)
    with pytest.raises(UserError, match="Predict needs --videos DIR"):
        prepare_predictions("", str(tmp_path))


def make_provenance(**changes):
    stages = {name: {"version": 1, "settings": {}} for name in ("wav", "stft", "frames", "faces", "embeddings")}
    settings = {"anet": {"features": "stft"}, "vnet": {"features": "sphereface20"}}
    return {"features": stages, "training_mean": [0.4, 0.1], "settings": settings, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_mean": None}, r"training_mean as None: it must be two numbers; no run wrote it so; remove"),
        ({"training_mean": [0.1, None]}, r"training_mean as \[0.1, None\]"),
        ({"training_mean": [0.1, NAN]}, r"training_mean as \[0.1, nan\]"),
        ({"training_mean": [True, False]}, "training_mean as"),
        ({"training_mean": [0.1]}, "training_mean as"),
        ({"features": None}, "features as None: it must be a table of names"),
        ({"features": {"wav": None}}, "records features.wav as None"),
        ({"features": {"wav": {"settings": [1]}}}, r"records features.wav.settings as \[1\]"),
        ({"features": {"embeddings": {"settings": {"weights": None}}}}, "features.embeddings.settings.weights as None"),
        ({"features": {3: {}}}, r"records features as \{3: \{\}\}"),
        ({"features": {}}, "uses frames, faces, embeddings and does not record how these were made"),
        ({"settings": None}, "records settings as None"),
        ({"settings": {"vnet": None}}, "records settings.vnet as None"),
        (
            {"settings": {"vnet": {"features": None}}},
            "records settings.vnet.features as None: it must be sphereface20, or",
        ),
        ({"settings": {"vnet": {"features": "../../x"}}}, "records settings.vnet.features as"),
        ({"settings": {"vnet": {"features": " , "}}}, "records settings.vnet.features as"),
        ({"settings": {"vnet": {"features": "other"}}}, "uses face_other and does not record how these were made"),
    ],
)
def test_a_checkpoint_whose_record_is_not_as_a_run_writes_it_is_refused(tmp_path, changes, message):
    def save(**provenance):
        save_checkpoint(tmp_path / "best.pt", make_checkpoint(kind="vnet", provenance=provenance))

    save(**make_provenance())
    assert load_predictor(tmp_path).stages == ("frames", "faces", "embeddings")
    save(**make_provenance(**changes))
    with pytest.raises(UserError, match=rf"^--checkpoint {tmp_path} (records )?{message}"):
        load_predictor(tmp_path)


def make_clip(num_stft=1000, face_times=(0.5, 1.5, 2.5, 7.5)):
    stft = np.zeros((num_stft, 257, 2), np.float32)
    stft[:, 0, 0] = np.arange(num_stft)
    embeddings = np.repeat(np.arange(len(face_times), dtype=np.float32)[:, None], 512, axis=1)
    crops = JpegCrops([bytes([i]) for i in range(len(face_times))])
    return Clips(["v/u"], None, [stft], [embeddings], [crops]), np.array(face_times)


def test_windows_hold_the_rows_of_their_time():
    clips, times = make_clip()
    cut = cut_windows(clips, times, [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (9.0, 12.0)])
    assert [(len(s), s[0, 0, 0]) for s in cut.stft] == [(200, 0), (200, 200), (200, 400), (100, 900)]
    assert [None if e is None else e[:, 0].tolist() for e in cut.embeddings] == [[0, 1], [2], None, None]
    assert [None if c is None else c._images for c in cut.crops] == [[b"\x00", b"\x01"], [b"\x02"], None, None]


def test_windows_after_the_sound_have_none():
    clips, times = make_clip(num_stft=150)
    assert [s if s is None else len(s) for s in cut_windows(clips, times, [(1.0, 2.0), (2.0, 3.0)]).stft] == [50, None]


def test_a_video_without_sound_lasts_until_its_last_frame_ends():
    """Otherwise the last face would lie outside of the only window, which is half-open."""
    clips, times = make_clip(num_stft=0, face_times=(0.0, 0.04, 0.08, 0.16))
    rows = {"faces": times, "frames": np.arange(5) / 25}
    run = types.SimpleNamespace(shard=lambda stage, shard: types.SimpleNamespace(rows=lambda name, column: rows[stage]))
    row = LedgerRow("v/u", "test", "no_stream", "ok", num_faces=4, shard="90e")
    seconds = windows.measure_seconds(types.SimpleNamespace(run=run), row)
    assert seconds == pytest.approx(0.2)
    [faces] = cut_windows(clips, times, place_windows(seconds, 1, 7.6)).embeddings
    assert faces[:, 0].tolist() == [0, 1, 2, 3]


def test_windows_cover_a_video():
    assert place_windows(65.2, 4, 7.6)[-1] == (56, 63.6)
    assert len(place_windows(65.2, 4, 7.6)) == 15
    assert place_windows(7.6, 1, 7.6) == [(0.0, 7.6)]
    assert len(place_windows(0.3 + 7.6, 0.1, 7.6)) == 4  # 0.3 / 0.1 is 2.9999999999999996


class Says:
    paths: typing.ClassVar = {"anet": "a", "vnet": "v"}

    def predict(self, clips, tick):
        tick(2)
        return np.array([[0.5, -0.25], [np.nan, np.nan]]), ["anet", "mean"]


def test_a_window_with_nothing_in_it_has_no_answer():
    shares = []
    assert answer_windows(Says(), None, [(0.0, 1.0), (1.0, 2.0)], shares.append) == [
        Answer(0.0, 1.0, 0.5, -0.25, "anet"),
        Answer(1.0, 2.0, None, None, ""),
    ]
    assert shares == [0.5]


@pytest.fixture
def joint(finished):
    (folder,) = (finished.folder / "runs" / "checkpoints").glob("joint-*")
    return folder


def test_predicts_clips_as_the_report_did(finished, joint):
    expected = read(finished.folder / "runs" / "latest" / "predictions" / "joint-test.csv")
    new = finished.folder / "new"
    for row in expected:
        place = new / row["video"]
        place.mkdir(parents=True, exist_ok=True)
        # Another name, so that nothing of the store is used again.
        source = finished.folder / "videos" / row["video"] / row["utterance"]
        (place / f"again_{row['utterance']}").write_bytes(source.read_bytes())
    (new / expected[0]["video"] / "broken.mp4").write_bytes(b"no video")
    elsewhere = joint.rename(finished.folder / "checkpoint")
    for folder in (finished.folder / "runs" / "checkpoints").iterdir():
        folder.rename(folder.with_name(f"gone-{folder.name}"))
    arguments = ("--videos", "new", "--checkpoint", str(elsewhere))
    ended = finished.run(*arguments, task="Predict")
    assert ended.returncode == 0, ended.stderr
    (path,) = (finished.folder / "runs" / "predictions").glob("new-*/predictions.csv")
    rows = read(path)
    assert [row["utterance"] for row in rows] == sorted([*(f"again_{r['utterance']}" for r in expected), "broken.mp4"])
    by_name = {row["utterance"]: row for row in rows}
    np.testing.assert_allclose(
        numbers([by_name[f"again_{row['utterance']}"] for row in expected]), numbers(expected), atol=2e-5
    )
    details = {row["utterance"]: row for row in read(path.with_name("detail.csv"))}
    assert (details["broken.mp4"]["rests_on"], details["broken.mp4"]["picture"]) == ("mean", "decode_error")
    content = json.loads(path.with_name("prediction.json").read_text(encoding="utf-8"))
    assert content["models"]["joint"]["unlabelled"] == {"listed": len(rows), "predicted": len(rows) - 1, "scored": 0}
    assert "RANDOM WEIGHTS" in ended.stdout
    assert f"{len(rows) - 1} of {len(rows)} clips predicted" in ended.stdout

    before = finished.digests("runs/predictions")
    elsewhere.rename(joint)
    again = finished.run("--videos", "new", task="Predict")  # the newest report's Joint
    assert again.returncode == 0, again.stderr
    assert finished.digests("runs/predictions") == before


def test_one_video_on_one_line(finished, joint):
    (expected, *_) = read(finished.folder / "runs" / "latest" / "predictions" / "joint-test.csv")
    video = f"videos/{expected['video']}/{expected['utterance']}"
    before = finished.digests("store")
    ended = finished.command("predict", video, "--json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert [answer["arousal"], answer["valence"]] == pytest.approx(numbers([expected])[0], abs=2e-5)
    assert (answer["rests_on"], answer["video"]) == ("joint", video)
    assert finished.digests("store") == before
    assert f"{video}: uses its features in store\n" in ended.stderr

    ended = finished.command("predict", video, "--over-time", "1", "--window", "1.5", "--output", "time.csv")
    assert ended.returncode == 0, ended.stderr
    rows = read(finished.folder / "time.csv")
    assert len(rows) >= 2
    assert [float(row["start_seconds"]) for row in rows] == list(range(len(rows)))
    assert (finished.folder / "time.png").read_bytes().startswith(b"\x89PNG")

    (finished.folder / "other.mp4").write_bytes((finished.folder / video).read_bytes())
    ended = finished.command("predict", "other.mp4", "--over-time", "1", "--window", "1.5")
    assert "other.mp4: uses its features in store\n" in ended.stderr  # known by its content
    finished.configure("[store]\nroot = none\n")
    ended = finished.command("predict", video, "--over-time", "1", "--window", "1.5", "--output", "anew.csv")
    assert "uses its features" not in ended.stderr
    finished.configure("[store]\nroot = store\n")
    written = [(finished.folder / name).read_text() for name in ("time.csv", "other-over-time.csv", "anew.csv")]
    assert written == [written[0]] * 3

    (finished.folder / "broken.mp4").write_bytes(b"no video")
    ended = finished.command("predict", "broken.mp4")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert (
        "broken.mp4: neither sound nor a face to predict from: sound decode_error, picture decode_error" in ended.stderr
    )

    finished.configure("[faces]\nsmallest_face_px = 60\n")
    ended = finished.command("predict", video)
    assert ended.returncode == 2
    assert "[faces] smallest_face_px: 40 in the checkpoint, 60 here" in ended.stderr


def test_the_pages_curves_are_what_predict_says_over_time(finished):
    """Each clip outside of the training split has a curve; the first clip's numbers are those of `valar predict`."""
    clips = json.loads((finished.folder / "runs" / "latest" / "pages.json").read_text(encoding="utf-8"))["clips"]
    predictions = finished.folder / "runs" / "latest" / "predictions"
    splits = ("train", "validation", "test")
    by_split = {split: read(predictions / f"joint-{split}.detail.csv") for split in splits}
    for split, rows in by_split.items():
        curves = [clips[utterance_name(row["video"], row["utterance"])].get("curve") for row in rows]
        seen = [split != "train" and row["rests_on"] != "mean" for row in rows]
        assert [curve is not None for curve in curves] == seen, split
    row = by_split["validation"][0]
    name = utterance_name(row["video"], row["utterance"])
    # The clips are hardly longer than the pages' window; with a shorter window there are several of them.
    script = f"""if True:
        import json
        from pipeline.report import clip_pages
        from pipeline.runs.opening import open_run
        from pipeline.settings import config
        from pipeline.training.experiment import read_experiment
        config.load()
        clip_pages.WINDOW_SECONDS = 1.0
        print(json.dumps(vars(clip_pages.predict_over_time(read_experiment(open_run()), [{name!r}])[{name!r}])))
    """
    curve = json.loads(finished.python("-c", script).stdout)
    options = ("--over-time", "0.5", "--window", "1", "--json", "-o", "time.csv")
    answers = json.loads(finished.command("predict", f"videos/{row['video']}/{row['utterance']}", *options).stdout)
    assert len(answers) >= 3
    for key in ("arousal", "valence"):
        assert curve[key] == pytest.approx([answer[key] for answer in answers], abs=1e-4)
    middles = [(answer["start_seconds"] + answer["end_seconds"]) / 2 for answer in answers]
    assert curve["seconds"] == pytest.approx(middles, abs=1e-3)


def test_a_step_must_be_above_zero_and_the_video_there(tmp_path, capsys):
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert main(["predict", str(tmp_path / "a.mp4"), "--over-time", "0"]) == 2
    assert "--over-time 0 and --window 7.6 must both be above 0 seconds" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "none.mp4")]) == 2
    assert "none.mp4 is not a file; name one video" in capsys.readouterr().err


def test_a_network_rests_on_nothing_that_it_does_not_look_at(tmp_path):
    network = build_vnet(None, seed=0)
    for name, heard in (("one", "stft"), ("two", "low_level")):
        provenance = {
            "features": {"frames": {}, "faces": {}, "embeddings": {}},
            "training_mean": [0.0, 0.0],
            "settings": {"anet": {"features": heard}, "vnet": {"features": "sphereface20"}},
        }
        checkpoint = Checkpoint(
            kind="vnet",
            architecture={"backbone": "frozen"},
            inputs=InputPlan(num_maps=0, num_frames=16),
            settings={},
            epoch=0,
            scores={},
            weights={},
            provenance=provenance,
            state=network.state_dict(),
        )
        (tmp_path / name).mkdir()
        save_checkpoint(tmp_path / name / "best.pt", checkpoint)
    assert load_predictor(tmp_path / "two").sound == "stft"
    assert len(load_ensemble([tmp_path / "one", tmp_path / "two"]).members) == 2

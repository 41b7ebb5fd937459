"""The whole pipeline as a user runs it: once, again, and after things have changed; luigi in a process of its own."""

import csv
import json
import os
import shutil

import numpy as np
import pytest

from models.scores.ccc import compute_ccc
from store import FeatureStore
from store.lock import locked
from store.shard.reader import Shard


def done_counts(ended):
    """Read stage -> (done, reused) from the table of stages at the end."""
    table = ended.stderr.rpartition("Stages")[2]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if line[:1] == "│"]
    assert len(rows) >= 5, ended.stderr
    return {row[0]: (row[1], row[2]) for row in rows}


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def add_clip(place, source, name, labels=("0.5", "0.1")):
    """Add a copy of a clip and its row to the training split."""
    target = place.folder / "videos" / "added" / name
    target.parent.mkdir(exist_ok=True)
    shutil.copy(source, target)
    with (place.folder / "omg_TrainVideos.csv").open("a", encoding="utf-8") as file:
        file.write(f"http://x,0,1,added,{name},{labels[0]},{labels[1]},1\n")


def test_a_run_leaves_store_checkpoints_and_report(first_run):
    place, ended = first_run
    store = FeatureStore(place.folder / "store")
    assert len(store) == 9
    for name in store:
        clip = store[name]
        assert set(clip.status.values()) == {"ok"}
        assert clip.stft.shape[1:] == (257, 2)
        assert 190 <= len(clip.stft) <= 300
        assert len(clip.embeddings) == len(clip.crops) == len(clip.landmarks) >= 25
    for network in ("anet", "vnet", "joint"):
        (folder,) = (place.folder / "runs" / "checkpoints").glob(f"{network}-*")
        assert {"best.pt", "last.pt", "metrics.jsonl", "training.json"} <= {path.name for path in folder.iterdir()}
    report = json.loads((place.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert {(model, split) for model, splits in report["models"].items() for split in splits} == {
        (model, split) for model in ("anet", "vnet", "joint") for split in ("train", "validation", "test")
    }
    assert report["models"]["joint"]["validation"]["listed"] == 3
    assert "arousal" not in report["models"]["joint"]["test"]
    assert any("RANDOM WEIGHTS: sphereface20" in note for note in report["notes"])
    assert any("0.015625 times the paper's channels" in note for note in report["notes"])
    assert "RANDOM WEIGHTS: sphereface20" in ended.stdout
    assert {row["sound"] for row in place.ledger().values()} == {"ok"}


def test_the_report_scores_the_predictions_it_wrote(first_run):
    place, _ = first_run
    latest = place.folder / "runs" / "latest"
    truth = read_rows(place.folder / "omg_ValidationVideos.csv")[1:]
    predicted = read_rows(latest / "predictions" / "joint-validation.csv")
    assert predicted[0] == ["video", "utterance", "arousal", "valence"]
    assert [row[:2] for row in predicted[1:]] == [row[3:5] for row in truth]
    ours = compute_ccc(np.array([float(row[6]) for row in truth]), np.array([float(row[3]) for row in predicted[1:]]))
    report = json.loads((latest / "report.json").read_text(encoding="utf-8"))
    assert report["models"]["joint"]["validation"]["valence"]["ccc"] == pytest.approx(ours, abs=1e-12)


def test_the_same_run_again_does_nothing(finished):
    assert finished.run().returncode == 0  # in its new place the run has a listing of its own
    before = finished.digests(".")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    assert {done for done, _ in done_counts(ended).values()} == {"0"}
    after = finished.digests(".")
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path.rpartition("/")[0] for path in changed} == {"runs/logs"}
    assert "RANDOM WEIGHTS" in ended.stdout


def test_an_added_clip_is_the_only_one_processed_and_the_models_follow(finished):
    before = finished.digests("store")
    add_clip(finished, finished.folder / "videos" / "speaker00_1" / "utterance_1.mp4", "utterance_1.mp4")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    counts = done_counts(ended)
    assert counts["find faces"] == ("1", "9")
    assert counts["extract sound"] == ("1", "9")
    assert counts["train ANet"][0] == counts["train Joint"][0] == "2"
    after = finished.digests("store")
    assert all(after[path] == digest for path, digest in before.items() if not path.startswith("store/roots"))
    report = json.loads((finished.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert report["models"]["anet"]["train"]["listed"] == 5


def test_a_mended_label_retrains_and_recomputes_no_feature(finished):
    path = finished.folder / "omg_ValidationVideos.csv"
    rows = read_rows(path)
    rows[1][5] = "0.987"
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    counts = done_counts(finished.run())
    assert counts["find faces"] == ("0", "9")
    assert counts["train VNet"][0] == "2"


def test_a_touched_clip_is_known_again_and_a_changed_one_is_not(finished):
    clip = finished.folder / "videos" / "speaker00_1" / "utterance_1.mp4"
    os.utime(clip, (1_700_000_000, 1_700_000_000))
    assert {done for done, _ in done_counts(finished.run()).values()} == {"0"}
    shutil.copy(finished.folder / "videos" / "speaker00_1" / "utterance_2.mp4", clip)
    assert done_counts(finished.run())["find faces"] == ("1", "8")


def test_an_unmounted_disk_stops_the_run_and_nothing_is_lost(finished):
    before = finished.digests(".")
    (finished.folder / "videos").rename(finished.folder / "elsewhere")
    ended = finished.run()
    assert ended.returncode != 0
    assert "[dataset] videos = videos is not there; mount or correct it" in ended.stderr
    assert "Traceback" not in ended.stderr
    (finished.folder / "videos").mkdir()
    ended = finished.run()
    assert ended.returncode != 0
    assert "9 of the 9 sources of the last run are gone" in ended.stderr
    (finished.folder / "videos").rmdir()
    (finished.folder / "elsewhere").rename(finished.folder / "videos")
    assert finished.digests(".") == before
    assert {done for done, _ in done_counts(finished.run()).values()} == {"0"}


def test_a_vanished_clip_keeps_its_features_and_is_flagged(finished):
    (finished.folder / "videos" / "speaker00_1" / "utterance_1.mp4").unlink()
    finished.configure("[run]\nmax_vanished = 0.2\n")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    row = finished.ledger()["speaker00_1/utterance_1"]
    assert (row["sound"], row["picture"]) == ("source_missing", "source_missing")
    assert int(row["num_faces"]) > 0
    counts = done_counts(ended)
    assert counts["train ANet"] == ("0", "yes")
    assert counts["report"][0] == "1"


def test_a_changed_setting_recomputes_its_stage_and_what_follows(finished):
    before = finished.digests("store")
    finished.configure("[faces]\ndetect_every = 5\n")
    counts = done_counts(finished.run())
    assert counts["extract sound"] == counts["transform sound"] == counts["read frame times"] == ("0", "9")
    assert counts["find faces"] == counts["embed faces"] == ("9", "0")
    assert counts["train ANet"] == ("0", "yes")
    assert counts["train VNet"][0] == "2"
    after = finished.digests("store")
    assert all(after[path] == digest for path, digest in before.items() if not path.startswith("store/roots"))


def test_crops_are_kept_as_the_settings_say(finished):
    finished.configure(
        "[faces]\ncrops = jpeg\n[vnet]\nbackbone = finetune\nepochs = 1\nbatch_size = 2\nnum_frames = 1\n"
    )
    finished.configure("[joint]\nepochs = 1\nnum_frames = 1\nnum_maps = 1\n")
    raw = {path for path in finished.digests("store/crops") if path.endswith(".h5")}
    assert len(raw) == 3
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    assert finished.digests("store/crops") == {}
    jpeg = [path for path in finished.digests("store/crops_jpeg") if path.endswith(".h5")]
    assert [Shard(finished.folder / path).provenance["jpeg_quality"] for path in jpeg] == ["95"] * 3
    finished.configure(
        "[faces]\ncrops = none\n[vnet]\nbackbone = frozen\nepochs = 2\nbatch_size = 32\nnum_frames = 16\n"
    )
    assert finished.run(task="Features").returncode == 0
    assert len([path for path in finished.digests("store/crops_jpeg") if path.endswith(".h5")]) == 3, "gc's to remove"


def test_a_finished_store_loses_its_raw_crops_when_they_are_no_longer_wanted(finished):
    assert len(finished.digests("store/crops")) == 6
    finished.configure("[faces]\ncrops = none\n")
    ended = finished.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    assert finished.digests("store/crops") == {}
    assert done_counts(ended)["find faces"] == ("0", "9")


# How many shards' raw crops take up the disk whenever a stage is done; a removed file does while it is mapped.
COUNT_CROPS = """
import pathlib
from pipeline import session
work = session.Session.work
def work_and_count(self, stage, shard):
    work(self, stage, shard)
    maps = pathlib.Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    mapped = {line.split()[4] for line in lines if "/store/crops/" in line and line.endswith("(deleted)")}
    with open("crops.txt", "a") as file:
        print(stage, len(list(pathlib.Path("store/crops").glob("*/*.h5"))) + len(mapped), file=file)
session.Session.work = work_and_count
"""


def test_a_fresh_store_never_holds_more_raw_crops_than_one_shards(workplace):
    workplace.configure("[faces]\ncrops = none\n")
    ended = workplace.run(task="Features", code=COUNT_CROPS)
    assert ended.returncode == 0, ended.stderr
    counts = [line.split() for line in (workplace.folder / "crops.txt").read_text(encoding="utf-8").splitlines()]
    assert len(counts) == 5 * 3
    assert {(stage, count) for stage, count in counts if stage in ("faces", "embeddings", "stft")} == {
        ("faces", "1"),
        ("embeddings", "0"),
        ("stft", "0"),
    }
    assert workplace.digests("store/crops") == {}
    assert len(workplace.digests("store/embeddings")) == 6
    # Stopped before the sound was done, a shard without crops is not looked through for faces again.
    for path in (workplace.folder / "store" / "stft").rglob("*.h5*"):
        path.unlink()
    again = workplace.run(task="Features")
    assert again.returncode == 0, again.stderr
    assert done_counts(again)["find faces"] == ("0", "9")
    assert done_counts(again)["transform sound"] == ("9", "0")


def test_training_from_crops_that_are_not_kept_is_refused_before_any_work(workplace):
    workplace.configure("[faces]\ncrops = none\n[vnet]\nbackbone = finetune\n")
    before = workplace.digests(".")
    ended = workplace.run()
    assert ended.returncode != 0
    assert (
        "[vnet] backbone = finetune reads the crops, and [faces] crops = none keeps none; set it to raw or jpeg"
        in ended.stderr
    )
    assert "Traceback" not in ended.stderr
    assert workplace.digests(".") == before


def test_kept_pixels_stand_in_for_a_vanished_clip(workplace):
    workplace.configure("[frames]\nstore_pixels = true\n[run]\nmax_vanished = 1\n")
    assert workplace.run(task="Features").returncode == 0
    shutil.rmtree(workplace.folder / "videos" / "speaker00_1")
    workplace.configure("[faces]\ndetect_every = 5\n")
    ended = workplace.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    rows = workplace.ledger()
    assert rows["speaker00_1/utterance_1"]["picture"] == "source_missing"
    assert int(rows["speaker00_1/utterance_1"]["num_faces"]) > 25


def test_a_second_run_at_the_same_time_is_refused(finished):
    with locked(finished.folder / "store"):
        ended = finished.run()
    assert ended.returncode != 0
    assert "store is in use by process" in ended.stderr


def test_missing_weights_stop_the_run_before_anything_is_written(workplace):
    workplace.configure("[embeddings]\nweights = weights/none.pth\n")
    before = workplace.digests(".")
    ended = workplace.run()
    assert ended.returncode != 0
    assert "weights/none.pth" in ended.stderr
    assert "valar weights fetch sphereface20" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert workplace.digests(".") == before


def test_a_failed_task_is_told_by_the_exit_code_and_the_next_run_mends_it(workplace):
    (workplace.folder / "store").mkdir()
    (workplace.folder / "store" / "stft").write_text("in the way")
    ended = workplace.run(task="Features")
    assert ended.returncode == 30
    assert "Not a directory" in ended.stderr or "File exists" in ended.stderr
    assert done_counts(ended)["embed faces"] == ("9", "0")
    (workplace.folder / "store" / "stft").unlink()
    ended = workplace.run(task="Features")
    assert ended.returncode == 0
    assert done_counts(ended)["embed faces"] == ("0", "9")


def test_too_many_bad_clips_stop_the_run_before_training(workplace):
    for utterance in ("utterance_1.mp4", "utterance_2.mp4"):
        (workplace.folder / "videos" / "speaker00_1" / utterance).write_bytes(b"no video")
    ended = workplace.run()
    assert ended.returncode == 30
    assert "2 of the 9 files have no usable sound or picture, more than [run] max_bad_fraction = 0.2" in ended.stderr
    assert not (workplace.folder / "runs" / "checkpoints").exists()
    rows = workplace.ledger()
    assert rows["speaker00_1/utterance_1"]["sound"] == "decode_error"
    # A repaired clip is a changed source.
    for utterance in ("utterance_1.mp4", "utterance_2.mp4"):
        shutil.copy(
            workplace.folder / "videos" / "speaker01_1" / utterance,
            workplace.folder / "videos" / "speaker00_1" / utterance,
        )
    ended = workplace.run()
    assert ended.returncode == 0, ended.stderr
    assert done_counts(ended)["find faces"] == ("2", "7")


def test_an_empty_folder_of_videos_is_an_error_that_names_the_first_file(workplace):
    shutil.rmtree(workplace.folder / "videos")
    (workplace.folder / "videos").mkdir()
    ended = workplace.run()
    assert ended.returncode != 0
    assert "none of the 9 utterances has a file in videos: the first one would be videos/speaker00_1" in ended.stderr
    assert not (workplace.folder / "store").exists()


# What many frames would start.
IN_PROCESSES = """
import pipeline.stages.align_faces
pipeline.stages.align_faces._START_SECONDS = 0.0
"""
INTERRUPT = """
from pipeline import progress
tick = progress.Progress.tick
def tick_and_stop(self, name, note=""):
    tick(self, name, note)
    if name == "find faces":
        raise KeyboardInterrupt
progress.Progress.tick = tick_and_stop
"""


def test_processes_find_the_same_faces_to_the_bit(first_run, workplace):
    ended = workplace.run(task="Features", code=IN_PROCESSES)
    assert ended.returncode == 0, ended.stderr
    whole, _ = first_run
    for part in ("store/faces", "store/crops"):
        assert len(whole.digests(part)) >= 4
        assert workplace.digests(part) == whole.digests(part)


@pytest.mark.parametrize("code", ["", IN_PROCESSES], ids=["threads", "processes"])
def test_ctrl_c_stops_with_a_sentence_and_leaves_nothing_half_written(workplace, code):
    ended = workplace.run(task="Features", code=code + INTERRUPT)
    assert ended.returncode != 0
    assert "stopped: what is finished is kept, and the same command goes on from there" in ended.stderr
    assert "Traceback" not in ended.stderr
    hidden = [path.name for path in (workplace.folder / "store").rglob(".*")]
    assert hidden == [".lock"]
    assert not list((workplace.folder / "store").glob("faces/*/*.h5"))

"""The whole pipeline as a user runs it: once, again, and after things have changed; luigi in a process of its own."""

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest

from models.scores.ccc import compute_ccc
from pipeline.chain import STAGE_TITLES
from store import FeatureStore
from store.lock import locked
from store.pages_mark import page_number
from store.records.listings import Listing
from store.shard.reader import Shard
from store.tending.garbage import find_garbage, remove_garbage

#: A box that is to be passed by: at the end of an MP4 it makes another file of the same clip.
UNUSED_SPACE = b"\0\0\0\x08free"


def done_counts(place):
    """Give what the newest run did, from its log: stage to clips, or network to epochs."""
    path = max((place.folder / "runs" / "logs").glob("*.log"), key=lambda log: log.stat().st_mtime_ns)
    found = re.findall(r"INFO valar: ([\w ]+): (\d+) of \d+ \w+ done$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) >= 5, path.read_text(encoding="utf-8")
    return {title: int(count) for title, count in found}


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def add_clip(place, source, name, labels=("0.5", "0.1")):
    """Add a clip that shows what another one does, in another file, and its row to the training split."""
    target = place.folder / "videos" / "added" / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(source.read_bytes() + UNUSED_SPACE)
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


def test_a_run_writes_the_pages_of_its_clips(first_run):
    place, ended = first_run
    assert "pages are not written" not in ended.stdout
    report = place.folder / "runs" / "latest"
    page = (report / "report.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="(browse/clips/[^"]*)"', page))
    scored = [name for name, row in place.ledger().items() if row["split"] == "validation"]
    pages = {name: f"browse/clips/{page_number(name)}.html" for name in place.ledger()}
    assert {pages[name] for name in scored} <= linked <= set(pages.values())  # points of the plots lead to others, too
    assert all((report / link).is_file() for link in linked)
    data = json.loads((report / "browse" / "data.js").read_text().removeprefix("const PAGES = ").removesuffix(";\n"))
    assert data["models"] == ["ANet", "VNet", "Joint"]


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
    assert set(done_counts(finished).values()) == {0}
    after = finished.digests(".")
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path.rpartition("/")[0] for path in changed} == {"runs/logs"}
    assert "RANDOM WEIGHTS" in ended.stdout


def test_an_added_clip_is_the_only_one_processed_and_the_models_follow(finished):
    before = finished.digests("store")
    add_clip(finished, finished.folder / "videos" / "speaker00_1" / "utterance_1.mp4", "utterance_1.mp4")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    counts = done_counts(finished)
    assert counts["find faces"] == counts["extract sound"] == 1
    assert counts["train ANet"] == counts["train Joint"] == 2
    after = finished.digests("store")
    assert all(after[path] == digest for path, digest in before.items() if not path.startswith("store/roots"))
    report = json.loads((finished.folder / "runs" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert report["models"]["anet"]["train"]["listed"] == 5


def test_a_mended_label_retrains_and_recomputes_no_feature(finished):
    path = finished.folder / "omg_ValidationVideos.csv"
    rows = read_rows(path)
    rows[1][5] = "0.987"
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    assert finished.run().returncode == 0
    counts = done_counts(finished)
    assert (counts["find faces"], counts["train VNet"]) == (0, 2)


def test_a_touched_clip_is_known_again_and_a_changed_one_is_not(finished):
    clip = finished.folder / "videos" / "speaker00_1" / "utterance_1.mp4"
    os.utime(clip, (1_700_000_000, 1_700_000_000))
    assert finished.run().returncode == 0
    assert set(done_counts(finished).values()) == {0}
    clip.write_bytes(clip.with_name("utterance_2.mp4").read_bytes() + UNUSED_SPACE)
    assert finished.run().returncode == 0
    assert done_counts(finished)["find faces"] == 1


def test_an_unmounted_disk_stops_the_run_and_nothing_is_lost(finished):
    before = finished.digests(".")
    (finished.folder / "videos").rename(finished.folder / "elsewhere")
    ended = finished.run()
    assert ended.returncode != 0
    assert "[dataset] videos = videos does not exist; mount or correct it" in ended.stderr
    assert "Traceback" not in ended.stderr
    (finished.folder / "videos").mkdir()
    ended = finished.run()
    assert ended.returncode != 0
    assert "9 of the 9 sources of the last run have disappeared" in ended.stderr
    (finished.folder / "videos").rmdir()
    (finished.folder / "elsewhere").rename(finished.folder / "videos")
    assert finished.digests(".") == before
    assert finished.run().returncode == 0
    assert set(done_counts(finished).values()) == {0}


def test_a_vanished_clip_keeps_its_features_and_is_flagged(finished):
    (finished.folder / "videos" / "speaker00_1" / "utterance_1.mp4").unlink()
    finished.configure("[run]\nmax_vanished = 0.2\n")
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    row = finished.ledger()["speaker00_1/utterance_1"]
    assert (row["sound"], row["picture"]) == ("source_missing", "source_missing")
    assert int(row["num_faces"]) > 0
    counts = done_counts(finished)
    assert (counts["train ANet"], counts["report"]) == (0, 1)


def test_a_changed_setting_recomputes_its_stage_and_what_follows(finished):
    before = finished.digests("store")
    finished.configure("[faces]\ndetect_every = 5\n")
    assert finished.run().returncode == 0
    counts = done_counts(finished)
    assert counts["extract sound"] == counts["transform sound"] == counts["read frame times"] == 0
    assert counts["find faces"] == counts["embed faces"] == 9
    assert (counts["train ANet"], counts["train VNet"]) == (0, 2)
    after = finished.digests("store")
    assert all(after[path] == digest for path, digest in before.items() if not path.startswith("store/roots"))


def test_networks_train_from_kept_jpegs_and_the_raw_crops_stay(finished):
    finished.configure(
        "[faces]\ncrops = jpeg\n[vnet]\nbackbone = finetune\nepochs = 1\nbatch_size = 2\nnum_frames = 1\n"
    )
    finished.configure("[joint]\nepochs = 1\nnum_frames = 1\nnum_maps = 1\n")
    raw = finished.digests("store/crops")
    assert len(raw) == 6
    ended = finished.run()
    assert ended.returncode == 0, ended.stderr
    assert done_counts(finished)["find faces"] == 0
    assert finished.digests("store/crops") == raw
    jpeg = [path for path in finished.digests("store/crops_jpeg") if path.endswith(".h5")]
    assert [Shard(finished.folder / path).provenance["jpeg_quality"] for path in jpeg] == ["95"] * 3


def run_features(place):
    """Run Features; give the stages with something to do, and see that `status` had said the same before."""
    told = {
        stage["stage"]: stage["waiting"] for stage in json.loads(place.command("status", "--json").stdout)["stages"]
    }
    ended = place.run(task="Features")
    assert ended.returncode == 0, ended.stderr
    done = {title: count for title, count in done_counts(place).items() if count and title in STAGE_TITLES.values()}
    assert done == {title: count for title, count in told.items() if count and title in STAGE_TITLES.values()}
    return done


def test_each_kept_extra_is_switched_on_and_off_on_a_finished_store(finished):
    store = finished.folder / "store"
    features = {part: finished.digests(f"store/{part}") for part in ("stft", "faces", "embeddings")}
    raw = finished.digests("store/crops")
    finished.configure("[faces]\ncrops = jpeg\n")
    assert run_features(finished) == {"embed faces": 9}
    assert len(finished.digests("store/crops_jpeg")) == 6
    finished.configure("[faces]\ncrops = raw\n[frames]\nstore_pixels = true\n")
    assert run_features(finished) == {"read frame times": 9}
    pixels = FeatureStore(store)["speaker00_1/utterance_1"].images("pixels")
    assert len(pixels) >= 25
    assert pixels[0].startswith(b"\xff\xd8"), "a JPEG"
    # What is not wanted any more stays until gc, which says so.
    before = finished.digests("store")
    finished.configure("[faces]\ncrops = none\n[frames]\nstore_pixels = false\n")
    assert run_features(finished) == {}
    assert {path: digest for path, digest in finished.digests("store").items() if "/roots/" not in path} == {
        path: digest for path, digest in before.items() if "/roots/" not in path
    }
    # The listing of the folder that this one is a copy of wants the raw crops.
    dead = [item for item in find_garbage(store) if item.reason == "no run keeps them any more"]
    assert {item.path.partition("/")[0] for item in dead} == {"crops_jpeg", "pixels"}
    for listing in (store / "roots").glob("*.json"):
        if Listing.read(listing).kept == frozenset({"crops"}):
            listing.unlink()
    remove_garbage(store, find_garbage(store))
    assert finished.digests("store/crops") == finished.digests("store/pixels") == {}
    finished.configure("[faces]\ncrops = raw\n")
    assert run_features(finished) == {"find faces": 9}
    assert finished.digests("store/crops").keys() == raw.keys()
    assert {part: finished.digests(f"store/{part}") for part in features} == features


# How many shards' raw crops take up the disk whenever a stage is done; a removed file does while it is mapped.
COUNT_CROPS = """
import pathlib
from pipeline.session import session
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
    counts = done_counts(workplace)
    assert (counts["find faces"], counts["transform sound"]) == (0, 9)


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
    assert done_counts(workplace)["embed faces"] == 9
    (workplace.folder / "store" / "stft").unlink()
    ended = workplace.run(task="Features")
    assert ended.returncode == 0
    assert done_counts(workplace)["embed faces"] == 0


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
        repaired = (workplace.folder / "videos" / "speaker01_1" / utterance).read_bytes() + UNUSED_SPACE
        (workplace.folder / "videos" / "speaker00_1" / utterance).write_bytes(repaired)
    ended = workplace.run()
    assert ended.returncode == 0, ended.stderr
    assert done_counts(workplace)["find faces"] == 2


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
def tick_and_stop(self, name, *notes):
    tick(self, name, *notes)
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
    assert "stopped: finished work is kept, and the same command continues from there" in ended.stderr
    assert "Traceback" not in ended.stderr
    hidden = [path.name for path in (workplace.folder / "store").rglob(".*")]
    assert hidden == [".lock"]
    assert not list((workplace.folder / "store").glob("faces/*/*.h5"))

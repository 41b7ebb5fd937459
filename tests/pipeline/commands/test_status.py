"""`python -m pipeline status`: says what a run would do, and does nothing."""

import json
import shutil

from pipeline.chain import STAGE_TITLES


def stages(ended):
    return {stage["stage"]: stage for stage in json.loads(ended.stdout)["stages"]}


def test_a_finished_run_has_nothing_to_do(finished):
    before = finished.digests(".")
    ended = finished.command("status")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("nothing to do\n")
    assert finished.digests(".") == before


def test_before_the_first_run_everything_waits_and_nothing_is_written(workplace):
    before = workplace.digests(".")
    ended = workplace.command("status", "--json")
    assert ended.returncode == 3
    assert stages(ended)["find faces"] == {
        "stage": "find faces",
        "done": 0,
        "waiting": 9,
        "reason": "9 new or changed",
        "seconds": None,
    }
    assert stages(ended)["train ANet"]["reason"] == "features first"
    assert workplace.digests(".") == before


def test_what_other_settings_made_is_stale(finished):
    finished.configure("[faces]\ndetect_every = 5\n")
    found = stages(finished.command("status", "--json"))
    assert (found["read frame times"]["done"], found["read frame times"]["waiting"]) == (9, 0)
    assert found["find faces"]["reason"] == "9 stale: made under other settings"
    finished.configure("[faces]\ndetect_every = 25\n[joint]\nepochs = 3\n")
    found = stages(finished.command("status", "--json"))
    assert found["train VNet"]["done"] == 1
    assert found["train Joint"]["reason"] == "[joint] epochs 2 to 3"


def test_whoever_trains_nothing_asks_for_the_features_alone(finished):
    shutil.rmtree(finished.folder / "runs" / "checkpoints")
    shutil.rmtree(finished.folder / "runs" / "reports")
    assert finished.command("status").returncode == 3
    ended = finished.command("status", "Features")
    assert ended.returncode == 0, ended.stdout
    assert [line.split("  ")[0] for line in ended.stdout.splitlines()[1:]] == [*STAGE_TITLES.values(), "nothing to do"]
    finished.configure("[faces]\ndetect_every = 5\n")
    ended = finished.command("status", "Features")
    assert ended.returncode == 3
    assert "`valar --config mine.cfg features` continues" in ended.stdout
    assert {
        stage for stage, found in stages(finished.command("status", "Features", "--json")).items() if found["waiting"]
    } == {
        "find faces",
        "embed faces",
    }
    assert finished.command("status", "Training").returncode == 2


def test_missing_and_vanished_files_are_counted(finished):
    shutil.rmtree(finished.folder / "videos" / "speaker00_1")
    with (finished.folder / "omg_TrainVideos.csv").open("a", encoding="utf-8") as file:
        file.write("http://x,0,1,nowhere,utterance_1.mp4,0.5,0.5,1\n")
    finished.configure("[run]\nmax_vanished = 1\n")
    status = json.loads(finished.command("status", "--json").stdout)
    assert (status["missing"], status["vanished"]) == (1, 2)


def test_what_failed_is_told_until_a_run_goes_well(workplace):
    (workplace.folder / "store").mkdir()
    (workplace.folder / "store" / "stft").write_text("in the way")
    workplace.run(task="Features")
    ended = workplace.command("status")
    assert ended.returncode == 3
    assert "failed in the last run: ComputeStft of shard" in ended.stdout


def test_faults_of_the_settings_are_told_without_a_traceback(workplace):
    workplace.configure("[dataset]\ntrain = none.csv\n")
    ended = workplace.command("status")
    assert ended.returncode == 2
    assert ended.stderr == "[dataset] train = none.csv does not exist\n"

"""`valar init`: what it takes folders and CSV files for."""

import configparser
import csv
from pathlib import Path

import pytest

from pipeline.dataset.clip_files import find_clips
from pipeline.dataset.utterances import read_dataset
from valar.cli import main
from valar.init.labels import choose_held_out, find_split


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def read_settings(path="valar.cfg"):
    parser = configparser.ConfigParser()
    assert parser.read(path, encoding="utf-8") == [path]
    return {section: dict(parser.items(section)) for section in parser.sections()}


def read_rows(name):
    with Path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_flat_folder_without_csv_gets_a_list_of_its_clips(folder, capsys):
    make(folder, "clips/b.MP4", "clips/a.webm", "clips/notes.pdf", "clips/.hidden.mp4", "clips/a.srt")
    assert main(["init", "clips"]) == 0
    printed = capsys.readouterr().out
    assert "2 clips in one folder; 2 other files are left out (the first: a.srt)" in printed
    assert "there will be features but no training" in printed
    assert printed.endswith("next:\n  valar weights fetch sphereface20\n  valar features\n")
    settings = read_settings()
    assert settings["dataset"] == {"videos": ".", "train": "", "validation": "", "test": "valar-clips.csv"}
    assert read_rows("valar-clips.csv") == [["video", "utterance"], ["clips", "a.webm"], ["clips", "b.MP4"]]


@pytest.mark.parametrize(("count", "is_enough"), [(2, False), (3, True)])
def test_too_few_clips_to_train_on_are_told(folder, capsys, count, is_enough):
    names = [f"{letter}.mp4" for letter in "abc"[:count]]
    make(folder, *(f"clips/{name}" for name in names))
    (folder / "labels.csv").write_text("\n".join(["file,arousal,valence", *(f"{name},0,0.5" for name in names)]))
    assert main(["init", "clips"]) == 0
    printed = capsys.readouterr().out
    told = "no clip is in the split train, so there will be features but no training; where no split is named, it takes"
    assert (told in printed, printed.endswith("  valar run\n")) == (not is_enough, is_enough)


def test_the_current_folder_itself_may_hold_the_clips(folder):
    make(folder, "a.mp4")
    assert main(["init", "."]) == 0
    assert read_settings()["dataset"]["videos"] == str(folder.parent)
    assert read_rows("valar-clips.csv")[1:] == [[folder.name, "a.mp4"]]


def test_the_organisers_files_are_taken_as_they_are(folder):
    make(folder, "omg/videos/5b/utterance_1.mp4", "omg/videos/5b/utterance_2.mp4", "omg/videos/6c/utterance_1.mp4")
    header = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    (folder / "omg" / "omg_TrainVideos.csv").write_text(
        f"{header}x,0,1,5b,utterance_1.mp4,.1,.2,1\nx,0,1,5b,utterance_2.mp4,.1,.2,1\n"
    )
    (folder / "omg" / "omg_ValidationVideos.csv").write_text(f"{header}x,0,1,6c,utterance_1.mp4,.1,.2,1\n")
    assert main(["init", "omg"]) == 0
    assert read_settings()["dataset"] == {
        "videos": "omg/videos",
        "train": "omg/omg_TrainVideos.csv",
        "validation": "omg/omg_ValidationVideos.csv",
        "test": "",
    }
    assert not list(folder.glob("valar-*.csv"))


def test_one_csv_of_file_names_and_labels_is_split_by_video(folder, capsys):
    names = [f"speaker{i}/clip_{j}.mp4" for i in range(10) for j in range(2)]
    make(folder, *(f"clips/{name}" for name in names), "clips/speaker0/extra.mp4")
    rows = [f"{name},{0.1 * i:.1f},-0.5,note {i}" for i, name in enumerate(names[:10])]
    rows += [f"{name.removesuffix('.mp4')},0.5,0.5," for name in names[10:]]
    (folder / "labels.csv").write_text("\n".join(["File,Arousal,valence,comment", *rows, "speaker9/lost.mp4,0,0,"]))
    assert main(["init", "clips"]) == 0
    printed = capsys.readouterr().out
    assert "labels.csv: 20 clips, with labels" in printed
    assert "left out: labels.csv:22: speaker9/lost.mp4 is not there" in printed
    assert "1 clip is in no CSV file and is left out (the first: speaker0/extra)" in printed
    assert "2 of the videos are held out for validation" in printed
    train, validation = read_rows("valar-train.csv"), read_rows("valar-validation.csv")
    assert train[0] == validation[0] == ["video", "utterance", "arousal", "valence", "comment"]
    assert (len(train) - 1, len(validation) - 1) == (16, 4)
    assert not {row[0] for row in train[1:]} & {row[0] for row in validation[1:]}
    kept = {f"{row[0]}/{row[1]}": row[2:] for row in train[1:] + validation[1:]}
    assert kept["speaker1/clip_1.mp4"] == ["0.3", "-0.5", "note 3"]
    assert set(kept) == set(names)


def test_a_column_says_the_split(folder):
    make(folder, "clips/a.mp4", "clips/b.mp4", "clips/c.mp4")
    (folder / "clips" / "list.csv").write_text(
        "name;set;arousal;valence\na;train;0;0\nb.mp4;dev;0;0\nclips/c.mp4;test;;\n"
    )
    assert main(["init", "clips"]) == 0
    assert read_rows("valar-train.csv")[1:] == [["clips", "a.mp4", "0", "0", "a"]]
    assert read_rows("valar-validation.csv")[1:] == [["clips", "b.mp4", "0", "0", "b"]]
    assert read_rows("valar-test.csv")[1:] == [["clips", "c.mp4", "", "", "c"]]


def test_a_column_says_the_split_whatever_the_file_is_called(folder):
    make(folder, "clips/x/a.mp4", "clips/x/b.mp4")
    (folder / "clips" / "train_labels.csv").write_text(
        "video,utterance,arousal,valence,split\nx,a.mp4,0,0,train\nx,b.mp4,0,0,test\n"
    )
    assert main(["init", "clips"]) == 0
    assert read_rows("valar-train.csv")[1:] == [["x", "a.mp4", "0", "0"]]
    assert read_rows("valar-test.csv")[1:] == [["x", "b.mp4", "0", "0"]]


@pytest.mark.parametrize("cell", ["holdout", "3", ""])
def test_a_cell_that_names_no_split_is_refused(folder, capsys, cell):
    make(folder, "clips/a.mp4", "clips/b.mp4")
    (folder / "clips" / "list.csv").write_text(f"file,arousal,valence,split\na.mp4,0,0,train\nb.mp4,0,0,{cell}\n")
    assert main(["init", "clips"]) == 2
    assert f"list.csv:3: split is {cell!r}, which names no split (1 such rows); write train, validation or test" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("arousal_valence", ""),
        ("valence", ""),
        ("intervals", ""),
        ("evaluation", ""),
        ("latest_labels", ""),
        ("constraints", ""),
        ("omg_TrainVideos", "train"),
        ("omg_ValidationVideos", "validation"),
        ("omg_TestVideos_WithoutLabels", "test"),
        ("my-val-2", "validation"),
        ("TESTSET", "test"),
        ("train_and_test", ""),
    ],
)
def test_whole_words_of_a_name_say_the_split(name, split):
    assert find_split(name) == split


def test_predictions_are_no_labels_and_no_clip_is_listed_twice(folder, capsys):
    make(folder, *(f"clips/{letter}.mp4" for letter in "ab"))
    (folder / "labels.csv").write_text("file,arousal,valence\na.mp4,0,0\n")
    (folder / "predictions.csv").write_text("file,arousal,valence\nb.mp4,0,0\n")
    assert main(["init", "clips"]) == 0
    assert "predictions.csv: not taken: it has the name of predictions; if it has labels, name it with --csv" in (
        capsys.readouterr().out
    )
    assert {row[1] for path in folder.glob("valar-*.csv") for row in read_rows(path.name)[1:]} == {"a.mp4"}
    (folder / "labels-copy.csv").write_text("file,arousal,valence\na.mp4,0,0\n")
    assert main(["init", "clips", "--force"]) == 2
    error = capsys.readouterr().err
    assert "clips/a.mp4 is listed twice, at labels-copy.csv:2 and labels.csv:2; keep one row, or name the CSV" in error
    assert main(["init", "clips", "--force", "--csv", "labels.csv"]) == 0


@pytest.mark.parametrize("name", ["joint-test", "anet-validation.detail", "detail", "talk-over-time", "predictions-2"])
def test_what_a_report_says_of_clips_is_no_label_unless_it_is_named(folder, capsys, name):
    make(folder, "clips/x/a.mp4", "clips/x/b.mp4")
    (folder / "clips" / "labels.csv").write_text("video,utterance,arousal,valence,split\nx,a.mp4,0,0,train\n")
    (folder / f"{name}.csv").write_text("video,utterance,arousal,valence\nx,b.mp4,0.1,0.2\n")
    assert main(["init", "clips"]) == 0
    assert sorted(path.name for path in folder.glob("valar-*.csv")) == ["valar-train.csv"]
    assert main(["init", "clips", "--force", "--csv", f"{name}.csv"]) == 0
    assert f"{name}.csv: 1 clip, with labels" in capsys.readouterr().out


def test_few_videos_are_split_by_clip_and_it_is_said_what_that_means(folder, capsys):
    make(folder, *(f"clips/{letter}.mp4" for letter in "abcdef"))
    (folder / "labels.csv").write_text("file,arousal,valence\n" + "".join(f"{c}.mp4,0,0\n" for c in "abcdef"))
    assert main(["init", "clips"]) == 0
    assert "a speaker may then be in both, so that the score is too high" in capsys.readouterr().out
    assert (len(read_rows("valar-train.csv")), len(read_rows("valar-validation.csv"))) == (5, 3)


def test_clips_of_one_folder_are_told_apart_by_their_names(folder, capsys):
    names = [f"{name}_{number}.mp4" for name in ("anna", "ben", "carl", "dora", "emil") for number in (1, 2)]
    make(folder, *(f"clips/{name}" for name in [*names, "fred.mp4"]))
    rows = "".join(f"{name},0.1,0.2\n" for name in [*names, "fred.mp4"])
    (folder / "labels.csv").write_text(f"file,arousal,valence\n{rows}")
    assert main(["init", "clips", "--try"]) == 0
    printed = capsys.readouterr().out
    assert (
        "6 recordings: clips whose names differ only in the number at the end (_1, _2) are of one recording" in printed
    )
    assert "1 of the recordings is held out for validation" in printed
    assert "group = recording" in (folder / "valar.cfg").read_text().splitlines()
    dataset = read_dataset(
        {split: folder / f"valar-{split}.csv" for split in ("train", "validation")}, group_column="recording"
    )
    of = {row.name: dataset.grouping.of[row.name] for row in dataset.utterances}
    assert of["clips/anna_1"] == of["clips/anna_2"] == "anna"
    assert of["clips/fred"] == "fred"
    by_split = {
        split: {of[row.name] for row in dataset.utterances if row.split == split} for split in ("train", "validation")
    }
    assert not by_split["train"] & by_split["validation"]
    assert set.union(*by_split.values()) == {"anna", "ben", "carl", "dora", "emil", "fred"}


@pytest.mark.parametrize("column", ["link", "recording"])
def test_recordings_that_a_column_tells_apart_are_left_to_it(folder, capsys, column):
    make(folder, "clips/anna_1.mp4", "clips/anna_2.mp4", "clips/ben_1.mp4")
    rows = "".join(f"{name},0.1,0.2,{name}\n" for name in ("anna_1.mp4", "anna_2.mp4", "ben_1.mp4"))
    (folder / "labels.csv").write_text(f"file,arousal,valence,{column}\n{rows}")
    assert main(["init", "clips", "--try"]) == 0
    assert "group =" not in (folder / "valar.cfg").read_text()
    assert "whose names differ only" not in capsys.readouterr().out


def test_the_held_out_stay_when_more_come():
    before = choose_held_out([f"v{i}" for i in range(100)], 1)
    after = choose_held_out([f"v{i}" for i in range(120)], 1)
    assert (len(before), len(after)) == (20, 24)
    assert len(before & after) >= 15


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "clips is not a folder; name one that contains clips, or folders of clips"),
        (["clips/a.txt"], "clips holds no clip: no file below it ends like one"),
        (["clips/a.mp4", "clips/b/c.mp4"], "clips holds clips on 2 levels (a.mp4, b/c.mp4); keep one"),
        (["clips/a/b/1.mp4", "clips/c/d/1.mp4"], "clips holds clips in a/b and c/d: name the folder whose folders"),
        (["clips/a.mp4", "clips/a.mkv"], "clips/a.mkv and clips/a.mp4 differ only in their ending"),
    ],
)
def test_what_is_not_one_folder_of_clips_is_refused(names, sentence, folder, capsys):
    make(folder, *names)
    assert main(["init", "clips"]) == 2
    assert capsys.readouterr().err.startswith(sentence)
    assert not (folder / "valar.cfg").exists()


def test_what_is_there_is_written_anew_only_when_that_is_asked_for(folder, capsys):
    make(folder, "clips/a.mp4")
    assert main(["init", "clips"]) == 0
    make(folder, "clips/b.mp4")
    assert main(["init", "clips"]) == 2
    assert "valar.cfg already exists; --force writes it and its CSV files again" in capsys.readouterr().err
    assert main(["init", "clips", "--force"]) == 0
    assert len(read_rows("valar-clips.csv")) == 3


def test_a_csv_that_is_named_has_to_be_of_use(folder, capsys):
    make(folder, "clips/a.mp4")
    (folder / "x.csv").write_text("one,two\n1,2\n")
    assert main(["init", "clips", "--csv", "x.csv"]) == 2
    assert (
        "x.csv: not taken: it has neither `video` and `utterance` nor a column such as `file`"
        in capsys.readouterr().err
    )
    assert main(["init", "clips", "--csv", "none.csv"]) == 2
    assert "none.csv: cannot be read: No such file or directory" in capsys.readouterr().err
    assert main(["init", "clips"]) == 0
    assert "x.csv: not taken" in capsys.readouterr().out


def test_rows_with_start_and_end_are_parts_of_whole_recordings(folder, capsys):
    make(folder, "clips/talk.mp4", "clips/walk.webm", "clips/spare.mp4")
    rows = ["File,Start,END,arousal,valence", "talk.mp4,0,2.5,.1,.2", "talk,1:02.5,1:10,.3,.4", "walk.webm,1,2,.5,.6"]
    (folder / "labels.csv").write_text("\n".join(rows))
    assert main(["init", "clips"]) == 0
    printed = capsys.readouterr().out
    assert "3 clips in one folder" in printed
    assert "3 clips are cut by start and end from 2 whole recordings; 1 file without a row" in printed
    settings = read_settings()["dataset"]
    assert settings["videos"] == "clips"
    kept = [*read_rows(settings["train"])[1:], *read_rows(settings["validation"])[1:]]
    assert read_rows(settings["train"])[0] == ["video", "utterance", "start", "end", "arousal", "valence"]
    assert sorted(kept) == [
        ["talk", "0-2.5", "0", "2.5", ".1", ".2"],
        ["talk", "1.02.5-1.10", "1:02.5", "1:10", ".3", ".4"],
        ["walk", "1-2", "1", "2", ".5", ".6"],
    ]
    dataset = read_dataset({split: Path(settings[split]) for split in ("train", "validation")})
    found = find_clips(Path(settings["videos"]), dataset.utterances)
    assert found.cuts == {"talk/0-2.5": (0, 2.5), "talk/1.02.5-1.10": (62.5, 70), "walk/1-2": (1, 2)}


def test_recordings_listed_by_video_and_utterance_are_known_too(folder, capsys):
    make(folder, "clips/talk.mp4")
    (folder / "train.csv").write_text("video,utterance,start,end,arousal,valence\ntalk,1,0,2,.1,.2\n")
    assert main(["init", "clips"]) == 0
    assert "1 clip is cut by start and end from 1 whole recording" in capsys.readouterr().out
    assert read_settings()["dataset"]["videos"] == "clips"


def test_recordings_in_several_folders_and_rows_without_times_are_refused(folder, capsys):
    make(folder, "clips/anna/talk.mp4")
    (folder / "labels.csv").write_text("file,start,end\nanna/talk.mp4,0,1\n")
    assert main(["init", "clips"]) == 2
    assert "put whole recordings into one folder" in capsys.readouterr().err
    make(folder, "flat/talk.mp4", "flat/walk.mp4")
    (folder / "labels.csv").write_text("file,start,end\ntalk.mp4,0,1\nwalk.mp4,,\n")
    assert main(["init", "flat"]) == 2
    assert "a row names walk.mp4 without start and end" in capsys.readouterr().err


def test_the_scale_of_the_labels_goes_into_the_settings(folder, capsys):
    make(folder, "clips/a.mp4", "clips/b.mp4")
    (folder / "labels.csv").write_text("file,Arousal,valence\na,1,5\nb,9,2\n")
    assert main(["init", "clips", "--label-range", "1", "9"]) == 0
    assert read_settings()["dataset"]["label_range"] == "1 9"
    assert main(["init", "clips", "--label-range", "9", "1", "--force"]) == 2
    assert (
        "--label-range 9 1: it must be two numbers, the lower and the upper end of the labels' scale"
        in capsys.readouterr().err
    )
    assert main(["init", "clips", "--label-range", "-3", "3", "--force"]) == 2
    assert "arousal goes from 1 to 9; labels must be from -3 to 3" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["x", "nan", "inf"])
def test_labels_on_another_scale_are_refused_with_where_they_go(folder, capsys, missing):
    make(folder, "clips/a.mp4", "clips/b.mp4", "clips/c.mp4")
    (folder / "labels.csv").write_text(f"file,Arousal,valence\nc,{missing},0\na,1,0.5\nb,9,{missing}\n")
    assert main(["init", "clips"]) == 2
    assert capsys.readouterr().err.startswith("labels.csv: arousal goes from 1 to 9; labels must be from -1 to 1. Give")
    assert not (folder / "valar.cfg").exists()


def test_settings_with_a_per_cent_sign_can_be_read_again(folder):
    make(folder, "50%/a.mp4")
    assert main(["init", "50%", "--try"]) == 0
    settings = read_settings()
    assert settings["dataset"]["videos"] == "."
    assert settings["embeddings"]["weights"] == "random"


@pytest.mark.parametrize(
    "name",
    ["x\n[audio]\nffmpeg = evil", "x\r[audio]", "x ", "x\u2028y", "x\x1b[2J"],
    ids=["line", "return", "space", "mark", "escape"],
)
def test_a_folder_s_name_adds_no_setting(folder, capsys, name):
    """An attacker may name the folders of a package of clips, and a setting may name a program to run."""
    for path in (f"clips/{name}/speaker/1.mp4", f"{name}/speaker/1.mp4"):
        Path(path).parent.mkdir(parents=True)
        Path(path).write_bytes(b"x")
    for given in ("clips", name):
        assert main(["init", given]) == 2
        err = capsys.readouterr().err
        assert "cannot stand in valar.cfg; rename the folder" in err
        assert err.count("\n") == 1
        assert "\x1b" not in err
    assert not Path("valar.cfg").exists()


def test_names_of_csv_files_steer_no_terminal(folder, capsys):
    Path("clips/v").mkdir(parents=True)
    Path("clips/v/1.mp4").write_bytes(b"x")
    Path("clips/a\x1b[2J.csv").write_text("video,utterance,arousal,valence\nv,1.mp4,0.1,0.2\n")
    assert main(["init", "clips"]) == 0
    out = capsys.readouterr().out
    assert "a\\x1b[2J.csv" in out
    assert "\x1b" not in out

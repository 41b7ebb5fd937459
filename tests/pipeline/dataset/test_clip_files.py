"""Which file an utterance has, and what is said where it has none."""

import os
import unicodedata

import pytest

from pipeline.dataset.clip_files import find_clips
from pipeline.dataset.clip_folders import ClipFile
from pipeline.dataset.utterances import DatasetError, read_dataset
from tests.modes import modes_obeyed


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def utterances(tmp_path, *pairs):
    path = tmp_path / "train.csv"
    lines = "".join(f'"{video}","{utterance}"\n' for video, utterance in pairs)
    path.write_text("video,utterance\n" + lines, encoding="utf-8")
    return read_dataset({"train": path}).utterances


def test_finds_clips_whatever_their_ending(tmp_path):
    videos = tmp_path / "videos"
    touch(videos / "v" / "utterance_1.mp4", b"12345")
    touch(videos / "v" / "utterance_4.webm")
    touch(videos / "v" / "utterance_5.MP4")
    rows = utterances(tmp_path, *[("v", f"utterance_{n}.mp4") for n in (1, 4, 5, 6)], ("no such folder", "1.mp4"))
    clips = find_clips(videos, rows).files
    assert {name: clip.path for name, clip in clips.items()} == {
        "v/utterance_1": "v/utterance_1.mp4",
        "v/utterance_4": "v/utterance_4.webm",
        "v/utterance_5": "v/utterance_5.MP4",
    }
    status = (videos / "v" / "utterance_1.mp4").stat()
    assert clips["v/utterance_1"] == ClipFile("v/utterance_1.mp4", 5, status.st_mtime_ns)


def test_subtitles_notes_and_hidden_files_are_no_clips(tmp_path):
    videos = tmp_path / "videos"
    for ending in (".srt", ".json", ".JPG", ".txt", ".mp4.part"):
        touch(videos / "v" / f"u{ending}")
    touch(videos / "v" / ".u.mp4")
    (videos / "v" / "u.mkv").mkdir()
    assert find_clips(videos, utterances(tmp_path, ("v", "u.mp4"))).files == {}
    touch(videos / "v" / "u.mp4")
    assert find_clips(videos, utterances(tmp_path, ("v", "u.mp4"))).files["v/u"].path == "v/u.mp4"


@pytest.mark.parametrize(
    ("listed", "names", "found"),
    [
        ("u.mp4", ("u.mp4", "u.npy", "u.wav", "u.eaf"), "u.mp4"),
        ("u.mp4", ("u.avi", "u.mp4"), "u.mp4"),
        ("u.wav", ("u.mp4", "u.wav"), "u.wav"),
        ("u.gif", ("u.gif",), "u.gif"),
        ("u.mp4", ("u.WebM", "u.wav", "u.abc", "u.npy"), "u.WebM"),
        ("u", ("u.mp4", "u.mp3"), "u.mp4"),
        ("u.mp4", ("u.flac", "u.abc"), "u.flac"),
        ("u.mp4", ("u.abc", "u.json"), "u.abc"),
        ("u.mp4", ("u",), "u"),
        ("S01.E02", ("S01.mp4", "S01.E02.mp4"), "S01.E02.mp4"),
        ("S01.E02.mkv", ("S01.E01.mp4", "S01.E02.mp4"), "S01.E02.mp4"),
        ("interview.left", ("interview.left.mov", "interview.mov"), "interview.left.mov"),
        ("interview.left", ("interview.mov",), "interview.mov"),
    ],
)
def test_the_name_of_the_csv_wins_then_videos_then_sound_then_others(tmp_path, listed, names, found):
    for name in names:
        touch(tmp_path / "videos" / "v" / name)
    (clip,) = find_clips(tmp_path / "videos", utterances(tmp_path, ("v", listed))).files.values()
    assert clip.path == f"v/{found}"


def test_episodes_are_told_apart_without_their_ending(tmp_path):
    for name in ("S01.E01.mp4", "S01.E02.mp4"):
        touch(tmp_path / "videos" / "v" / name)
    clips = find_clips(tmp_path / "videos", utterances(tmp_path, ("v", "S01.E01"), ("v", "S01.E02"))).files
    assert {name: clip.path.removeprefix("v/") for name, clip in clips.items()} == {
        "v/S01.E01": "S01.E01.mp4",
        "v/S01.E02": "S01.E02.mp4",
    }


def test_files_that_could_each_be_it_cost_their_utterance_alone(tmp_path):
    videos = tmp_path / "videos"
    for name in ("u.avi", "u.webm", "u.wav", "w.mp4"):
        touch(videos / "v" / name)
    found = find_clips(videos, utterances(tmp_path, ("v", "u.mp4"), ("v", "w.mp4")))
    assert set(found.files) == {"v/w"}
    assert found.hindered == {
        "v/u": f"2 files in {videos}/v have this name: u.avi, u.webm; keep one, or write its whole name into the CSV "
        "file"
    }
    assert found.warnings[0].startswith("1 listed utterance has no file that can be used, though something is there")


@pytest.mark.parametrize(
    ("listed", "there", "sentence"),
    [
        ("Utterance_1.mp4", "utterance_1.mp4", "utterance_1 is there, which differs in upper and lower case"),
        (
            "utterance_1.mp4",
            "utterance\u200b_1.mp4",
            "utterance\u200b_1 is there; its name holds the invisible character U+200B (ZERO WIDTH SPACE)",
        ),
        (
            "utterance\u00a01.mp4",
            "utterance 1.mp4",
            "utterance 1 is there; the CSV file's name holds the invisible character U+00A0 (NO-BREAK SPACE)",
        ),
        ("ﬁlm 1.mp4", "film1.mp4", "film1 is there, which looks the same but has other characters"),
        (
            "5E+44.mp4",
            "5e44.mp4",
            "5E+44 looks like what a spreadsheet makes of the name 5e44, which is there; keep that column as text",
        ),
        (
            "1.23457E+17.mp4",
            "123456789012345678.mp4",
            "1.23457E+17 looks like what a spreadsheet makes of the name 123456789012345678, which is there; keep that "
            "column as text",
        ),
        (
            "5E+44.mp4",
            "6e44.mp4",
            "5E+44 looks like what a spreadsheet makes of a name such as 5e44; keep that column as text",
        ),
        (f"{'x' * 300}.mp4", "u.mp4", "its name is longer than the 255 bytes that file systems allow; rename it"),
        ("u.mp4", "u.mp4.part", "u.mp4.part is there, which is neither video nor sound"),
    ],
)
def test_what_is_nearly_there_is_told_for_files_and_for_folders(tmp_path, listed, there, sentence):
    videos = tmp_path / "videos"
    touch(videos / "v" / there)
    found = find_clips(videos, utterances(tmp_path, ("v", listed), ("v", "other.mp4")))
    assert found.hindered == {f"v/{listed.removesuffix('.mp4')}": f"no such file in {videos}/v: {sentence}"}
    if there.endswith(".part"):
        return
    touch(videos / there.removesuffix(".mp4") / "1.mp4")
    folder = listed.removesuffix(".mp4")
    found = find_clips(videos, utterances(tmp_path, (folder, "1.mp4"), ("none", "1.mp4")))
    assert found.hindered == {f"{folder}/1": f"no folder {folder} in {videos}: {sentence}"}


def test_what_is_no_file_costs_its_utterance_alone_listed_or_not(tmp_path):
    videos = tmp_path / "videos"
    folder = touch(videos / "v" / "good.mp4").parent
    for name in ("loop", "unlisted"):
        (folder / f"{name}.mp4").symlink_to(f"{name}2.mp4")
        (folder / f"{name}2.mp4").symlink_to(f"{name}.mp4")
    (folder / "gone.mp4").symlink_to("/nowhere/gone.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    (videos / "ring").symlink_to("ring2")
    (videos / "ring2").symlink_to("ring")
    (videos / "nothing").symlink_to("/nowhere")
    touch(videos / "file")
    names = ("good", "loop", "gone", "pipe", "folder")
    folders = ("ring", "nothing", "file")
    rows = utterances(tmp_path, *[("v", f"{n}.mp4") for n in names], *[(f, "1.mp4") for f in folders])
    found = find_clips(videos, rows)
    assert set(found.files) == {"v/good"}
    none = f"no such file in {folder}: "
    assert found.hindered == {
        "v/loop": f"{none}loop.mp4 is a link to loop2.mp4, which cannot be followed: Too many levels of symbolic links",
        "v/gone": f"{none}gone.mp4 is a link to /nowhere/gone.mp4, which is not there",
        "v/pipe": f"{none}pipe.mp4 is there, which is not a regular file",
        "v/folder": f"{none}folder.mp4 is there, which is a folder",
        "ring/1": f"the folder {videos}/ring cannot be listed: Too many levels of symbolic links; "
        "the next run tries again",
        "nothing/1": f"the folder {videos}/nothing is a link to /nowhere, which is not there",
        "file/1": f"{videos}/file is there, which is not a folder",
    }


def test_what_may_not_be_read_costs_its_utterances_alone(tmp_path):
    videos = tmp_path / "videos"
    touch(videos / "v" / "good.mp4")
    touch(videos / "v" / "closed.mp4").chmod(0)
    touch(videos / "shut" / "1.mp4").parent.chmod(0)
    touch(videos / "blind" / "1.mp4").parent.chmod(0o400)
    rows = utterances(tmp_path, ("v", "good.mp4"), ("v", "closed.mp4"), ("shut", "1.mp4"), ("blind", "1.mp4"))
    with modes_obeyed():
        found = find_clips(videos, rows)
    assert set(found.files) == {"v/good"}
    assert found.hindered == {
        "v/closed": f"{videos}/v/closed.mp4 cannot be read: Permission denied; the next run tries again",
        "shut/1": f"the folder {videos}/shut cannot be listed: Permission denied; the next run tries again",
        "blind/1": f"{videos}/blind/1.mp4 cannot be read: Permission denied; the next run tries again",
    }
    for path in (videos / "v" / "closed.mp4", videos / "shut", videos / "blind"):
        path.chmod(0o700)
    with modes_obeyed():
        assert len(find_clips(videos, rows).files) == 4


def test_a_folder_of_videos_that_cannot_be_listed_stops_the_run(tmp_path):
    videos = touch(tmp_path / "videos" / "v" / "1.mp4").parent.parent
    rows = utterances(tmp_path, ("v", "1.mp4"))
    videos.chmod(0)
    with modes_obeyed(), pytest.raises(DatasetError, match=r"videos cannot be listed: Permission denied; mount it"):
        find_clips(videos, rows)
    videos.chmod(0o700)


def test_bytes_of_a_name_that_could_steer_a_terminal_are_shown_as_numbers(tmp_path):
    videos = tmp_path / "videos"
    touch(videos / "v" / "u\x1b[31m.mp4")
    touch(videos / "v" / "u\udce9.avi")
    (videos / "v" / "w.mp4").symlink_to("/caf\udce9\n")
    found = find_clips(videos, utterances(tmp_path, ("v", "w.mp4")))
    assert found.hindered["v/w"].endswith(r"w.mp4 is a link to /caf\xe9\x0a, which is not there")


def test_links_are_followed_and_broken_ones_are_missing(tmp_path):
    videos = tmp_path / "videos"
    real = touch(tmp_path / "elsewhere" / "clip.mp4", b"abc")
    (videos / "v").mkdir(parents=True)
    (videos / "v" / "1.mp4").symlink_to(real)
    (videos / "v" / "2.mp4").symlink_to(tmp_path / "gone.mp4")
    (videos / "w").symlink_to(real.parent)
    clips = find_clips(videos, utterances(tmp_path, ("v", "1.mp4"), ("v", "2.mp4"), ("w", "clip.mp4"))).files
    assert {name: (clip.path, clip.size) for name, clip in clips.items()} == {
        "v/1": ("v/1.mp4", 3),
        "w/clip": ("w/clip.mp4", 3),
    }


@pytest.mark.parametrize(("on_disk", "in_csv"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFC", "NFC")])
def test_umlauts_are_found_in_either_form(tmp_path, on_disk, in_csv):
    name, folder = "Übung «ß» 表情.mp4", "Jörg"
    disk, listed = ([unicodedata.normalize(form, part) for part in (folder, name)] for form in (on_disk, in_csv))
    touch(tmp_path / "videos" / disk[0] / disk[1])
    clips = find_clips(tmp_path / "videos", utterances(tmp_path, tuple(listed))).files
    assert [clip.path for clip in clips.values()] == [os.path.join(*disk)]  # noqa: PTH118 (bytes as on disk)
    assert list(clips) == [unicodedata.normalize("NFC", "Jörg/Übung «ß» 表情")]


def test_each_folder_is_listed_once(tmp_path, monkeypatch):
    videos = tmp_path / "videos"
    for n in range(20):
        touch(videos / "v" / f"{n}.mp4")
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))
    assert len(find_clips(videos, utterances(tmp_path, *[("v", f"{n}.mp4") for n in range(20)])).files) == 20
    assert listed == [videos, videos / "v"]


def test_a_file_whose_name_is_not_utf8_is_no_clip_of_a_listed_utterance(tmp_path):
    touch(tmp_path / "videos" / "v" / "caf\udce9.mp4")  # é as Latin-1 writes it, as Python reads it from the disk
    touch(tmp_path / "videos" / "v" / "1.mp4")
    clips = find_clips(tmp_path / "videos", utterances(tmp_path, ("v", "1.mp4"), ("v", "café.mp4"))).files
    assert list(clips) == ["v/1"]

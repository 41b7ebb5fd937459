"""Parts of whole recordings: what `start` and `end` may be, and which files they cut."""

import re

import pytest

from pipeline.dataset.clip_files import find_clips
from pipeline.dataset.cuts import parse_cut
from pipeline.dataset.utterances import DatasetError, read_dataset


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def find(tmp_path, *rows):
    path = tmp_path / "train.csv"
    path.write_text("video,utterance,start,end\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return find_clips(tmp_path / "videos", read_dataset({"train": path}).utterances)


@pytest.mark.parametrize(
    ("start", "end", "cut"),
    [
        ("0", "2.5", (0.0, 2.5)),
        ("12.48", "13", (12.48, 13.0)),
        ("1:02.5", "1:00:00", (62.5, 3600.0)),
        ("1e1", "11", (10.0, 11.0)),
    ],
)
def test_seconds_and_clock_times_are_read(start, end, cut):
    assert parse_cut(start, end) == cut


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("3", "3", "start is 3 and end is 3; start must be before end"),
        ("4", "3.9", "start is 4 and end is 3.9; start must be before end"),
        ("-1", "3", "start is '-1'; it must be seconds of the recording, 0 or more"),
        ("0", "nan", "end is 'nan'; it must be seconds"),
        ("0", "inf", "end is 'inf'; it must be seconds"),
        ("0", "1:nan", "end is '1:nan'; it must be seconds"),
        ("0", "1:75", "end is '1:75'; it must be seconds"),
        ("0", "1.5:00", "end is '1.5:00'; it must be seconds"),
        ("0", "1:-5", "end is '1:-5'; it must be seconds"),
        ("0", "0:0:0:9", "end is '0:0:0:9'; it must be seconds"),
        ("soon", "3", "start is 'soon'; it must be seconds"),
        ("", "3", "start is empty"),
        ("3", None, "end is empty"),
    ],
)
def test_what_is_no_part_of_a_recording_is_refused(start, end, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_cut(start, end)


def test_a_recording_beside_the_folders_is_cut_and_a_file_in_its_folder_is_not(tmp_path):
    videos = tmp_path / "videos"
    touch(videos / "talk.webm")
    touch(videos / "5b44393ed" / "utterance_1.mp4")
    touch(videos / "both.mp4")
    touch(videos / "both" / "1.mp4")
    found = find(
        tmp_path,
        "talk,1,0.5,2",
        "talk,2,2,3.25",
        "5b44393ed,utterance_1.mp4,45.5,50.25",
        "both,1.mp4,1,2",
        "both,2.mp4,1,2",
    )
    assert {name: str(clip.path) for name, clip in found.files.items()} == {
        "talk/1": "talk.webm",
        "talk/2": "talk.webm",
        "5b44393ed/utterance_1": "5b44393ed/utterance_1.mp4",
        "both/1": "both/1.mp4",
        "both/2": "both.mp4",
    }
    assert found.cuts == {"talk/1": (0.5, 2.0), "talk/2": (2.0, 3.25), "both/2": (1.0, 2.0)}


def test_a_start_that_is_not_used_is_told_save_where_the_names_are_the_organisers(tmp_path):
    touch(tmp_path / "videos" / "5b44393ed" / "utterance_1.mp4")
    row = "5b44393ed,utterance_1.mp4,45.5,50.25"
    assert find(tmp_path, row).warnings == ()
    touch(tmp_path / "videos" / "anna" / "monday.mp4")
    (told,) = find(tmp_path, row, "anna,monday.mp4,10,20").warnings
    assert told.startswith("1 row has start or end, and its clip has a file in a folder of the video")
    assert "(the first: anna/monday). A whole recording must be in the folder of videos itself" in told


def test_a_recording_without_start_and_end_is_no_clip(tmp_path):
    touch(tmp_path / "videos" / "talk.mp4")
    found = find(tmp_path, "talk,1,,", "talk,2,0,1")
    assert list(found.files) == ["talk/2"]
    assert found.hindered == {"talk/1": "talk.mp4 is a whole recording, and the row has no start and end to cut it"}


def test_all_rows_that_cannot_be_cut_are_told_at_once_with_their_lines(tmp_path):
    touch(tmp_path / "videos" / "talk.mp4")
    with pytest.raises(DatasetError) as caught:
        find(tmp_path, "talk,1,2,1", "talk,2,0,1", "talk,3,,1")
    csv = tmp_path / "train.csv"
    assert [problem.partition(" (a part of")[0] for problem in caught.value.problems] == [
        f"{csv}:2: start is 2 and end is 1; start must be before end",
        f"{csv}:4: start is empty",
    ]


@pytest.mark.parametrize("beside", ["talk.txt", "talk", "talk.srt"])
def test_what_is_neither_video_nor_sound_is_no_recording(tmp_path, beside):
    touch(tmp_path / "videos" / beside)
    assert find(tmp_path, "talk,1,0,1").files == {}


def test_two_recordings_of_one_name_are_told(tmp_path):
    touch(tmp_path / "videos" / "talk.mp4")
    touch(tmp_path / "videos" / "talk.webm")
    assert "2 files in" in find(tmp_path, "talk,1,0,1").hindered["talk/1"]

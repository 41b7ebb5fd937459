"""The content of a folder of clips, and in which folders the clips are."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from valar.init.inventory import look_into


def lay(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_clips_in_one_folder_have_its_name_for_a_video(tmp_path):
    found = look_into(lay(tmp_path / "clips", "b.mp4", "a.WAV", "notes.txt", ".hidden.mp4", "labels.csv"))
    assert found.is_flat
    assert found.videos == tmp_path
    assert found.clips == (("clips", "a.WAV"), ("clips", "b.mp4"))
    assert found.csv_files == (tmp_path / "clips" / "labels.csv",)
    assert found.others == ("notes.txt",)


def test_a_folder_within_one_that_is_named_holds_the_videos(tmp_path):
    found = look_into(lay(tmp_path, "data/videos/anna/1.mp4", "data/videos/ben/1.mp4", ".git/x/y.mp4", "data/l.csv"))
    assert not found.is_flat
    assert found.videos == tmp_path / "data" / "videos"
    assert found.clips == (("anna", "1.mp4"), ("ben", "1.mp4"))


def test_a_relative_path_stays_as_it_was_written(tmp_path, monkeypatch):
    lay(tmp_path, "clips/a.mp4")
    monkeypatch.chdir(tmp_path)
    assert look_into(Path("clips")).videos == Path()
    assert look_into(Path("./clips/../clips")).videos == tmp_path


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "is not a folder; name one that contains clips"),
        (["a.txt"], "holds no clip: no file below it ends like one"),
        (["a.mp4", "v/b.mp4"], r"holds clips on 2 levels \(a.mp4, v/b.mp4\); keep one"),
        (["x/v/a.mp4", "y/w/b.mp4"], "holds clips in x/v and y/w: name the folder whose folders hold the clips"),
        (["v/a.mp4", "v/a.mkv"], "v/a.mkv and v/a.mp4 differ only in their ending, so they would be one clip"),
    ],
)
def test_what_is_not_one_set_of_clips_is_refused(tmp_path, names, sentence):
    with pytest.raises(UserError, match=sentence):
        look_into(lay(tmp_path / "given", *names))

"""What was seen in folders of clips, as a digest."""

import os
import shutil

import pytest

from pipeline.dataset.folder_look import FolderLook, look_into


@pytest.fixture
def videos(tmp_path):
    for name in ("v/a.mp4", "v/b.mp4", "w/a.mp4", "x.mp4"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "videos"


def test_what_is_equal_has_one_digest_in_whatever_order_it_is_given(videos):
    with os.scandir(videos / "v") as entries:
        found = list(entries)
    one, other = FolderLook(), FolderLook()
    one.add("v", found)
    other.add("v", found[::-1])
    assert one.digest == other.digest
    assert one.is_sure
    assert one.names == ["v"]


def test_a_file_that_moves_from_one_folder_to_another_is_seen(videos):
    before = look_into(videos, ["v", "w"]).digest
    shutil.move(videos / "v" / "b.mp4", videos / "w" / "b.mp4")
    assert look_into(videos, ["v", "w"]).digest != before


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(40, "Too many levels of links")])
@pytest.mark.parametrize("call", ["is_dir", "stat"])
def test_what_cannot_be_looked_at_makes_the_look_an_unsure_one(call, error):
    class Entry:
        name = "a.mp4"

        def is_dir(self, *, follow_symlinks):
            if call == "is_dir":
                raise error
            return False

        def stat(self):
            raise error

    look = FolderLook()
    look.add("v", [Entry()])
    assert not look.is_sure


def test_a_folder_that_is_gone_is_an_error(videos):
    shutil.rmtree(videos / "w")
    with pytest.raises(FileNotFoundError):
        look_into(videos, ["v", "w"])

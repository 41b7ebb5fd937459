"""Files of settings, read and checked before Luigi sees them."""

import os
import shlex

import pytest

from pipeline.errors import UserError
from pipeline.settings.files import (
    HELD_BACK_VARIABLE,
    OVERLAY_VARIABLE,
    check_overlay,
    find_overlay,
    name_overlay,
    read_settings,
)


def write(folder, content):
    path = folder / "mine.cfg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_options_are_text_as_they_stand(tmp_path):
    path = write(tmp_path, "# mine\n[run]\nSeed = 3\nroot = 50 % of it\n[faces]\ncrops=none\n")
    assert read_settings(path) == {"run": {"Seed": "3", "root": "50 % of it"}, "faces": {"crops": "none"}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("seed = 3\n", ":1: 'seed = 3' is before the first section"),
        ("[run]\nseed = 3\nseed = 4\n", ":3: seed of .run. occurs twice; keep one"),
        ("[run]\n[faces]\n[run]\n", ":3: .run. occurs twice; keep one"),
        ("[run]\nseed\n", ":2: .* is neither `option = value` nor a .section."),
        (b"[run]\nroot = M\xfcller\n", ":2: not UTF-8; save the file as UTF-8"),
        ("[run]\n".encode("utf-16"), " is UTF-16 or not a text; save it as UTF-8"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path, content, said):
    with pytest.raises(UserError, match=rf"mine\.cfg{said}"):
        read_settings(write(tmp_path, content))


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.cfg does not exist; correct LUIGI_CONFIG_PATH"):
        read_settings(tmp_path / "none.cfg")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_settings(tmp_path)


def test_an_overlay_with_a_mark_is_kept_from_luigi_and_found_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv(HELD_BACK_VARIABLE, "")  # so that monkeypatch removes what the call below sets
    plain = write(tmp_path, "[run]\nseed = 3\n")
    monkeypatch.setenv(OVERLAY_VARIABLE, str(plain))
    check_overlay()
    assert (os.environ[OVERLAY_VARIABLE], os.environ[HELD_BACK_VARIABLE]) == (str(plain), "")
    write(tmp_path, b"\xef\xbb\xbf[run]\nseed = 4\n")
    check_overlay()
    assert OVERLAY_VARIABLE not in os.environ
    assert find_overlay() == plain
    assert read_settings(plain) == {"run": {"seed": "4"}}
    monkeypatch.delenv(HELD_BACK_VARIABLE)
    assert find_overlay() is None
    check_overlay()


def test_a_command_that_comes_next_names_the_overlay_unless_it_is_found_by_itself(tmp_path, monkeypatch):
    monkeypatch.delenv(HELD_BACK_VARIABLE, raising=False)
    for found in ("", "valar.cfg"):
        monkeypatch.setenv(OVERLAY_VARIABLE, found)
        assert name_overlay("valar store ls") == "valar store ls"
    overlay = tmp_path / "it's mine.cfg"
    for variable in (OVERLAY_VARIABLE, HELD_BACK_VARIABLE):
        monkeypatch.setenv(OVERLAY_VARIABLE, "")
        monkeypatch.setenv(variable, str(overlay))
        assert shlex.split(name_overlay("valar store ls")) == ["valar", "--config", str(overlay), "store", "ls"]

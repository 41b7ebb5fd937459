"""The store that a command uses if the user names none."""

import pytest

from valar.commands.store import add_store
from valar.settings import SettingsError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with settings that name a store, and two more stores."""
    for name in ("mine", "one", "two"):
        (tmp_path / name / "roots").mkdir(parents=True)
    (tmp_path / "valar.cfg").write_text("[store]\nroot = mine\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["ls"], ["ls", "mine"]),
        (["ls", "--json"], ["ls", "mine", "--json"]),
        (["show", "v/a"], ["show", "mine", "v/a"]),
        (["ls", "one"], ["ls", "one"]),
        (["diff", "one", "two"], ["diff", "one", "two"]),
        (["diff", "two"], ["diff", "mine", "two"]),
        (["erase", "v/a", "v/b", "--yes"], ["erase", "mine", "v/a", "v/b", "--yes"]),
        (["ls", "nowhere"], ["ls", "nowhere"]),  # the command itself says that it is no store
        (["ls", "-h"], ["ls", "mine", "-h"]),
        ([], []),
        (["nonsense"], ["nonsense"]),
    ],
)
def test_the_settings_name_the_store_unless_a_word_does(here, words, completed):
    assert add_store(words, "valar store") == completed


def test_settings_that_cannot_be_read_are_told(here):
    (here / "valar.cfg").write_text("root = mine\n")
    with pytest.raises(SettingsError, match="is before the first section"):
        add_store(["ls"], "valar store")

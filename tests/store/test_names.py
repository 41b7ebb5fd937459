"""Names in a store become paths: what is none is refused."""

import pytest

from store.names import (
    check_id,
    check_relative_path,
    check_relative_paths,
    check_run,
    check_utterance,
    check_utterances,
    is_id,
)

GOOD = {
    check_utterance: ["v/a", "5b44/utterance_4", "v/...", "M\u00fcller/1 2", "-v/=a"],
    check_relative_path: ["a.mp4", "v/a.mp4", "x/y/z", "..a/b"],
    check_run: ["runs-1a2b", "predict-x", "a b"],
    check_id: ["0", "e4bed0000001", "f" * 64],
}
BAD = {
    check_utterance: [
        "a",
        "v/a/b",
        "/v/a",
        "v/",
        "../a",
        "v/..",
        "v/.",
        "v/a\n",
        "v/\ud800",
        5,
        None,
        "v/" + "a" * 4096,
    ],
    check_relative_path: ["/a", "../a", "a/../b", "a//b", "a/", "", "a\x1b", b"a"],
    check_run: [".hidden", "a/b", "", "..", "a\0"],
    check_id: ["", "E4", "0g", "0" * 65, "../0", "0\n", 0],
}
COLUMNS = {check_utterances: check_utterance, check_relative_paths: check_relative_path}


@pytest.mark.parametrize(("check", "name"), [(check, name) for check, names in GOOD.items() for name in names])
def test_what_is_a_name_comes_back(check, name):
    assert check(name) == name


@pytest.mark.parametrize(("check", "name"), [(check, name) for check, names in BAD.items() for name in names])
def test_what_is_no_name_is_refused(check, name):
    with pytest.raises(ValueError, match=r"is not a valid name of an? .*: it must be "):
        check(name)


@pytest.mark.parametrize("check", COLUMNS)
def test_a_column_of_names_is_checked_as_each_of_them(check):
    each = COLUMNS[check]
    check([])
    check(GOOD[each])
    for name in [*BAD[each], "v/a\nw/b", "..\nv/a", "\n"]:
        for column in ([name], [*GOOD[each], name], [name, *GOOD[each]]):
            with pytest.raises(ValueError, match=r"is not a valid name of an? .*: it must be "):
                check(column)


def test_a_long_name_is_shown_in_part():
    with pytest.raises(ValueError, match="is not a valid name") as refused:
        check_id("g" * 5000)
    assert len(str(refused.value)) < 300


def test_ids_are_hexadecimal():
    assert is_id("0a")
    assert not is_id("0A")
    assert not is_id("0a.h5")
